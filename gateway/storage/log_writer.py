"""Sequencing: which entry gets which position, and the tree head it moves to.

Invariants:
  * Entries are inserted, and the head moved, in the transaction of the units that
    appended them; a unit that is undone leaves neither entry nor gap.
  * The head in memory moves only after the commit, so undoing never has to restore it.
  * A receipt is refused until its entry is durable (I5).
  * A stored salt names a card that is stored and not erased.

Everything here runs on the storage thread, except ``AppendedEntry.receipt`` and the
look-up of a published head.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import bindparam, null, update

from gateway.audit.checkpoint import checkpoint_text, origin_of, signed_note
from gateway.audit.entry import Entry
from gateway.audit.leaf import encode_leaf
from gateway.audit.ports import CheckpointSigner, Receipt
from gateway.audit.receipts import format_proof
from gateway.audit.tree import (
    FindNode,
    Frontier,
    Growth,
    find_among,
    grow,
    inclusion_path,
    leaf_hash,
)
from gateway.errors import AuditUnavailable, InvariantBroken
from gateway.storage.database import Connection, Transactions
from gateway.storage.log_rows import LogRows, Scope
from gateway.storage.log_tables import log_entries, log_heads
from gateway.storage.statements import insert_into, sql, upsert
from gateway.words.identifiers import CardTokenName, MerchantId

# C2SP tlog-tiles gives an entry's length two bytes.
_LEAF_BYTES_MAX: Final = 65_535

_INSERT_ENTRY: Final = insert_into(log_entries)
_head: Final = upsert(log_heads)
_PUT_HEAD: Final = sql(
    _head.on_conflict_do_update(
        index_elements=[log_heads.c.scope, log_heads.c.generation],
        set_={"size": _head.excluded.size, "frontier": _head.excluded.frontier},
    )
)
_ERASE_SALTS: Final = sql(
    update(log_entries)
    .where(
        log_entries.c.card == bindparam("of_card"),
        log_entries.c.scope == bindparam("scope"),
    )
    .values(card_salt=null(), object_salt=null())
)

# Finds a card's number and whether it is erased; None for a card that is not stored.
FindCard = Callable[[CardTokenName], tuple[int, bool] | None]


@dataclass(frozen=True, slots=True)
class Head:
    """A committed tree and the origin it belongs to."""

    origin: str
    frontier: Frontier


class Notary:
    """Signs checkpoints of committed heads, each once."""

    def __init__(self, signer: CheckpointSigner) -> None:
        self._signer = signer
        self._public_key = signer.public_key
        self._newest: dict[str, tuple[bytes, str]] = {}

    def note(self, head: Head) -> str:
        """Returns the head's checkpoint as a signed note."""
        frontier = head.frontier
        text = checkpoint_text(head.origin, frontier.size, frontier.root())
        newest = self._newest.get(head.origin)
        if newest is not None and newest[0] == text:
            return newest[1]
        signature = self._signer.sign(text)
        note = signed_note(text, head.origin, self._public_key, signature)
        self._newest[head.origin] = (text, note)
        return note


@dataclass(slots=True, eq=False)
class Extension:
    """What one transaction adds to one log; its receipts share one checkpoint."""

    scope: Scope
    before: Head
    notary: Notary
    entries: list["AppendedEntry"] = field(default_factory=list)
    grown: Frontier | None = None
    after: Head | None = None
    find_node: FindNode | None = None
    note: str | None = None

    def grow(self) -> Growth:
        """Computes the head that the transaction moves to."""
        hashes = [leaf_hash(entry.leaf) for entry in self.entries]
        growth = grow(self.before.frontier, hashes)
        self.grown = growth.frontier
        self.find_node = find_among(self.before.frontier, growth.nodes)
        return growth

    def proof(self, position: int) -> str:
        """Returns the proof of one of the entries.

        Raises:
            InvariantBroken: The transaction is not durable.
        """
        if self.after is None or self.find_node is None:
            raise InvariantBroken
        if self.note is None:
            self.note = self.notary.note(self.after)
        size = self.after.frontier.size
        path = inclusion_path(position, size, self.find_node)
        return format_proof(position, path, self.note)


@dataclass(slots=True, eq=False)
class AppendedEntry:
    """See gateway.audit.ports.Appended."""

    extension: Extension = field(repr=False)
    index: int
    leaf: bytes
    card: CardTokenName | None
    card_salt: bytes | None = field(repr=False)
    object_salt: bytes | None = field(repr=False)
    card_row: int | None = None
    keeps_salts: bool = True
    undone: bool = False

    @property
    def is_durable(self) -> bool:
        """See Appended.is_durable."""
        return self.extension.after is not None and not self.undone

    def receipt(self) -> Receipt:
        """See Appended.receipt."""
        if not self.is_durable:
            raise InvariantBroken
        proof = self.extension.proof(self.index)
        return Receipt(self.leaf, proof, self.card_salt, self.object_salt)


class LogWriter:
    """The logs of all merchants, on the storage thread."""

    def __init__(
        self,
        transactions: Transactions,
        *,
        notary: Notary,
        vault_id: str,
        build: str,
    ) -> None:
        self._transactions = transactions
        self._connection = transactions.connection
        self._notary = notary
        self._vault_id = vault_id
        self._build = build
        self._heads: dict[MerchantId, Head] = {}
        self._extensions: dict[MerchantId, Extension] = {}
        self._erased: set[tuple[int, int]] = set()

    def published(self, merchant: MerchantId) -> Head | None:
        """Returns the newest committed head, if this process knows it.

        Safe on any thread. A snapshot that begins afterwards has every row of it.
        """
        return self._heads.get(merchant)

    def published_heads(self) -> dict[MerchantId, Head]:
        """Returns every committed head that this process knows. Safe on any thread."""
        # One step for the interpreter: no other thread changes the heads during it.
        return self._heads.copy()

    def committed_head(self, scope: Scope) -> Head:
        """Returns the newest committed head, read from the database on first use.

        Raises:
            IntegrityViolation: The stored log is damaged.
        """
        head = self._heads.get(scope.merchant)
        if head is None:
            head = read_head(self._connection, scope, self._vault_id)
            self._heads[scope.merchant] = head
        return head

    def append(self, scope: Scope, entry: Entry) -> AppendedEntry:
        """Gives the entry the next position in this transaction.

        Raises:
            InvariantBroken: An entry of another merchant, or too long for a tile.
            AuditUnavailable: The log's head cannot be read.
            IntegrityViolation: The stored log is damaged.
        """
        leaf = encode_leaf(entry, build=self._build)
        if entry.merchant != scope.merchant or len(leaf) > _LEAF_BYTES_MAX:
            raise InvariantBroken
        extension = self._extension(scope)
        appended = AppendedEntry(
            extension=extension,
            index=extension.before.frontier.size + len(extension.entries),
            leaf=leaf,
            card=entry.card,
            card_salt=entry.card_salt,
            object_salt=entry.object_salt,
        )
        extension.entries.append(appended)
        return appended

    def _extension(self, scope: Scope) -> Extension:
        extension = self._extensions.get(scope.merchant)
        if extension is None:
            try:
                head = self.committed_head(scope)
            except self._transactions.errors as error:
                raise AuditUnavailable from error
            extension = Extension(scope, head, self._notary)
            self._extensions[scope.merchant] = extension
        return extension

    def mark(self, scope: Scope) -> int:
        """Returns how many entries the transaction has, to undo or finish from."""
        extension = self._extensions.get(scope.merchant)
        return 0 if extension is None else len(extension.entries)

    def undo(self, scope: Scope, mark: int) -> None:
        """Takes back what a unit appended."""
        extension = self._extensions.get(scope.merchant)
        if extension is None:
            return
        for entry in extension.entries[mark:]:
            entry.undone = True
        del extension.entries[mark:]

    def finish(self, scope: Scope, mark: int, find_card: FindCard) -> None:
        """Resolves the cards that a unit's entries name, while its rows are at hand.

        The salts of an entry are kept only as long as erasing its card would find them:
        not for a card that is erased, nor for one that was never stored.
        """
        extension = self._extensions.get(scope.merchant)
        if extension is None:
            return
        for entry in extension.entries[mark:]:
            if entry.card is not None:
                found = find_card(entry.card)
                entry.keeps_salts = found is not None and not found[1]
                entry.card_row = None if found is None else found[0]

    def erase_salts(self, scope: Scope, card: int) -> None:
        """Makes the transaction erase the salts of every entry that names the card."""
        self._erased.add((scope.row, card))

    def insert(self) -> None:
        """Writes entries and heads into the open transaction."""
        for extension in self._extensions.values():
            if extension.entries:
                self._insert(extension)
        for scope, card in self._erased:
            self._connection.execute(_ERASE_SALTS, {"scope": scope, "of_card": card})

    def _insert(self, extension: Extension) -> None:
        growth = extension.grow()
        log = {
            "scope": extension.scope.row,
            "generation": extension.scope.log_generation,
        }
        nodes = _inner_nodes(growth)
        self._connection.executemany(
            _INSERT_ENTRY,
            [
                {
                    **log,
                    "position": entry.index,
                    "leaf": entry.leaf,
                    "nodes": nodes[entry.index],
                    "card": entry.card_row,
                    "card_salt": entry.card_salt if entry.keeps_salts else None,
                    "object_salt": entry.object_salt if entry.keeps_salts else None,
                }
                for entry in extension.entries
            ],
        )
        size, hashes = growth.frontier.size, b"".join(growth.frontier.hashes)
        head = {**log, "size": size, "frontier": hashes}
        self._connection.execute(_PUT_HEAD, head)

    def committed(self) -> None:
        """Moves the heads: what was inserted is durable now."""
        for merchant, extension in self._extensions.items():
            if extension.grown is not None:
                head = Head(extension.before.origin, extension.grown)
                self._heads[merchant] = head
                extension.after = head
        self.begin()

    def begin(self) -> None:
        """Starts a transaction with nothing appended."""
        self._extensions = {}
        self._erased = set()

    def forget(self) -> None:
        """Drops every head: the next use reads and checks it again."""
        self._heads = {}
        self.begin()

    def forget_merchant(self, merchant: MerchantId) -> None:
        """Drops what is known of a merchant whose creation was undone."""
        self._heads.pop(merchant, None)
        self._extensions.pop(merchant, None)


def read_head(connection: Connection, scope: Scope, vault_id: str) -> Head:
    """Reads a log's head from the database and checks it against the rows.

    Raises:
        IntegrityViolation: The stored log is damaged.
    """
    origin = origin_of(vault_id, scope.merchant, scope.log_generation)
    return Head(origin, LogRows(connection, scope).head())


def _inner_nodes(growth: Growth) -> dict[int, bytes]:
    """Returns, by position, the nodes above the leaves that each leaf completed."""
    completed: dict[int, bytes] = {}
    position = 0
    for level, index, value in growth.nodes:
        if level == 0:
            position = index
            completed[position] = b""
        else:
            completed[position] += value
    return completed
