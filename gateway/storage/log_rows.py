"""A merchant's log as rows: leaves, and the nodes of the tree above them.

Invariants:
  * Rows are only added. The one thing that changes is that salts become NULL.
  * Node (level, index) above the leaves lies in the row of the last leaf it covers,
    so that an entry and the nodes it completes are one row, written once. A leaf's own
    hash is not stored: it is computed from the leaf whenever it is needed.
"""

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import bindparam, func, select

from gateway.audit.tree import EMPTY, Frontier, frontier_of, leaf_hash
from gateway.errors import IntegrityViolation
from gateway.storage.database import Connection
from gateway.storage.log_tables import log_entries, log_heads
from gateway.storage.statements import sql
from gateway.words.identifiers import MerchantId

HASH_BYTES: Final = 32

_OF_LOG: Final = (
    log_entries.c.scope == bindparam("scope"),
    log_entries.c.generation == bindparam("generation"),
)
_AT_POSITION: Final = (*_OF_LOG, log_entries.c.position == bindparam("position"))
_SELECT_LEAF: Final = sql(select(log_entries.c.leaf).where(*_AT_POSITION))
_SELECT_NODES: Final = sql(select(log_entries.c.nodes).where(*_AT_POSITION))
_SELECT_ENTRY: Final = sql(
    select(
        log_entries.c.leaf, log_entries.c.card_salt, log_entries.c.object_salt
    ).where(*_AT_POSITION)
)
_SELECT_LAST: Final = sql(select(func.max(log_entries.c.position)).where(*_OF_LOG))
_SELECT_LEAVES: Final = sql(
    select(log_entries.c.leaf)
    .where(
        *_OF_LOG,
        log_entries.c.position >= bindparam("begin"),
        log_entries.c.position < bindparam("end"),
    )
    .order_by(log_entries.c.position)
)
_SELECT_HEAD: Final = sql(
    select(log_heads.c.size, log_heads.c.frontier).where(
        log_heads.c.scope == bindparam("scope"),
        log_heads.c.generation == bindparam("generation"),
    )
)


@dataclass(slots=True)
class Scope:
    """Whose rows a unit sees. ``row`` is 0 for a merchant that was never created:
    no row has that number, so its queries find nothing.
    """

    merchant: MerchantId
    row: int = 0
    log_generation: int = 1


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One entry as stored; the salts are None once erased."""

    leaf: bytes
    card_salt: bytes | None = field(repr=False)
    object_salt: bytes | None = field(repr=False)


class LogRows:
    """The committed rows of one log."""

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._connection = connection
        self._log = {"scope": scope.row, "generation": scope.log_generation}

    def entry(self, position: int) -> EntryRow:
        """Returns the entry at a position.

        Raises:
            IntegrityViolation: There is none.
        """
        leaf, *salts = self._at(_SELECT_ENTRY, position)
        card_salt, object_salt = (
            None if salt is None else _blob(salt) for salt in salts
        )
        return EntryRow(_blob(leaf), card_salt, object_salt)

    def leaves(self, begin: int, end: int) -> list[bytes]:
        """Returns the leaves from ``begin`` to before ``end``.

        What is no bytes comes out empty, which no verifier takes for a leaf.
        """
        bounds = {**self._log, "begin": begin, "end": end}
        rows = self._connection.execute(_SELECT_LEAVES, bounds)
        return [leaf if isinstance(leaf, bytes) else b"" for (leaf,) in rows]

    def node(self, level: int, index: int) -> bytes:
        """Returns the hash of a complete subtree.

        Raises:
            IntegrityViolation: It is not stored.
        """
        if level == 0:
            return leaf_hash(_blob(self._at(_SELECT_LEAF, index)[0]))
        last_leaf = ((index + 1) << level) - 1
        nodes = _blob(self._at(_SELECT_NODES, last_leaf)[0])
        value = nodes[(level - 1) * HASH_BYTES : level * HASH_BYTES]
        if len(value) != HASH_BYTES:
            raise IntegrityViolation
        return value

    def stored_head(self) -> Frontier:
        """Returns the tree's frontier as it is stored.

        Raises:
            IntegrityViolation: It has not one hash for each subtree.
        """
        stored = self._connection.execute(_SELECT_HEAD, self._log).fetchone()
        if stored is None:
            return EMPTY
        size, joined = _integer(stored[0]), _blob(stored[1])
        places = range(0, len(joined), HASH_BYTES)
        hashes = tuple(joined[at : at + HASH_BYTES] for at in places)
        if len(joined) != size.bit_count() * HASH_BYTES:
            raise IntegrityViolation
        return Frontier(size, hashes)

    def count(self) -> int:
        """Returns how many entries there are, going by the last one.

        Raises:
            IntegrityViolation: The last one has no number.
        """
        last = self._connection.execute(_SELECT_LAST, self._log).fetchone()[0]
        return 0 if last is None else _integer(last) + 1

    def head(self) -> Frontier:
        """Returns the tree's frontier after comparing it with the entries.

        Raises:
            IntegrityViolation: Entries are missing at the end, or the stored nodes do
                not add up to the stored head.
        """
        head = self.stored_head()
        if head.size != self.count():
            raise IntegrityViolation
        if frontier_of(head.size, self.node) != head:
            raise IntegrityViolation
        return head

    def _at(self, statement: str, position: int) -> tuple[object, ...]:
        where = {**self._log, "position": position}
        row: tuple[object, ...] | None = self._connection.execute(
            statement, where
        ).fetchone()
        if row is None:
            raise IntegrityViolation
        return row


# SQLite keeps a value of any type in any column, so the types are damage to look for.


def _blob(stored: object) -> bytes:
    if not isinstance(stored, bytes):
        raise IntegrityViolation
    return stored


def _integer(stored: object) -> int:
    if not isinstance(stored, int) or stored < 0:
        raise IntegrityViolation
    return stored
