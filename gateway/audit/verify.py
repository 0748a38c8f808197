"""Checking a whole log, by somebody who has nothing but its public key.

A flipped, dropped, reordered or added entry changes the root; the finding names the
first entry that does not fit the stored hashes, or says that the log was cut.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from gateway.audit import tree
from gateway.audit.leaf import LEAF_VERSION

_BATCH: Final = 4096


class LogBroken(Exception):
    """The log is not the one that was signed.

    ``index`` is the first entry at fault; None when the log as a whole is.
    """

    def __init__(self, finding: str, index: int | None = None) -> None:
        where = "" if index is None else f"entry {index}: "
        super().__init__(f"{where}{finding}")
        self.index = index


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
    stored_hash: Callable[[int], bytes] | None = None,
) -> CheckedLog:
    """Recomputes the root from the entries' bytes; streams.

    Args:
        entries: The leaves, in order.
        size: How many the signed checkpoint says there are.
        root: The root that the checkpoint signs.
        merchant: Whose log it is.
        stored_hash: Where a copy of each leaf's hash is kept, to name a changed entry.

    Raises:
        LogBroken: The entries are not those that were signed.
    """
    frontier = tree.EMPTY
    batch: list[bytes] = []
    count = 0
    for leaf in entries:
        value = tree.leaf_hash(leaf)
        if stored_hash is not None and stored_hash(count) != value:
            raise LogBroken("it is not the entry that was hashed", count)
        _check_leaf(leaf, merchant, count)
        batch.append(value)
        count += 1
        if len(batch) == _BATCH:
            frontier = tree.grow(frontier, batch).frontier
            batch = []
    frontier = tree.grow(frontier, batch).frontier
    if count != size:
        raise LogBroken(f"the checkpoint signs {size} entries, {count} are here", count)
    if frontier.root() != root:
        raise LogBroken("an entry was altered, moved or replaced with its hashes")
    return CheckedLog(size, root)


def _check_leaf(leaf: bytes, merchant: str, index: int) -> None:
    try:
        facts = json.loads(leaf)
    except ValueError:
        raise LogBroken("it is not JSON", index) from None
    if not isinstance(facts, dict) or facts.get("v") != LEAF_VERSION:
        raise LogBroken("it is of a version that this software does not know", index)
    if facts.get("merchant") != merchant:
        raise LogBroken("it belongs to another merchant", index)
