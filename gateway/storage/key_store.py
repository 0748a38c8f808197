"""The merchant's wrapping keys, each wrapped by an epoch key."""

import sqlite3
from typing import Final

from sqlalchemy import bindparam, select

from gateway.keys.ports import StoredWrappingKey
from gateway.storage.codes import PURPOSES, read_time, store_time
from gateway.storage.log_rows import Scope
from gateway.storage.statements import insert_into, sql
from gateway.storage.tables import wrapping_keys
from gateway.words.purposes import Purpose

_COLUMNS: Final = (
    wrapping_keys.c.key_id,
    wrapping_keys.c.purpose,
    wrapping_keys.c.epoch,
    wrapping_keys.c.wrapped,
    wrapping_keys.c.created_at,
)
_OF_SCOPE: Final = wrapping_keys.c.scope == bindparam("scope")
_SELECT_NEWEST: Final = sql(
    select(*_COLUMNS)
    .where(
        _OF_SCOPE,
        wrapping_keys.c.purpose == bindparam("purpose"),
        wrapping_keys.c.epoch == bindparam("epoch"),
    )
    .order_by(wrapping_keys.c.created_at.desc(), wrapping_keys.c.wrapping_key.desc())
)
_SELECT_BY_ID: Final = sql(
    select(*_COLUMNS).where(_OF_SCOPE, wrapping_keys.c.key_id == bindparam("key_id"))
)
_INSERT: Final = insert_into(wrapping_keys)


class SqliteKeyStore:
    """See gateway.keys.ports.KeyStore."""

    def __init__(self, connection: sqlite3.Connection, scope: Scope) -> None:
        self._connection = connection
        self._scope = scope

    def newest(self, purpose: Purpose, epoch: str) -> StoredWrappingKey | None:
        """See KeyStore.newest."""
        return self._one(
            _SELECT_NEWEST, {"purpose": PURPOSES.code(purpose), "epoch": epoch}
        )

    def find(self, key_id: str) -> StoredWrappingKey | None:
        """See KeyStore.find."""
        return self._one(_SELECT_BY_ID, {"key_id": key_id})

    def add(self, key: StoredWrappingKey) -> None:
        """See KeyStore.add."""
        self._connection.execute(
            _INSERT,
            {
                "scope": self._scope.row,
                "key_id": key.key_id,
                "purpose": PURPOSES.code(key.purpose),
                "epoch": key.epoch,
                "wrapped": key.wrapped,
                "created_at": store_time(key.created_at),
            },
        )

    def _one(
        self, statement: str, where: dict[str, int | str]
    ) -> StoredWrappingKey | None:
        row = self._connection.execute(
            statement, {"scope": self._scope.row, **where}
        ).fetchone()
        if row is None:
            return None
        key_id, purpose, epoch, wrapped, created_at = row
        return StoredWrappingKey(
            key_id=key_id,
            purpose=PURPOSES.word(purpose),
            epoch=epoch,
            wrapped=wrapped,
            created_at=read_time(created_at),
        )
