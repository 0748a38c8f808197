"""Transactions on SQLite's one writing connection, and what its errors mean."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from gateway.errors import GatewayError, InvariantBroken, StorageUnavailable
from gateway.storage.database import chain
from gateway.words.identifiers import MerchantId

# After these the file, or what the kernel holds of it, cannot be relied upon: a failed
# fsync may have dropped pages that a later one reports as written.
_FATAL: Final = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
)
_PRIMARY_CODE: Final = 0xFF
# What the database refuses because of what it was asked, not because of how it is.
_BUGS: Final = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
)


class SqliteTransactions:
    """See database.Transactions. One process writes, so nothing need be locked."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)
    refusals: tuple[type[Exception], ...] = (sqlite3.IntegrityError,)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def connection(self) -> sqlite3.Connection:
        """See Transactions.connection."""
        return self._connection

    @property
    def is_open(self) -> bool:
        """See Transactions.is_open. A full disk ends the whole transaction."""
        return self._connection.in_transaction

    def begin(self, merchants: Sequence[MerchantId]) -> None:  # noqa: ARG002 - the port's
        """See Transactions.begin."""
        self._connection.execute("BEGIN IMMEDIATE")

    def save(self) -> None:
        """See Transactions.save."""
        self._connection.execute("SAVEPOINT unit")

    def keep(self) -> None:
        """See Transactions.keep."""
        self._connection.execute("RELEASE unit")

    def undo(self) -> None:
        """See Transactions.undo."""
        self._connection.execute("ROLLBACK TO unit")
        self._connection.execute("RELEASE unit")

    def commit(self) -> None:
        """See Transactions.commit."""
        self._connection.execute("COMMIT")

    def roll_back(self) -> None:
        """See Transactions.roll_back."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def translate(self, error: BaseException) -> BaseException:
        """See Transactions.translate."""
        return translate(error)

    def stops_writing(self, error: Exception) -> bool:
        """See Transactions.stops_writing."""
        return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE in _FATAL

    def name_of(self, error: Exception) -> str:
        """See Transactions.name_of."""
        name: str = getattr(error, "sqlite_errorname", type(error).__name__)
        return name


def translate(error: BaseException) -> BaseException:
    """Returns the error that a caller may see."""
    if isinstance(error, GatewayError) or not isinstance(error, sqlite3.Error):
        return error
    if isinstance(error, _BUGS):
        return chain(InvariantBroken(), error)
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
    if code == sqlite3.SQLITE_READONLY:
        return chain(InvariantBroken(), error)
    return chain(StorageUnavailable(), error)
