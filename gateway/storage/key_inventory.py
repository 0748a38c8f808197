"""Every wrapping key of every merchant, read beside a gateway that may be serving."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from gateway.keys.ports import Epoch, WrapsFor
from gateway.storage.codes import WRAPS_FOR, read_optional_time, read_time
from gateway.storage.epoch_store import SqlEpochStore
from gateway.storage.log_rows import Scope
from gateway.storage.statements import sql
from gateway.storage.tables import data_keys, scopes, wrapping_keys
from gateway.words.identifiers import GATEWAY, MerchantId

_copies: Final = (
    select(data_keys.c.wrapping_key, func.count().label("copies"))
    .group_by(data_keys.c.wrapping_key)
    .subquery("counted")
)
_WRAPPING_KEYS: Final = sql(
    select(
        scopes.c.merchant,
        wrapping_keys.c.key_id,
        wrapping_keys.c.purpose,
        wrapping_keys.c.epoch,
        wrapping_keys.c.created_at,
        wrapping_keys.c.retired_at,
        _copies.c.copies,
    )
    .join(scopes, scopes.c.scope == wrapping_keys.c.scope)
    .outerjoin(_copies, _copies.c.wrapping_key == wrapping_keys.c.wrapping_key)
    .order_by(wrapping_keys.c.wrapping_key)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappingKeyRow:
    """A wrapping key without its bytes, and how many copies it wraps."""

    merchant: MerchantId
    key_id: str
    purpose: WrapsFor
    epoch: str
    created_at: datetime
    retired_at: datetime | None
    copies: int


class KeyInventory:
    """One moment of the keys in a database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use ``open_key_inventory``."""
        self._connection = connection

    def epochs(self) -> list[Epoch]:
        """Returns every epoch, the newest first."""
        return list(SqlEpochStore(self._connection, Scope(GATEWAY)).all())

    def wrapping_keys(self) -> Iterator[WrappingKeyRow]:
        """Returns every wrapping key, the oldest first."""
        for (
            merchant,
            key_id,
            purpose,
            epoch,
            created_at,
            retired_at,
            copies,
        ) in self._connection.execute(_WRAPPING_KEYS):
            yield WrappingKeyRow(
                merchant=MerchantId(merchant),
                key_id=key_id,
                purpose=WRAPS_FOR.word(purpose),
                epoch=epoch,
                created_at=read_time(created_at),
                retired_at=read_optional_time(retired_at),
                copies=copies or 0,
            )


@contextmanager
def open_key_inventory(path: Path) -> Iterator[KeyInventory]:
    """Opens the database in one snapshot.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    address = f"{path.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        yield KeyInventory(reader)
