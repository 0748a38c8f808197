"""Checking a whole log, by somebody who has nothing but its public key.

1. The checkpoint is signed with the key, for this origin.
2. Every entry's hash is the stored one, and so is every hash above it.
3. Every entry is a leaf of a known version, canonical, and of this merchant.
4. There are as many entries as the checkpoint signs, and their root is the signed one.

Invariants:
  * Memory is bounded: 256 entries and 256 hashes for each eight levels of the tree.
  * Whatever is read may be hostile. The only error is LogBroken; it quotes no value.
  * Not covered, because nobody signs them: other files in the folder, and signature
    lines of other keys in the checkpoint (a witness's, https://c2sp.org/tlog-witness).
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Final

from gateway.audit.checkpoint import (
    Checkpoint,
    CheckpointInvalid,
    merchant_of,
    open_checkpoint,
)
from gateway.audit.leaf_grammar import find_fault, is_leaf_of
from gateway.audit.ports import LogReader
from gateway.audit.tiles import (
    HASH_BYTES,
    LEAF_BYTES_MAX,
    TILE_HEIGHT,
    TILE_WIDTH,
    OnRow,
    StreamedTree,
    read_bundle,
    tile_path,
    tiles_of,
)
from gateway.errors import IntegrityViolation

UNSIGNED: Final = "the checkpoint does not sign this entry"

_BUNDLE_BYTES_MAX: Final = TILE_WIDTH * (2 + LEAF_BYTES_MAX)
_NOTE_BYTES_MAX: Final = 65_536
_RANGE: Final = 4096  # entries that are asked for at once


class LogBroken(Exception):
    """The log is not the one that was signed.

    ``index`` is the first entry at fault; None when the log as a whole is.
    """

    def __init__(self, index: int | None, finding: str) -> None:
        super().__init__(finding if index is None else f"entry {index}: {finding}")
        self.index = index
        self.finding = finding


@dataclass(frozen=True, slots=True)
class CheckedLog:
    """What held."""

    size: int
    root: bytes


def verify_entries(
    entries: Iterable[bytes],
    *,
    size: int,
    root: bytes,
    merchant: str,
    on_row: OnRow = lambda _level, _first, _hashes: None,
) -> CheckedLog:
    """Recomputes the root from the entries' bytes; streams.

    Args:
        entries: The leaves, in order.
        size: How many the signed checkpoint says there are.
        root: The root that the checkpoint signs.
        merchant: Whose log it is.
        on_row: Sees each hash of the tree once and may raise: see StreamedTree.

    Raises:
        LogBroken: The entries are not those that were signed.
    """
    leaves = iter(entries)
    chunks = iter(lambda: list(islice(leaves, TILE_WIDTH)), [])
    signed = Checkpoint(size, root)
    return verify_chunks(chunks, signed=signed, merchant=merchant, on_row=on_row)


def verify_chunks(
    chunks: Iterable[Sequence[bytes]],
    *,
    signed: Checkpoint,
    merchant: str,
    on_row: OnRow,
) -> CheckedLog:
    """Does the work of ``verify_entries`` on 256 entries at a time.

    Raises:
        LogBroken: The entries are not those that were signed.
    """
    built = StreamedTree(on_row)
    owner = merchant.encode()
    for chunk in chunks:
        first = built.size
        if first + len(chunk) > signed.size:
            raise LogBroken(signed.size, UNSIGNED)
        built.add([sha256(b"\x00" + leaf).digest() for leaf in chunk])
        for place, leaf in enumerate(chunk):
            if not is_leaf_of(leaf, owner):
                raise LogBroken(first + place, f"it {find_fault(leaf, owner)}")
    root = built.close()
    if built.size != signed.size:
        finding = f"it is missing; the checkpoint signs {signed.size} entries"
        raise LogBroken(built.size, finding)
    if root != signed.root:
        finding = "entries were altered, moved or replaced together with their hashes"
        raise LogBroken(None, finding)
    return CheckedLog(built.size, root)


def verify_log(log: LogReader, *, origin: str, public_key: bytes) -> CheckedLog:
    """Checks a stored log against its own hashes and its newest checkpoint.

    A gateway keeps no hash of a single leaf, so a changed entry is found as one of a
    pair: ``index`` is the first of the two, and None for the last entry of an odd log.
    A checkpoint that is signed when it is asked for proves that the entries fit the
    stored head, not that the head is old: receipts and exports in other hands do.

    Raises:
        LogBroken: It is not the log that was signed.
    """
    signed, merchant = open_signed(read_checkpoint(log), origin, public_key)
    refuse_unsigned(log, signed)
    return verify_entries(
        read_leaves(log, signed.size),
        size=signed.size,
        root=signed.root,
        merchant=merchant,
        on_row=StoredNodes(log),
    )


def verify_export(folder: Path, *, origin: str, public_key: bytes) -> CheckedLog:
    """Checks an export with the public key alone.

    Raises:
        LogBroken: It is not the log that was signed.
    """
    content = _read(folder / "checkpoint", _NOTE_BYTES_MAX, None)
    try:
        note = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LogBroken(None, "the checkpoint is not text") from error
    signed, merchant = open_signed(note, origin, public_key)
    return verify_chunks(
        _read_bundles(folder, signed.size),
        signed=signed,
        merchant=merchant,
        on_row=_StoredTiles(folder, signed.size),
    )


def open_signed(note: str, origin: str, public_key: bytes) -> tuple[Checkpoint, str]:
    """Returns the verified checkpoint and the merchant whose log it signs.

    Raises:
        LogBroken: It does not verify.
    """
    try:
        signed = open_checkpoint(note, origin=origin, public_key=public_key)
        return signed, merchant_of(origin)
    except CheckpointInvalid as error:
        raise LogBroken(None, str(error)) from error


def read_checkpoint(log: LogReader) -> str:
    """Returns the newest checkpoint, as it is stored.

    Raises:
        LogBroken: What it is made from is damaged.
    """
    try:
        return log.checkpoint()
    except IntegrityViolation as error:
        raise LogBroken(None, "the stored head of the log is damaged") from error


def refuse_unsigned(log: LogReader, signed: Checkpoint) -> None:
    """Raises if there are entries that the checkpoint does not sign.

    Raises:
        LogBroken: There are, or nobody can tell.
    """
    try:
        size = log.size()
    except IntegrityViolation as error:
        raise LogBroken(None, "the stored entries cannot be counted") from error
    if size > signed.size:
        raise LogBroken(signed.size, UNSIGNED)


def read_leaves(log: LogReader, size: int) -> Iterator[bytes]:
    """Yields the stored leaves, reading a few thousand at a time."""
    for start in range(0, size, _RANGE):
        yield from log.leaves(start, min(start + _RANGE, size))


class StoredNodes:
    """Compares each hash above the leaves with the one that is stored."""

    def __init__(self, log: LogReader) -> None:
        self._log = log

    def __call__(self, level: int, first: int, hashes: Sequence[bytes]) -> None:
        """See StreamedTree.

        Raises:
            LogBroken: Another hash is stored, or none.
        """
        if level == 0:
            return
        node = self._log.node
        for place, value in enumerate(hashes):
            index = first + place
            try:
                stored = node(level, index)
            except IntegrityViolation as error:
                raise _misfit(level, index, "has no stored hash") from error
            if stored != value:
                raise _misfit(level, index, "does not fit the stored hash")


class _StoredTiles:
    """Compares each tile with the one in the export."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._size = size

    def __call__(self, level: int, first: int, hashes: Sequence[bytes]) -> None:
        tile_level, between = divmod(level, TILE_HEIGHT)
        if between:
            return
        number = first // TILE_WIDTH
        width = min(TILE_WIDTH, (self._size >> level) - first)
        file = self._folder / tile_path(str(tile_level), number, width)
        stored = _read(file, TILE_WIDTH * HASH_BYTES, first << level)
        if stored == b"".join(hashes):
            return
        for place, value in enumerate(hashes):
            if stored[place * HASH_BYTES : (place + 1) * HASH_BYTES] != value:
                raise _misfit(level, first + place, "does not fit the stored hash")
        if len(stored) != width * HASH_BYTES:
            raise LogBroken(first << level, "its tile has the wrong length")


def _misfit(level: int, index: int, finding: str) -> LogBroken:
    begin, end = index << level, (index + 1) << level
    where = "it" if level == 0 else f"one of the entries {begin} to {end - 1}"
    return LogBroken(begin, f"{where} {finding}")


def _read_bundles(folder: Path, size: int) -> Iterator[list[bytes]]:
    for number, width in tiles_of(size):
        first = number * TILE_WIDTH
        file = folder / tile_path("entries", number, width)
        leaves, is_whole = read_bundle(_read(file, _BUNDLE_BYTES_MAX, first))
        yield leaves[:width]  # compared with their hashes before a fault is reported
        if len(leaves) < width or not is_whole:
            raise LogBroken(first + min(len(leaves), width), "it is cut off or missing")
        if len(leaves) > width:
            raise LogBroken(first + width, "there are more entries than the tile holds")


def _read(file: Path, bytes_max: int, index: int | None) -> bytes:
    """Reads a file of the export, and no more than it may hold."""
    unreadable = LogBroken(index, f"the file {file.name} cannot be read")
    try:
        if not file.is_file():  # a pipe or a device would never end
            raise unreadable
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > bytes_max:
                raise LogBroken(index, f"the file {file.name} is too long")
            return stream.read(size)
    except OSError as error:
        raise unreadable from error
