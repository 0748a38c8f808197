"""What the storage thread does with a batch of units.

Invariants:
  * One transaction, one savepoint for each unit: a unit that raises is undone alone.
  * What is known about rows of an open transaction (merchants, heads) is kept only
    once it commits.
  * A unit that only a commit finds fault with fails alone: the others run again.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from gateway.errors import InvariantBroken, StorageUnavailable
from gateway.storage.anchor import Erasure
from gateway.storage.batcher import QueuedUnit
from gateway.storage.database import Transactions
from gateway.storage.log_rows import Scope
from gateway.storage.log_store import AppendingLog
from gateway.storage.log_writer import LogWriter, Notary
from gateway.storage.merchant_store import find_scope
from gateway.storage.unit import SqlUnit
from gateway.words.identifiers import MerchantId

_log: Final = logging.getLogger(__name__)


class Writer:
    """Runs units on the writing connection. Only the storage thread calls it.

    ``note_erasures`` is told of erased cards before their erasure commits.
    """

    def __init__(
        self,
        transactions: Transactions,
        *,
        log: LogWriter,
        notary: Notary,
        scopes: dict[MerchantId, Scope],
    ) -> None:
        """Binds the writer to its connection.

        Args:
            transactions: Those of the connection that writes.
            log: The logs of every merchant.
            notary: Signs the checkpoints of replayed receipts.
            scopes: The merchants known to be committed; shared with readers.
        """
        self._transactions = transactions
        self._connection = transactions.connection
        self._log = log
        self._notary = notary
        self._scopes = scopes
        self._uncommitted: dict[MerchantId, Scope] = {}
        self._erasures: list[Erasure] = []
        self.note_erasures: Callable[[Sequence[Erasure]], None] | None = None
        self._stopped = False
        self.problem = ""

    def probe(self) -> None:
        """Commits something that changes nothing.

        Raises:
            StorageUnavailable: It is not on disk; ``problem`` says why.
        """
        if self._stopped:
            raise StorageUnavailable
        try:
            self._transactions.probe()
        except self._transactions.errors as error:
            self._transactions.roll_back()
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
        except self._transactions.refusals:
            # A deferred constraint: one of them is at fault, and nothing says which.
            for unit in units:
                self._commit_alone(unit)

    def _commit_alone(self, unit: QueuedUnit) -> None:
        try:
            self._commit_together([unit])
        except self._transactions.refusals as error:
            unit.value, unit.error = None, InvariantBroken()
            unit.error.__cause__ = error
        except StorageUnavailable as error:
            unit.value, unit.error = None, error

    def _commit_together(self, units: Sequence[QueuedUnit]) -> None:
        if self._stopped:
            raise StorageUnavailable
        transactions = self._transactions
        self._begin()
        try:
            transactions.begin(list({unit.merchant: None for unit in units}))
            for unit in units:
                self._run(unit)
            self._log.insert()
            if self._erasures and self.note_erasures is not None:
                # Before the commit: an erasure that was acknowledged is in the journal.
                self.note_erasures(self._erasures)
            transactions.commit()
        except transactions.refusals:
            self._roll_back()
            raise
        except transactions.errors as error:
            self._roll_back()
            self._report(error)
            unavailable = transactions.translate(error)
            if isinstance(unavailable, StorageUnavailable):
                raise unavailable from error
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
        seen = SqlUnit(connection, scope, appending)

        def run() -> object:
            value = unit.work(seen)
            self._finish(seen, scope, mark)
            self._transactions.keep()
            return value

        self._transactions.save()
        if unit.attempt(run):
            if scope.row:
                self._uncommitted[unit.merchant] = scope
            return
        log.undo(scope, mark)
        if not was_known:
            log.forget_merchant(unit.merchant)
        if not self._transactions.is_open:
            # The database gave up the whole transaction (disk full, connection lost).
            raise StorageUnavailable from unit.error
        self._transactions.undo()
        if unit.error is not None:
            unit.error = self._transactions.translate(unit.error)

    def _finish(self, unit: SqlUnit, scope: Scope, mark: int) -> None:
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
        self._transactions.roll_back()

    def _report(self, error: Exception) -> None:
        verdict = self._transactions.judge(error)
        self._stopped, self.problem = verdict.stops_writing, verdict.advice
        fields = {"error": verdict.name, "stopped": self._stopped}
        _log.error("a commit failed", extra=fields)
