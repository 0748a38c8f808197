"""The log as static files: C2SP tiles (https://c2sp.org/tlog-tiles) and a checkpoint.

Any web server can publish them, and any tool that knows tlog-tiles can check them.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from gateway.audit import tree
from gateway.audit.checkpoint import CheckpointInvalid, open_checkpoint
from gateway.audit.verify import CheckedLog, LogBroken, verify_entries

_WIDTH: Final = 256
_HEIGHT: Final = 8
_HASH_BYTES: Final = 32
_LENGTH_BYTES: Final = 2

Leaves = Callable[[int, int], Sequence[bytes]]


def write_export(
    folder: Path, *, note: str, size: int, leaves: Leaves, node: tree.FindNode
) -> None:
    """Writes tiles, entry bundles and the checkpoint to a new folder.

    Raises:
        FileExistsError: The folder exists; nothing is overwritten.
    """
    folder.mkdir(parents=True)
    level = 0
    while size >> (_HEIGHT * level):
        count = size >> (_HEIGHT * level)
        for number, width in _tiles(count):
            first = number * _WIDTH
            hashes = [node(_HEIGHT * level, first + place) for place in range(width)]
            _write(folder / _tile_path(f"tile/{level}", number, width), hashes)
        level += 1
    for number, width in _tiles(size):
        first = number * _WIDTH
        bundle = [
            len(leaf).to_bytes(_LENGTH_BYTES, "big") + leaf
            for leaf in leaves(first, first + width)
        ]
        _write(folder / _tile_path("tile/entries", number, width), bundle)
    (folder / "checkpoint").write_text(note, encoding="utf-8")


def verify_export(folder: Path, *, origin: str, public_key: bytes) -> CheckedLog:
    """Checks an export with the public key alone.

    Raises:
        LogBroken: It is not the log that was signed.
    """
    try:
        note = (folder / "checkpoint").read_text("utf-8")
        head = open_checkpoint(note, origin=origin, public_key=public_key)
    except (OSError, UnicodeDecodeError) as error:
        raise LogBroken("there is no checkpoint") from error
    except CheckpointInvalid as error:
        raise LogBroken(str(error)) from error
    merchant = origin.split("/m/", 1)[-1].rsplit("/", 1)[0]
    return verify_entries(
        _read_entries(folder, head.size),
        size=head.size,
        root=head.root,
        merchant=merchant,
        stored_hash=_StoredHashes(folder, head.size),
    )


class _StoredHashes:
    """The leaf hashes of the level-0 tiles, a tile at a time."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._size = size
        self._number = -1
        self._content = b""

    def __call__(self, index: int) -> bytes:
        number, place = divmod(index, _WIDTH)
        if number != self._number:
            width = min(_WIDTH, self._size - number * _WIDTH)
            file = self._folder / _tile_path("tile/0", number, width)
            self._content = _read(file, index)
            self._number = number
        return self._content[place * _HASH_BYTES : (place + 1) * _HASH_BYTES]


def _read_entries(folder: Path, size: int) -> Iterator[bytes]:
    for number, width in _tiles(size):
        first = number * _WIDTH
        content = _read(folder / _tile_path("tile/entries", number, width), first)
        at = 0
        for place in range(width):
            length = int.from_bytes(content[at : at + _LENGTH_BYTES], "big")
            begin, at = at + _LENGTH_BYTES, at + _LENGTH_BYTES + length
            if at > len(content):
                raise LogBroken("the entries end here", first + place)
            yield content[begin:at]
        if at != len(content):
            raise LogBroken("more bytes than entries", first + width)


def _tiles(count: int) -> Iterator[tuple[int, int]]:
    """Yields each tile's number and width."""
    for number in range((count + _WIDTH - 1) // _WIDTH):
        yield number, min(_WIDTH, count - number * _WIDTH)


def _tile_path(kind: str, number: int, width: int) -> str:
    """Returns the path of a tile: groups of three digits, all but the last with x."""
    groups = [f"{number % 1000:03d}"]
    while number >= 1000:  # noqa: PLR2004 - three digits a group
        number //= 1000
        groups.insert(0, f"x{number % 1000:03d}")
    partial = "" if width == _WIDTH else f".p/{width}"
    return f"{kind}/{'/'.join(groups)}{partial}"


def _write(file: Path, parts: Sequence[bytes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(parts))


def _read(file: Path, index: int) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise LogBroken(f"{file.name} is missing", index) from error
