"""The log as units and readers see it: units that commit append, all of them prove."""

from gateway.audit.checkpoint import origin_of
from gateway.audit.entry import Entry
from gateway.audit.ports import Appended, Receipt
from gateway.audit.receipts import format_proof
from gateway.audit.tree import inclusion_path
from gateway.errors import IntegrityViolation, InvariantBroken, MerchantNotFound
from gateway.storage.database import Connection
from gateway.storage.log_rows import LogRows, Scope
from gateway.storage.log_writer import Head, LogWriter, Notary, read_head


class AppendingLog:
    """See gateway.audit.ports.AuditLog; in a unit that commits."""

    def __init__(
        self,
        connection: Connection,
        scope: Scope,
        *,
        writer: LogWriter,
        notary: Notary,
    ) -> None:
        self._connection = connection
        self._scope = scope
        self._writer = writer
        self._notary = notary

    def append(self, entry: Entry) -> Appended:
        """See AuditLog.append.

        Raises:
            MerchantNotFound: The unit's merchant was never created.
            InvariantBroken: The entry belongs to another merchant.
        """
        if not self._scope.row:
            raise MerchantNotFound
        return self._writer.append(self._scope, entry)

    def receipt(self, index: int) -> Receipt:
        """See AuditLog.receipt. Entries of this transaction are not committed yet."""
        head = self._writer.committed_head(self._scope)
        return prove(LogRows(self._connection, self._scope), head, self._notary, index)

    def committed(self) -> "StoredLog":
        """Refuses: what this transaction adds has no checkpoint yet."""
        raise InvariantBroken


class ReadingLog:
    """See gateway.audit.ports.AuditLog; in a unit that only reads."""

    def __init__(
        self,
        connection: Connection,
        scope: Scope,
        *,
        published: Head | None,
        vault_id: str,
        notary: Notary,
    ) -> None:
        """Binds the log to a snapshot.

        Args:
            connection: One that reads.
            scope: Whose log it is.
            published: The newest head that the writer had published before the
                snapshot began; without one, or for a newer entry, the head is read
                and checked.
            vault_id: The first part of the log's origin.
            notary: Signs the checkpoint.
        """
        self._connection = connection
        self._scope = scope
        self._published = published
        self._vault_id = vault_id
        self._notary = notary

    def append(self, entry: Entry) -> Appended:  # noqa: ARG002 - the port's
        """Refuses: a read must not write."""
        raise InvariantBroken

    def receipt(self, index: int) -> Receipt:
        """See AuditLog.receipt.

        A transaction is visible a moment before its heads are published, so the
        snapshot may have entries that the published head does not.
        """
        head = self._published
        if head is None or index >= head.frontier.size:
            head = read_head(self._connection, self._scope, self._vault_id)
        return prove(LogRows(self._connection, self._scope), head, self._notary, index)

    def committed(self) -> "StoredLog":
        """See AuditLog.committed."""
        if not self._scope.row:
            raise MerchantNotFound
        scope = self._scope
        origin = origin_of(self._vault_id, scope.merchant, scope.log_generation)
        return StoredLog(self._connection, scope, origin=origin, notary=self._notary)


def prove(rows: LogRows, head: Head, notary: Notary, index: int) -> Receipt:
    """Returns a receipt of a committed entry under a committed head.

    Raises:
        IntegrityViolation: There is no such entry.
    """
    size = head.frontier.size
    if not 0 <= index < size:
        raise IntegrityViolation
    entry = rows.entry(index)
    path = inclusion_path(index, size, rows.node)
    proof = format_proof(index, path, notary.note(head))
    return Receipt(entry.leaf, proof, entry.card_salt, entry.object_salt)


class StoredLog:
    """See gateway.audit.ports.LogReader. A merchant's committed log, as it is stored:
    nothing is compared here, because who reads it wants to see what is wrong.
    """

    def __init__(
        self,
        connection: Connection,
        scope: Scope,
        *,
        origin: str,
        notary: Notary,
    ) -> None:
        self._rows = LogRows(connection, scope)
        self._notary = notary
        self.origin = origin

    def checkpoint(self) -> str:
        """See LogReader.checkpoint. It is signed when it is asked for."""
        return self._notary.note(Head(self.origin, self._rows.stored_head()))

    def size(self) -> int:
        """See LogReader.size."""
        return self._rows.count()

    def leaves(self, start: int, stop: int) -> list[bytes]:
        """See LogReader.leaves."""
        return self._rows.leaves(start, stop)

    def node(self, level: int, index: int) -> bytes:
        """See LogReader.node."""
        return self._rows.node(level, index)
