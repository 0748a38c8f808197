"""Tiles: how a tree is cut into files of 256 hashes (https://c2sp.org/tlog-tiles).

Invariants:
  * Row (level, first) holds complete nodes only: see tree.py.
  * A streamed tree keeps at most 256 hashes for each eight levels, whatever its size.
"""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Final

from gateway.audit.tree import EMPTY_ROOT, join

TILE_WIDTH: Final = 256
TILE_HEIGHT: Final = 8
HASH_BYTES: Final = 32
LEAF_BYTES_MAX: Final = 0xFFFF  # an entry's length is written in two bytes

_LENGTH_BYTES: Final = 2
_GROUP: Final = 1000

OnRow = Callable[[int, int, Sequence[bytes]], None]


class StreamedTree:
    """A tree that is built once from left to right and shows each node as it is known.

    ``on_row(level, first, hashes)`` gets neighbours of one level, at most 256 at once.
    Each node is shown once. A row whose level divides by eight is a tile.
    """

    def __init__(self, on_row: OnRow) -> None:
        self._on_row = on_row
        self._size = 0
        self._rows: list[list[bytes]] = []  # one for each tile level above the leaves
        self._tiles: list[int] = []  # how many tiles of that level are complete
        self._tail: bytes | None = None

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return self._size

    def add(self, leaf_hashes: Sequence[bytes]) -> None:
        """Takes the next 256 leaf hashes; fewer only in the last call."""
        if self._size % TILE_WIDTH or len(leaf_hashes) > TILE_WIDTH:
            raise ValueError("leaves come in tiles of 256")
        first, self._size = self._size, self._size + len(leaf_hashes)
        self._on_row(0, first, leaf_hashes)
        above, self._tail = self._fold(0, first, leaf_hashes, None)
        for parent in above:
            self._push(0, parent)

    def close(self) -> bytes:
        """Shows the rows that did not fill a tile and returns the root."""
        tail = self._tail
        for place, row in enumerate(self._rows):
            if row:
                level = TILE_HEIGHT * (place + 1)
                first = self._tiles[place] * TILE_WIDTH
                self._on_row(level, first, row)
                _, tail = self._fold(level, first, row, tail)
        return EMPTY_ROOT if tail is None else tail

    def _push(self, place: int, value: bytes) -> None:
        if place == len(self._rows):
            self._rows.append([])
            self._tiles.append(0)
        row = self._rows[place]
        row.append(value)
        if len(row) < TILE_WIDTH:
            return
        level, first = TILE_HEIGHT * (place + 1), self._tiles[place] * TILE_WIDTH
        self._on_row(level, first, row)
        above, _ = self._fold(level, first, row, None)
        self._rows[place] = []
        self._tiles[place] += 1
        for parent in above:
            self._push(place + 1, parent)

    def _fold(
        self, level: int, first: int, row: Sequence[bytes], tail: bytes | None
    ) -> tuple[Sequence[bytes], bytes | None]:
        """Joins neighbours, level by level, up to the level of the next tiles.

        ``tail`` is the root of the incomplete subtree to the right of the row. A node
        without a neighbour joins it (RFC 6962 section 2.1, read from the leaves up).
        Returns the one node of a full tile, or nothing and the new tail.
        """
        for step in range(TILE_HEIGHT):
            if len(row) & 1:
                tail = row[-1] if tail is None else join(row[-1], tail)
            row = [
                sha256(b"\x01" + left + right).digest()
                for left, right in zip(row[::2], row[1::2], strict=False)
            ]
            level, first = level + 1, first >> 1
            if row and step < TILE_HEIGHT - 1:
                self._on_row(level, first, row)
        return row, tail


def tiles_of(count: int) -> Iterator[tuple[int, int]]:
    """Yields the number and the width of each tile of a level with ``count`` nodes."""
    for number in range((count + TILE_WIDTH - 1) // TILE_WIDTH):
        yield number, min(TILE_WIDTH, count - number * TILE_WIDTH)


def tile_path(kind: str, number: int, width: int) -> str:
    """Returns the path of a tile; ``kind`` is its level or ``entries``.

    Groups of three digits, all but the last with an x; ``.p/W`` when it is not full.
    """
    groups = [f"{number % _GROUP:03d}"]
    while number >= _GROUP:
        number //= _GROUP
        groups.insert(0, f"x{number % _GROUP:03d}")
    partial = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/{kind}/{'/'.join(groups)}{partial}"


def write_bundle(leaves: Sequence[bytes]) -> bytes:
    """Returns an entry bundle: each leaf after its length in two bytes."""
    return b"".join(len(leaf).to_bytes(_LENGTH_BYTES, "big") + leaf for leaf in leaves)


def read_bundle(content: bytes) -> tuple[list[bytes], bool]:
    """Returns the leaves of a bundle and whether its last leaf ends where it does."""
    leaves: list[bytes] = []
    at, end = 0, len(content)
    while at < end:
        begin = at + _LENGTH_BYTES
        at = begin + int.from_bytes(content[at:begin], "big")
        if at > end:
            return leaves, False
        leaves.append(content[begin:at])
    return leaves, True
