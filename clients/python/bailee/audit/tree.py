"""The Merkle tree of RFC 6962, as somebody who only reads it needs it.

Invariants:
  * A tree is kept as the roots of its complete subtrees, largest first: whoever adds
    every leaf to it knows the root at each size, and that the log only grew.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

_sha256: Final = hashlib.sha256
EMPTY_ROOT: Final = _sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Returns the hash of a leaf's bytes (RFC 6962 section 2.1)."""
    return _sha256(b"\x00" + leaf).digest()


def join(left: bytes, right: bytes) -> bytes:
    """Returns the hash of an inner node."""
    return _sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class GrowingTree:
    """A tree that only grows; its root is known at every size."""

    size: int = 0
    roots: list[bytes] = field(default_factory=list)

    def add(self, hashes: Iterable[bytes]) -> None:
        """Appends leaves, given by their hashes."""
        size, roots = self.size, self.roots
        for value in hashes:
            current, place = value, size
            while place & 1:
                current = _sha256(b"\x01" + roots.pop() + current).digest()
                place >>= 1
            roots.append(current)
            size += 1
        self.size = size

    def root(self) -> bytes:
        """Returns the root; of an empty tree, SHA-256 of nothing."""
        if not self.roots:
            return EMPTY_ROOT
        root = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            root = join(left, root)
        return root

    def copy(self) -> "GrowingTree":
        """Returns a tree that grows apart from this one."""
        return GrowingTree(self.size, list(self.roots))


def is_prefix(
    old: tuple[int, bytes], new: tuple[int, bytes], proof: Sequence[bytes]
) -> bool:
    """Whether the proof shows that the new tree continues the old one.

    Both are (size, root). See RFC 9162 section 2.1.4.2. Every tree continues the empty
    one, without a proof.
    """
    (old_size, old_root), (new_size, new_root) = old, new
    if old_size > new_size:
        return False
    if old_size in (0, new_size):
        expected = EMPTY_ROOT if old_size == 0 else new_root
        return old_root == expected and not proof
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)  # a complete subtree: the proof leaves it out
    if not path:
        return False
    return _roots(old_size, new_size, path) == (old_root, new_root)


def root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Returns the root that a leaf's hash and its path lead to (RFC 9162 2.1.3.2).

    None when the path is not as long as a tree of this size is high.
    """
    if not 0 <= index < size:
        return None
    node, last, current = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            current = join(sibling, current)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            current = join(current, sibling)
        node, last = node >> 1, last >> 1
    return current if last == 0 else None


def _roots(old: int, new: int, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    left = right = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if node & 1 or node == last:
            left, right = join(sibling, left), join(sibling, right)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            right = join(right, sibling)
        node, last = node >> 1, last >> 1
    return (left, right) if last == 0 else None
