"""Wrapping keys, wrapped. See keys/ports.py."""

from typing import Final

from gateway.keys.ports import StoredWrappingKey
from gateway.storage.rows import Connection, Row, moment, to_milliseconds
from gateway.words.purposes import Purpose

_SELECT: Final = (
    "SELECT key_id, purpose, epoch, wrapped, created_at FROM wrapping_keys "
    "WHERE merchant_id = ?"
)
_NEWEST: Final = _SELECT + " AND purpose = ? AND epoch = ?"
_FIND: Final = _SELECT + " AND key_id = ?"
_ADD: Final = "INSERT INTO wrapping_keys VALUES (?, ?, ?, ?, ?, ?)"


class SqliteKeyStore:
    """See KeyStore."""

    def __init__(self, connection: Connection, merchant_id: int) -> None:
        self._connection = connection
        self._merchant_id = merchant_id

    def newest(self, purpose: Purpose, epoch: str) -> StoredWrappingKey | None:
        """See KeyStore.newest."""
        values = (self._merchant_id, purpose.value, epoch)
        return _read(self._connection.execute(_NEWEST, values).fetchone())

    def find(self, key_id: str) -> StoredWrappingKey | None:
        """See KeyStore.find."""
        values = (self._merchant_id, key_id)
        return _read(self._connection.execute(_FIND, values).fetchone())

    def add(self, key: StoredWrappingKey) -> None:
        """See KeyStore.add."""
        values = (
            self._merchant_id,
            key.key_id,
            key.purpose.value,
            key.epoch,
            key.wrapped,
            to_milliseconds(key.created_at),
        )
        self._connection.execute(_ADD, values)


def _read(row: Row | None) -> StoredWrappingKey | None:
    if row is None:
        return None
    key_id, purpose, epoch, wrapped, created_at = row
    return StoredWrappingKey(
        key_id=key_id,
        purpose=Purpose(purpose),
        epoch=epoch,
        wrapped=wrapped,
        created_at=moment(created_at),
    )
