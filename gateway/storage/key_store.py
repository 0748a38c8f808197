"""The merchant's wrapping keys, each wrapped by an epoch key."""

from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select, update

from gateway.keys.ports import StoredWrappingKey
from gateway.storage.codes import (
    PURPOSES,
    read_optional_time,
    read_time,
    store_optional_time,
    store_time,
)
from gateway.storage.database import Connection
from gateway.storage.log_rows import Scope
from gateway.storage.statements import insert_into, sql
from gateway.storage.tables import scopes, wrapping_keys
from gateway.words.identifiers import MerchantId
from gateway.words.purposes import Purpose

_COLUMNS: Final = (
    wrapping_keys.c.key_id,
    wrapping_keys.c.purpose,
    wrapping_keys.c.epoch,
    wrapping_keys.c.wrapped,
    wrapping_keys.c.created_at,
    wrapping_keys.c.retired_at,
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
_RETIRE: Final = sql(
    update(wrapping_keys)
    .where(
        _OF_SCOPE,
        wrapping_keys.c.epoch == bindparam("of_epoch"),
        wrapping_keys.c.retired_at.is_(None),
    )
    .values(retired_at=bindparam("at"))
)
_MERCHANTS_WITH: Final = sql(
    select(scopes.c.merchant)
    .join(wrapping_keys, wrapping_keys.c.scope == scopes.c.scope)
    .where(
        wrapping_keys.c.epoch == bindparam("epoch"),
        wrapping_keys.c.retired_at.is_(None),
    )
    .distinct()
)


class SqlKeyStore:
    """See gateway.keys.ports.KeyStore."""

    def __init__(self, connection: Connection, scope: Scope) -> None:
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
                "retired_at": store_optional_time(key.retired_at),
            },
        )

    def retire(self, epoch: str, at: datetime) -> int:
        """See KeyStore.retire."""
        row = {"scope": self._scope.row, "of_epoch": epoch, "at": store_time(at)}
        return self._connection.execute(_RETIRE, row).rowcount

    def _one(
        self, statement: str, where: dict[str, int | str]
    ) -> StoredWrappingKey | None:
        row = self._connection.execute(
            statement, {"scope": self._scope.row, **where}
        ).fetchone()
        if row is None:
            return None
        key_id, purpose, epoch, wrapped, created_at, retired_at = row
        return StoredWrappingKey(
            key_id=key_id,
            purpose=PURPOSES.word(purpose),
            epoch=epoch,
            wrapped=wrapped,
            created_at=read_time(created_at),
            retired_at=read_optional_time(retired_at),
        )


def find_merchants_with(connection: Connection, epoch: str) -> list[MerchantId]:
    """See WrappingKeyHolders.merchants_with_epoch."""
    rows = connection.execute(_MERCHANTS_WITH, {"epoch": epoch})
    return [MerchantId(merchant) for (merchant,) in rows]
