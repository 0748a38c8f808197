"""The Merkle tree of RFC 6962 section 2: growing, proving, verifying. Pure.

Invariants:
  * Only complete subtrees have stored nodes: node (level, index) covers the leaves
    ``index << level`` to ``(index + 1) << level``.
  * A frontier is all that is needed to grow: the roots of the complete subtrees that
    make up the tree, largest first.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

Node = tuple[int, int, bytes]
FindNode = Callable[[int, int], bytes]

_LEAF: Final = b"\x00"
_INNER: Final = b"\x01"
_sha256: Final = hashlib.sha256

EMPTY_ROOT: Final = _sha256(b"").digest()  # RFC 6962 section 2.1


class ProofInvalid(ValueError):
    """A proof does not show what it should; the text says why."""


def leaf_hash(leaf: bytes) -> bytes:
    """Returns the hash of a leaf's bytes (RFC 6962 section 2.1)."""
    return _sha256(_LEAF + leaf).digest()


def join(left: bytes, right: bytes) -> bytes:
    """Returns the hash of an inner node."""
    return _sha256(_INNER + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree reduced to what growing it needs.

    ``hashes`` has one entry for each one-bit of ``size``, from the highest.
    """

    size: int
    hashes: tuple[bytes, ...]

    def root(self) -> bytes:
        """Returns the tree's root; of the empty tree, SHA-256 of nothing."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = join(left, root)
        return root


EMPTY: Final = Frontier(0, ())


@dataclass(frozen=True, slots=True)
class Growth:
    """What a batch of leaves added: the new frontier and every node now complete."""

    frontier: Frontier
    nodes: list[Node]


def grow(frontier: Frontier, leaf_hashes: Sequence[bytes]) -> Growth:
    """Appends leaves."""
    size = frontier.size
    hashes = list(frontier.hashes)
    nodes: list[Node] = []
    for value in leaf_hashes:
        nodes.append((0, size, value))
        level, index, current = 0, size, value
        while index & 1:
            current = join(hashes.pop(), current)
            level, index = level + 1, index >> 1
            nodes.append((level, index, current))
        hashes.append(current)
        size += 1
    return Growth(Frontier(size, tuple(hashes)), nodes)


def frontier_of(size: int, node: FindNode) -> Frontier:
    """Rebuilds the frontier of a tree from its stored nodes."""
    hashes, start = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            hashes.append(node(level, start >> level))
            start += 1 << level
    return Frontier(size, tuple(hashes))


def find_among(frontier: Frontier, nodes: Sequence[Node]) -> FindNode:
    """Returns a look-up over a frontier's own subtrees and the nodes of a growth.

    It finds every sibling that a proof of a newly grown leaf needs.
    """
    known: dict[tuple[int, int], bytes] = {}
    start = 0
    place = 0
    for level in reversed(range(frontier.size.bit_length())):
        if frontier.size >> level & 1:
            known[level, start >> level] = frontier.hashes[place]
            start += 1 << level
            place += 1
    known.update(((level, index), value) for level, index, value in nodes)
    return lambda level, index: known[level, index]


def range_root(begin: int, end: int, node: FindNode) -> bytes:
    """Returns the hash of the leaves ``begin`` to ``end``; begin is aligned."""
    width = end - begin
    if width & (width - 1) == 0 and begin % width == 0:
        level = width.bit_length() - 1
        return node(level, begin >> level)
    split = begin + (1 << ((width - 1).bit_length() - 1))
    return join(range_root(begin, split, node), range_root(split, end, node))


def inclusion_path(index: int, size: int, node: FindNode) -> list[bytes]:
    """Returns the audit path of a leaf, from the leaf up (RFC 6962 section 2.1.1)."""
    if not 0 <= index < size:
        raise ValueError("the index lies outside the tree")
    path: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        split = begin + (1 << ((end - begin - 1).bit_length() - 1))
        if index < split:
            path.append(range_root(split, end, node))
            end = split
        else:
            path.append(range_root(begin, split, node))
            begin = split
    path.reverse()
    return path


def consistency_path(old: int, new: int, node: FindNode) -> list[bytes]:
    """Returns the proof that the tree of ``old`` leaves is a prefix of the new one
    (RFC 6962 section 2.1.2).
    """
    if not 0 < old <= new:
        raise ValueError("the old size lies outside the tree")
    path: list[bytes] = []
    begin, end, whole = 0, new, True
    while old != end:
        split = begin + (1 << ((end - begin - 1).bit_length() - 1))
        if old <= split:
            path.append(range_root(split, end, node))
            end = split
        else:
            path.append(range_root(begin, split, node))
            begin, whole = split, False
    if not whole:
        path.append(range_root(begin, end, node))
    path.reverse()
    return path


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Recomputes the root from a leaf's hash and its path (RFC 9162 section 2.1.3.2).

    Raises:
        ProofInvalid: The path is not as long as the tree is high.
    """
    if not 0 <= index < size:
        raise ProofInvalid("the index lies outside the tree")
    node, last, current = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ProofInvalid("the path is too long")
        if node & 1 or node == last:
            current = join(sibling, current)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            current = join(current, sibling)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise ProofInvalid("the path is too short")
    return current


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], *, root: bytes
) -> None:
    """Checks that the leaf with this hash is in the tree (RFC 9162 section 2.1.3.2).

    Raises:
        ProofInvalid: It is not, or the path is not of this index and size.
    """
    if root_from_path(leaf, index, size, path) != root:
        raise ProofInvalid("the leaf is not in this tree")


def verify_consistency(
    old: int, new: int, path: Sequence[bytes], *, old_root: bytes, new_root: bytes
) -> None:
    """Checks that a tree only grew (RFC 9162 section 2.1.4.2).

    Raises:
        ProofInvalid: The old tree is not a prefix of the new one.
    """
    if not 0 < old <= new:
        raise ProofInvalid("the old size lies outside the tree")
    if old == new:
        seen = (old_root, old_root) if not path else (b"", b"")
    else:
        # An old tree of 2^k leaves is a node of the new one; the path leaves it out.
        whole = old & (old - 1) == 0
        seen = _roots_from_path(old, new, [old_root, *path] if whole else path)
    if seen != (old_root, new_root):
        raise ProofInvalid("the old tree is not a prefix of the new one")


def _roots_from_path(old: int, new: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Recomputes both roots; steps 3 to 7 of RFC 9162 section 2.1.4.2."""
    if not path:
        raise ProofInvalid("the path is too short")
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_seen = new_seen = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofInvalid("the path is too long")
        if node & 1 or node == last:
            old_seen, new_seen = join(sibling, old_seen), join(sibling, new_seen)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            new_seen = join(new_seen, sibling)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise ProofInvalid("the path is too short")
    return old_seen, new_seen
