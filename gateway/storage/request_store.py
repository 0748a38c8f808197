"""What each request id made, per merchant and RPC."""

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import bindparam, select, update

from gateway.errors import InvariantBroken
from gateway.idempotency.ports import RequestRecord
from gateway.storage.codes import read_time, store_request_id, store_time
from gateway.storage.database import Connection
from gateway.storage.log_rows import Scope
from gateway.storage.statements import constant, insert_into, sql
from gateway.storage.tables import request_records
from gateway.words.identifiers import RequestId

_BATCH: Final = (
    request_records.c.scope == bindparam("scope"),
    request_records.c.request_id == bindparam("request_id"),
    request_records.c.rpc == bindparam("rpc"),
)
_KEY: Final = (*_BATCH, request_records.c.item == bindparam("item"))
_COLUMNS: Final = (
    request_records.c.digest,
    request_records.c.resource,
    request_records.c.entry_index,
    request_records.c.created_at,
    request_records.c.mismatches,
    request_records.c.item,
)
_SELECT: Final = sql(select(*_COLUMNS).where(*_KEY))
_SELECT_BATCH: Final = sql(select(*_COLUMNS).where(*_BATCH))
_INSERT: Final = insert_into(request_records)
_SET_ENTRY: Final = sql(
    update(request_records).where(*_KEY).values(entry_index=bindparam("entry_index"))
)
_COUNT_MISMATCH: Final = sql(
    update(request_records)
    .where(*_KEY)
    .values(mismatches=request_records.c.mismatches + constant(1))
)


class SqlRequestStore:
    """See gateway.idempotency.ports.RequestStore."""

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._connection = connection
        self._scope = scope

    def find(self, rpc: str, request_id: RequestId) -> RequestRecord | None:
        """See RequestStore.find."""
        row = self._connection.execute(_SELECT, self._key(rpc, request_id)).fetchone()
        if row is None:
            return None
        return _read(rpc, request_id, row)

    def find_items(
        self, rpc: str, request_id: RequestId
    ) -> Mapping[int, RequestRecord]:
        """See RequestStore.find_items."""
        rows = self._connection.execute(_SELECT_BATCH, self._key(rpc, request_id))
        records = (_read(rpc, request_id, row) for row in rows)
        return {record.item: record for record in records}

    def add(self, record: RequestRecord) -> None:
        """See RequestStore.add."""
        self.add_all([record])

    def add_all(self, records: Collection[RequestRecord]) -> None:
        """See RequestStore.add_all."""
        self._connection.executemany(
            _INSERT,
            [
                {
                    **self._key(record.rpc, record.request_id, record.item),
                    "digest": record.digest,
                    "resource": record.resource,
                    "entry_index": record.entry_index,
                    "created_at": store_time(record.created_at),
                    "mismatches": record.mismatches,
                }
                for record in records
            ],
        )

    def set_entry_index(self, rpc: str, request_id: RequestId, index: int) -> None:
        """See RequestStore.set_entry_index."""
        row = {**self._key(rpc, request_id), "entry_index": index}
        self._update(_SET_ENTRY, row)

    def count_mismatch(self, rpc: str, request_id: RequestId, item: int = 0) -> None:
        """See RequestStore.count_mismatch."""
        self._update(_COUNT_MISMATCH, self._key(rpc, request_id, item))

    def _update(self, statement: str, row: dict[str, int | str | bytes]) -> None:
        if self._connection.execute(statement, row).rowcount != 1:
            raise InvariantBroken

    def _key(
        self, rpc: str, request_id: RequestId, item: int = 0
    ) -> dict[str, int | str | bytes]:
        return {
            "scope": self._scope.row,
            "request_id": store_request_id(request_id),
            "rpc": rpc,
            "item": item,
        }


def _read(
    rpc: str, request_id: RequestId, row: tuple[bytes, str, int, int, int, int]
) -> RequestRecord:
    digest, resource, entry_index, created_at, mismatches, item = row
    return RequestRecord(
        rpc=rpc,
        request_id=request_id,
        digest=digest,
        resource=resource,
        entry_index=entry_index,
        created_at=read_time(created_at),
        mismatches=mismatches,
        item=item,
    )
