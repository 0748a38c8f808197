"""Request records. See idempotency/ports.py."""

from typing import Final
from uuid import UUID

from gateway.idempotency.ports import RequestRecord
from gateway.storage.rows import Connection, moment, to_milliseconds
from gateway.words.identifiers import RequestId

_WHERE: Final = " WHERE merchant_id = ? AND rpc = ? AND request_id = ?"
_FIND: Final = (
    "SELECT digest, resource, entry_index, created_at, mismatches FROM request_records"
    + _WHERE
)
_ADD: Final = "INSERT INTO request_records VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_SET_ENTRY: Final = "UPDATE request_records SET entry_index = ?" + _WHERE
_COUNT: Final = "UPDATE request_records SET mismatches = mismatches + 1" + _WHERE


class SqliteRequestStore:
    """See RequestStore."""

    def __init__(self, connection: Connection, merchant_id: int) -> None:
        self._connection = connection
        self._merchant_id = merchant_id

    def find(self, rpc: str, request_id: RequestId) -> RequestRecord | None:
        """See RequestStore.find."""
        key = self._key(rpc, request_id)
        row = self._connection.execute(_FIND, key).fetchone()
        if row is None:
            return None
        digest, resource, entry_index, created_at, mismatches = row
        return RequestRecord(
            rpc=rpc,
            request_id=request_id,
            digest=digest,
            resource=resource,
            entry_index=entry_index,
            created_at=moment(created_at),
            mismatches=mismatches,
        )

    def add(self, record: RequestRecord) -> None:
        """See RequestStore.add."""
        values = (
            *self._key(record.rpc, record.request_id),
            record.digest,
            record.resource,
            record.entry_index,
            to_milliseconds(record.created_at),
            record.mismatches,
        )
        self._connection.execute(_ADD, values)

    def set_entry_index(self, rpc: str, request_id: RequestId, index: int) -> None:
        """See RequestStore.set_entry_index."""
        self._connection.execute(_SET_ENTRY, (index, *self._key(rpc, request_id)))

    def count_mismatch(self, rpc: str, request_id: RequestId) -> None:
        """See RequestStore.count_mismatch."""
        self._connection.execute(_COUNT, self._key(rpc, request_id))

    def _key(self, rpc: str, request_id: RequestId) -> tuple[int, str, bytes]:
        return self._merchant_id, rpc, UUID(request_id).bytes
