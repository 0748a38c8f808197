"""The merchant's log inside a unit, sequenced in the transaction it describes.

Invariants:
  * A unit that is undone takes its entries, nodes and the frontier back with it.
  * The head row is written once for each merchant and commit, and the checkpoint is
    signed at most once for each, after the commit and never before (I5).
"""

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.sqlite import insert as upsert

from gateway.audit import checkpoint as notes
from gateway.audit import tree
from gateway.audit.entry import Entry
from gateway.audit.leaf import encode_leaf
from gateway.audit.ports import CheckpointSigner, Receipt
from gateway.audit.receipts import format_proof
from gateway.errors import IntegrityViolation, InvariantBroken
from gateway.storage.rows import Connection
from gateway.storage.tables import log_heads, sql
from gateway.words.identifiers import MerchantId

_HASH_BYTES: Final = 32

_ADD_ENTRY: Final = (
    "INSERT INTO log_entries (merchant_id, generation, position, leaf, card_id, "
    "card_salt, object_salt) VALUES (?, ?, ?, ?, (SELECT id FROM cards WHERE "
    "merchant_id = ? AND token = ?), ?, ?)"
)
_ADD_NODE: Final = "INSERT INTO log_nodes VALUES (?, ?, ?, ?, ?)"
_FIND_HEAD: Final = sql(
    select(log_heads.c.size, log_heads.c.frontier).where(
        log_heads.c.merchant_id == bindparam("merchant_id"),
        log_heads.c.generation == bindparam("generation"),
    )
)
_put_head = upsert(log_heads)
_PUT_HEAD: Final = sql(
    _put_head.on_conflict_do_update(
        index_elements=["merchant_id", "generation"],
        set_={"size": _put_head.excluded.size, "frontier": _put_head.excluded.frontier},
    )
)
_FIND_NODE: Final = (
    "SELECT hash FROM log_nodes WHERE merchant_id = ? AND generation = ? "
    "AND level = ? AND position = ?"
)
_FIND_ENTRY: Final = (
    "SELECT leaf, card_salt, object_salt FROM log_entries "
    "WHERE merchant_id = ? AND generation = ? AND position = ?"
)
_LEAVES: Final = (
    "SELECT leaf FROM log_entries WHERE merchant_id = ? AND generation = ? "
    "AND position >= ? AND position < ? ORDER BY position"
)
_COUNT: Final = (
    "SELECT COALESCE(MAX(position) + 1, 0) FROM log_entries "
    "WHERE merchant_id = ? AND generation = ?"
)


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """Which log: the row ids, the origin, and who signs it."""

    merchant_id: int
    merchant: MerchantId
    generation: int
    origin: str
    signer: CheckpointSigner
    build: str


@dataclass(slots=True)
class SignedHead:
    """A committed head; its note is made on first use and shared."""

    identity: LogIdentity
    size: int
    root: bytes
    find_node: tree.FindNode
    _note: str = ""

    def note(self) -> str:
        """Returns the signed checkpoint."""
        if not self._note:
            signer, origin = self.identity.signer, self.identity.origin
            text = notes.checkpoint_text(origin, self.size, self.root)
            signature = signer.sign(text)
            self._note = notes.signed_note(text, origin, signer.public_key, signature)
        return self._note


@dataclass(slots=True, eq=False)
class AppendedEntry:
    """An entry of a unit; durable once its commit gave it a head."""

    index: int
    leaf: bytes
    card_salt: bytes | None
    object_salt: bytes | None
    head: SignedHead | None = None

    @property
    def is_durable(self) -> bool:
        """See Appended.is_durable."""
        return self.head is not None

    def receipt(self) -> Receipt:
        """See Appended.receipt."""
        if self.head is None:
            raise InvariantBroken
        path = tree.inclusion_path(self.index, self.head.size, self.head.find_node)
        proof = format_proof(self.index, path, self.head.note())
        return Receipt(self.leaf, proof, self.card_salt, self.object_salt)


@dataclass(slots=True)
class OpenLog:
    """A merchant's log during one commit: what units appended so far."""

    identity: LogIdentity
    before: tree.Frontier
    frontier: tree.Frontier
    nodes: list[tree.Node] = field(default_factory=list)
    entries: list[AppendedEntry] = field(default_factory=list)

    def mark(self) -> tuple[tree.Frontier, int, int]:
        """Returns a point to go back to."""
        return self.frontier, len(self.nodes), len(self.entries)

    def go_back(self, mark: tuple[tree.Frontier, int, int]) -> None:
        """Forgets what was appended since the mark."""
        self.frontier, nodes, entries = mark
        del self.nodes[nodes:]
        del self.entries[entries:]

    def save_head(self, connection: Connection) -> None:
        """Writes the head row, inside the commit's transaction."""
        values = {
            "merchant_id": self.identity.merchant_id,
            "generation": self.identity.generation,
            "size": self.frontier.size,
            "frontier": b"".join(self.frontier.hashes),
        }
        connection.execute(_PUT_HEAD, values)

    def publish(self) -> None:
        """Makes the entries durable: call after the commit."""
        find = tree.find_among(self.before, self.nodes)
        head = SignedHead(self.identity, self.frontier.size, self.frontier.root(), find)
        for entry in self.entries:
            entry.head = head


class LogStore:
    """See AuditLog. One for each unit."""

    def __init__(
        self, connection: Connection, identity: LogIdentity, log: OpenLog | None
    ) -> None:
        self._connection = connection
        self._identity = identity
        self._log = log

    def append(self, entry: Entry) -> AppendedEntry:
        """See AuditLog.append."""
        log = self._log
        if log is None or entry.merchant != self._identity.merchant:
            raise InvariantBroken
        leaf = encode_leaf(entry, build=self._identity.build)
        growth = tree.grow(log.frontier, [tree.leaf_hash(leaf)])
        who = (self._identity.merchant_id, self._identity.generation)
        index = log.frontier.size
        self._connection.execute(
            _ADD_ENTRY,
            (*who, index, leaf, who[0], entry.card, entry.card_salt, entry.object_salt),
        )
        if len(growth.nodes) > 1:
            inner = [(*who, *node) for node in growth.nodes if node[0]]
            self._connection.executemany(_ADD_NODE, inner)
        log.frontier = growth.frontier
        log.nodes += growth.nodes
        appended = AppendedEntry(index, leaf, entry.card_salt, entry.object_salt)
        log.entries.append(appended)
        return appended

    def receipt(self, index: int) -> Receipt:
        """See AuditLog.receipt."""
        head = StoredLog(self._connection, self._identity).head()
        if not 0 <= index < head.size:
            raise IntegrityViolation
        who = (self._identity.merchant_id, self._identity.generation, index)
        row = self._connection.execute(_FIND_ENTRY, who).fetchone()
        if row is None:
            raise IntegrityViolation
        leaf, card_salt, object_salt = row
        return AppendedEntry(index, leaf, card_salt, object_salt, head).receipt()


class StoredLog:
    """See LogReader. A merchant's committed log, for proofs, checks and exports."""

    def __init__(self, connection: Connection, identity: LogIdentity) -> None:
        self._connection = connection
        self._identity = identity
        self._who = (identity.merchant_id, identity.generation)

    @property
    def origin(self) -> str:
        """The log's name in its checkpoints."""
        return self._identity.origin

    def checkpoint(self) -> str:
        """See LogReader.checkpoint. It is signed when it is asked for."""
        return self.head().note()

    def size(self) -> int:
        """See LogReader.size."""
        size: int
        (size,) = self._connection.execute(_COUNT, self._who).fetchone()
        return size

    def head(self) -> SignedHead:
        """Returns the committed head, ready to be signed."""
        frontier = self.frontier()
        return SignedHead(self._identity, frontier.size, frontier.root(), self.node)

    def frontier(self) -> tree.Frontier:
        """Returns the committed head's frontier.

        Raises:
            IntegrityViolation: The head row is damaged.
        """
        merchant_id, generation = self._who
        row = self._connection.execute(
            _FIND_HEAD, {"merchant_id": merchant_id, "generation": generation}
        ).fetchone()
        if row is None:
            return tree.EMPTY
        size, joined = row
        hashes = tuple(
            joined[place : place + _HASH_BYTES]
            for place in range(0, len(joined), _HASH_BYTES)
        )
        if len(hashes) != size.bit_count():
            raise IntegrityViolation
        return tree.Frontier(size, hashes)

    def node(self, level: int, index: int) -> bytes:
        """Returns a stored node; a leaf's is computed from the leaf.

        Raises:
            IntegrityViolation: It is not there.
        """
        if level == 0:
            row = self._connection.execute(_FIND_ENTRY, (*self._who, index)).fetchone()
            return tree.leaf_hash(_present(row)[0])
        row = self._connection.execute(
            _FIND_NODE, (*self._who, level, index)
        ).fetchone()
        value: bytes = _present(row)[0]
        return value

    def leaves(self, start: int, stop: int) -> list[bytes]:
        """Returns the leaves of a range that are there, in order."""
        rows = self._connection.execute(_LEAVES, (*self._who, start, stop)).fetchall()
        return [row[0] for row in rows]


def _present(row: tuple[bytes, ...] | None) -> tuple[bytes, ...]:
    if row is None:
        raise IntegrityViolation
    return row
