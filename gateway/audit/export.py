"""The log as static files: C2SP tiles (https://c2sp.org/tlog-tiles) and a checkpoint.

Any web server can publish them, and any tool that knows tlog-tiles can check them.

Invariants:
  * A log is checked while it is written; a broken one is not exported.
  * The folder appears when it is complete, or not at all.
  * Tiles are made from the entries, not copied from the stored hashes.
"""

import shutil
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from gateway.audit.ports import LogReader
from gateway.audit.tiles import (
    LEAF_BYTES_MAX,
    TILE_HEIGHT,
    TILE_WIDTH,
    tile_path,
    write_bundle,
)
from gateway.audit.verify import (
    CheckedLog,
    LogBroken,
    StoredNodes,
    open_signed,
    read_checkpoint,
    read_leaves,
    refuse_unsigned,
    verify_chunks,
)


def write_export(
    folder: Path, log: LogReader, *, origin: str, public_key: bytes
) -> CheckedLog:
    """Writes tiles, entry bundles and the checkpoint to a new folder.

    Raises:
        FileExistsError: The folder, or the same name with ``.partial``, exists.
        LogBroken: The log is not the one that was signed; nothing is left behind.
    """
    if folder.exists():
        raise FileExistsError(folder)
    note = read_checkpoint(log)
    signed, merchant = open_signed(note, origin, public_key)
    refuse_unsigned(log, signed)
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(parents=True)
    try:
        checked = verify_chunks(
            _write_bundles(partial, read_leaves(log, signed.size)),
            signed=signed,
            merchant=merchant,
            on_row=_WrittenTiles(partial, log),
        )
        (partial / "checkpoint").write_text(note, encoding="utf-8")
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial)
        raise
    return checked


class _WrittenTiles:
    """Compares each hash with the stored one and writes those that tiles hold."""

    def __init__(self, folder: Path, log: LogReader) -> None:
        self._folder = folder
        self._compare = StoredNodes(log)

    def __call__(self, level: int, first: int, hashes: Sequence[bytes]) -> None:
        self._compare(level, first, hashes)
        tile_level, between = divmod(level, TILE_HEIGHT)
        if not between:
            path = tile_path(str(tile_level), first // TILE_WIDTH, len(hashes))
            _write(self._folder / path, b"".join(hashes))


def _write_bundles(folder: Path, leaves: Iterator[bytes]) -> Iterator[list[bytes]]:
    number = 0
    while chunk := list(islice(leaves, TILE_WIDTH)):
        for place, leaf in enumerate(chunk):
            if len(leaf) > LEAF_BYTES_MAX:
                index = number * TILE_WIDTH + place
                raise LogBroken(index, "it is longer than an entry can be")
        path = tile_path("entries", number, len(chunk))
        _write(folder / path, write_bundle(chunk))
        yield chunk
        number += 1


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
