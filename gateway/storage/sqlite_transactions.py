"""Transactions on SQLite's one writing connection, and what its errors mean."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from gateway.errors import GatewayError, InvariantBroken, StorageUnavailable
from gateway.storage.database import Verdict, chain
from gateway.words.identifiers import MerchantId

# After these the file, or what the kernel holds of it, cannot be relied upon: a failed
# fsync may have dropped pages that a later one reports as written.
_FATAL: Final = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
)
# But a write that was refused (a quota, a read-only mount) put nothing into the file
# that a rollback leaves there; the next one may succeed.
_RECOVERABLE: Final = frozenset({sqlite3.SQLITE_IOERR_WRITE})
_ADVICE: Final = {
    sqlite3.SQLITE_FULL: "the disk is full; free space, it goes on by itself",
    sqlite3.SQLITE_READONLY: (
        "the database cannot be written; look at its mode and its mount, it goes on by "
        "itself"
    ),
    sqlite3.SQLITE_IOERR: (
        "the disk refuses to be written; look at its quota, its mount and the kernel's "
        "log"
    ),
}
_STOPPED: Final = (
    "the disk failed or the database is damaged: nothing is written until a person "
    "looked at the disk, ran `bailee audit verify` and restarted the gateway"
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

    def judge(self, error: Exception) -> Verdict:
        """See Transactions.judge."""
        code = getattr(error, "sqlite_errorcode", 0)
        primary = code & _PRIMARY_CODE
        advice = _ADVICE.get(primary, "the last commit failed; it is tried again")
        stopped = primary in _FATAL and code not in _RECOVERABLE
        return Verdict(
            name=getattr(error, "sqlite_errorname", type(error).__name__),
            stops_writing=stopped,
            advice=_STOPPED if stopped else advice,
        )

    def probe(self) -> None:
        """See Transactions.probe: a number in the header that nobody reads."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        (number,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version={1 - number}")
        connection.execute("COMMIT")


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
