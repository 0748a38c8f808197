"""What the storage thread does with a batch of units.

Invariants:
  * One transaction, one savepoint for each unit: a unit that raises is undone alone.
  * What is known about rows of an open transaction (merchants, heads) is kept only
    once it commits.
  * A unit that only a commit finds fault with fails alone: the others run again.
"""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from gateway.errors import (
    GatewayError,
    InvariantBroken,
    StorageUnavailable,
)
from gateway.storage.anchor import Erasure
from gateway.storage.batcher import QueuedUnit
from gateway.storage.log_rows import Scope
from gateway.storage.log_store import AppendingLog
from gateway.storage.log_writer import LogWriter, Notary
from gateway.storage.merchant_store import find_scope
from gateway.storage.unit import SqliteUnit
from gateway.words.identifiers import MerchantId

_log: Final = logging.getLogger(__name__)

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


class Writer:
    """Runs units on the writing connection. Only the storage thread calls it.

    ``note_erasures`` is told of erased cards before their erasure commits.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        log: LogWriter,
        notary: Notary,
        scopes: dict[MerchantId, Scope],
    ) -> None:
        """Binds the writer to its connection.

        Args:
            connection: The one that writes.
            log: The logs of every merchant.
            notary: Signs the checkpoints of replayed receipts.
            scopes: The merchants known to be committed; shared with readers.
        """
        self._connection = connection
        self._log = log
        self._notary = notary
        self._scopes = scopes
        self._uncommitted: dict[MerchantId, Scope] = {}
        self._erasures: list[Erasure] = []
        self.note_erasures: Callable[[Sequence[Erasure]], None] | None = None
        self._stopped = False
        self.problem = ""

    def probe(self) -> None:
        """Commits a change of a number in the database's header that nobody reads.

        Raises:
            StorageUnavailable: It is not on disk; ``problem`` says why.
        """
        if self._stopped:
            raise StorageUnavailable
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            (number,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version={1 - number}")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._report(error)
            raise StorageUnavailable from error
        self.problem = ""

    def commit(self, units: Sequence[QueuedUnit]) -> None:
        """Commits the units together and sets each one's value or error.

        Raises:
            StorageUnavailable: Nothing was committed.
        """
        try:
            self._commit_together(units)
        except sqlite3.IntegrityError:
            # A deferred constraint: one of them is at fault, and nothing says which.
            for unit in units:
                self._commit_alone(unit)

    def _commit_alone(self, unit: QueuedUnit) -> None:
        try:
            self._commit_together([unit])
        except sqlite3.IntegrityError as error:
            unit.value, unit.error = None, _chain(InvariantBroken(), error)
        except StorageUnavailable as error:
            unit.value, unit.error = None, error

    def _commit_together(self, units: Sequence[QueuedUnit]) -> None:
        if self._stopped:
            raise StorageUnavailable
        self._begin()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for unit in units:
                self._run(unit)
            self._log.insert()
            if self._erasures and self.note_erasures is not None:
                # Before the commit: an erasure that was acknowledged is in the journal.
                self.note_erasures(self._erasures)
            self._connection.execute("COMMIT")
        except sqlite3.IntegrityError:
            self._roll_back()
            raise
        except sqlite3.Error as error:
            self._roll_back()
            self._report(error)
            raise StorageUnavailable from error
        except OSError as error:
            self._roll_back()
            _log.error("the erasure journal cannot be written")
            raise StorageUnavailable from error
        except BaseException:
            self._roll_back()
            raise
        self._scopes.update(self._uncommitted)
        self._log.committed()

    def _run(self, unit: QueuedUnit) -> None:
        scope = self._find_scope(unit.merchant)
        was_known = bool(scope.row)
        connection, log = self._connection, self._log
        mark = log.mark(scope)
        appending = AppendingLog(connection, scope, writer=log, notary=self._notary)
        seen = SqliteUnit(connection, scope, appending)

        def run() -> object:
            value = unit.work(seen)
            self._finish(seen, scope, mark)
            return value

        connection.execute("SAVEPOINT unit")
        if unit.attempt(run):
            connection.execute("RELEASE unit")
            if scope.row:
                self._uncommitted[unit.merchant] = scope
            return
        log.undo(scope, mark)
        if not was_known:
            log.forget_merchant(unit.merchant)
        if not connection.in_transaction:
            # SQLite gave up the whole transaction (disk full, I/O error).
            raise StorageUnavailable from unit.error
        connection.execute("ROLLBACK TO unit")
        connection.execute("RELEASE unit")
        unit.error = translate(unit.error)

    def _finish(self, unit: SqliteUnit, scope: Scope, mark: int) -> None:
        """Does what a unit leaves to its end; a failure is the unit's."""
        self._log.finish(scope, mark, unit.cards.locate)
        for card in unit.cards.erased:
            self._log.erase_salts(scope, card)
        self._erasures += [
            Erasure(at, scope.merchant, token) for token, at in unit.cards.erasures
        ]

    def _find_scope(self, merchant: MerchantId) -> Scope:
        known = self._scopes.get(merchant) or self._uncommitted.get(merchant)
        return known or find_scope(self._connection, merchant)

    def _begin(self) -> None:
        self._uncommitted = {}
        self._erasures = []
        self._log.begin()

    def _roll_back(self) -> None:
        self._uncommitted = {}
        self._log.forget()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _report(self, error: sqlite3.Error) -> None:
        code = getattr(error, "sqlite_errorcode", 0)
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        primary = code & _PRIMARY_CODE
        self._stopped = primary in _FATAL and code not in _RECOVERABLE
        advice = _ADVICE.get(primary, "the last commit failed; it is tried again")
        self.problem = _STOPPED if self._stopped else advice
        fields = {"error": name, "stopped": self._stopped}
        _log.error("a commit failed", extra=fields)


def translate(error: BaseException | None) -> BaseException | None:
    """Returns the error that a unit's caller may see."""
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, _BUGS):
        return _chain(InvariantBroken(), error)
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
        if code == sqlite3.SQLITE_READONLY:
            return _chain(InvariantBroken(), error)
        return _chain(StorageUnavailable(), error)
    return error


def _chain(error: GatewayError, cause: BaseException) -> GatewayError:
    error.__cause__ = cause
    return error
