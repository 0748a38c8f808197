"""Capture, cancel and refund: what they share.

Each acts on the payment reference, opens no card, needs no purpose, and is allowed
after narrowing, erasure and deactivation: money owed back is never blocked. An intent
entry commits, the processor is asked with the move's own key, the outcome commits.

Invariants:
  * The payment's row is locked while sums are checked and reserved.
  * A fact of the processor's is written down whoever brings it; what is no fact counts
    only from the worker that holds the move's lease.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from gateway.audit.ports import Appended, Receipt
from gateway.errors import (
    GatewayError,
    InvariantBroken,
    PaymentNotFound,
    ProcessorUnavailable,
    RequestIdReused,
    RequestInProgress,
    StateConflict,
)
from gateway.idempotency.claims import Repeated, Reused, claim, look_up
from gateway.idempotency.ports import RequestRecord
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.accounts import Accounts
from gateway.payments.boundaries import Boundary, Reached
from gateway.payments.keep_changes import add_move
from gateway.payments.kept_tasks import KeptTasks
from gateway.payments.leases import is_live, new_lease
from gateway.payments.move_rules import (
    Answer,
    MoveCommand,
    MoveRules,
    Wish,
    check_currency,
)
from gateway.payments.payment import (
    Move,
    MoveKind,
    MoveStatus,
    Payment,
)
from gateway.payments.ports import PaymentUnit
from gateway.payments.processor import (
    IDEMPOTENCY_MISMATCH,
    MoveState,
    Processor,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
)
from gateway.payments.record_move import RPCS, RecordMove, expire, intent_entry
from gateway.payments.transitions import conflict
from gateway.unit_of_work import Storage
from gateway.words.clock import Clock
from gateway.words.identifiers import new_name

__all__ = ["MoveCommand", "MoveResult", "MoveRules", "Mover"]

_log: Final = logging.getLogger(__name__)

_ASK_AGAIN: Final = timedelta(seconds=1)
_STATUS: Final = {
    MoveState.SUCCEEDED: MoveStatus.SUCCEEDED,
    MoveState.PENDING: MoveStatus.PENDING,
    MoveState.FAILED: MoveStatus.FAILED,
}
_PREFIXES: Final = {
    MoveKind.CAPTURE: "cap",
    MoveKind.CANCEL: "can",
    MoveKind.REFUND: "ref",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveResult:
    """The payment and the move as they are now."""

    payment: Payment
    move: Move
    receipt: Receipt
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Submitted:
    """A move whose intent has committed."""

    payment: Payment
    move: Move
    intent: Appended


class Mover:
    """Runs moves of one kind."""

    def __init__(  # noqa: PLR0913 - what it uses, by keyword
        self,
        *,
        rules: MoveRules,
        storage: Storage[PaymentUnit],
        accounts: Accounts,
        clock: Clock,
        reached: Reached,
        instance: str,
        lease: timedelta,
    ) -> None:
        self.rules = rules
        self._rpc = RPCS[rules.kind]
        self._storage = storage
        self._accounts = accounts
        self._clock = clock
        self._reached = reached
        self._instance = instance
        self._lease = lease
        self.records = RecordMove(rules=rules, storage=storage, clock=clock)
        self._tasks: KeptTasks[MoveResult] = KeptTasks()

    @property
    def kind(self) -> MoveKind:
        """What its moves do."""
        return self.rules.kind

    async def execute(self, command: MoveCommand) -> MoveResult:
        """Returns the move with its outcome; UNKNOWN and FAILED are values.

        Raises:
            PaymentNotFound: No such payment for this merchant.
            StateConflict: The payment's state or amounts do not allow it.
            RequestInvalid: Another currency, nothing, or a part that the processor
                cannot move.
            AmountNotRepresentable: The processor cannot express the amount.
            RequestIdReused, RequestInProgress: See CreatePayment.
            ProcessorAccountNotFound, StorageUnavailable, AuditUnavailable: Nothing was
                sent.
        """
        earlier, payment = await self._storage.read(
            command.merchant,
            lambda unit: (
                look_up(unit.requests, self._rpc, command.request_id, command.digest),
                unit.payments.find(command.payment),
            ),
        )
        if isinstance(earlier, Repeated):
            return await self._repeat(command, earlier.record)
        if isinstance(earlier, Reused):
            return await self._refuse_reuse(command)
        if payment is None:
            raise PaymentNotFound
        account, processor = await self._accounts.of(command.merchant, payment)
        if command.amount is not None:
            check_currency(payment, command.amount)
            processor.check_representable(command.amount)
        return await self._tasks.run(self._execute(command, account, processor))

    async def drain(self) -> None:
        """Waits until no move is between two steps."""
        await self._tasks.drain()

    async def ask(
        self,
        processor: Processor,
        account: ProcessorAccount,
        payment: Payment,
        move: Move,
    ) -> Answer:
        """Asks the processor about a committed move, always with the same key."""
        try:
            outcome = await self.rules.send(processor, account, payment, move)
        except ProcessorOutcomeUnknown:
            return Answer(status=MoveStatus.UNKNOWN)
        except ProcessorUnavailable:
            return Answer(
                status=MoveStatus.FAILED, failure_reason="PROCESSOR_UNAVAILABLE"
            )
        except ProcessorRefused as refused:
            if refused.failure_reason == IDEMPOTENCY_MISMATCH:
                return Answer(status=MoveStatus.UNKNOWN)
            return Answer(
                status=MoveStatus.FAILED,
                failure_reason=refused.failure_reason,
                is_refused=True,
            )
        return Answer(
            status=_STATUS[outcome.state],
            failure_reason=outcome.failure_reason,
            processor_object=outcome.processor_object,
            is_fact=True,
        )

    async def _execute(
        self, command: MoveCommand, account: ProcessorAccount, processor: Processor
    ) -> MoveResult:
        done = await self._submit(command, account, processor)
        if isinstance(done, Repeated):
            return await self._repeat(command, done.record)
        if isinstance(done, Reused):
            raise RequestIdReused
        if isinstance(done, StateConflict):
            raise done
        self._reached(Boundary.MOVE_SUBMITTED)
        try:
            answer = await self.ask(processor, account, done.payment, done.move)
            self._reached(Boundary.MOVED)
            payment, move, appended = await self.records.record(
                command.merchant, account, done.move, answer
            )
            self._reached(Boundary.MOVE_COMMITTED)
        except GatewayError as error:
            # It may have moved, and the database does not say so: as in CreatePayment.
            fields = {"payment": command.payment, "reason": error.reason}
            _log.error("outcome not recorded", extra=fields)
            unknown = replace(done.move, status=MoveStatus.UNKNOWN)
            receipt = done.intent.receipt()
            return MoveResult(payment=done.payment, move=unknown, receipt=receipt)
        return MoveResult(payment=payment, move=move, receipt=appended.receipt())

    async def _submit(
        self, command: MoveCommand, account: ProcessorAccount, processor: Processor
    ) -> _Submitted | Repeated | Reused | StateConflict:
        """Claims, checks the sums and records in one unit.

        A payment whose reservation has lapsed is committed as EXPIRED: the conflict is
        returned, not raised, because raising would undo the unit.
        """
        now = self._clock.now()
        name = new_name(_PREFIXES[self.rules.kind])

        def submit(
            unit: PaymentUnit,
        ) -> _Submitted | Repeated | Reused | StateConflict:
            earlier = claim(
                unit.requests, self._rpc, command.request_id, command.digest
            )
            if earlier is not None:
                return earlier
            stored = unit.payments.lock(command.payment)
            if stored is None:
                raise PaymentNotFound
            _refuse_rivals(unit, stored, self.rules.kind)
            expired = self.rules.lapse(stored, now)
            if expired is not None:
                return expire(unit, command, account, stored, expired)
            wish = Wish(
                amount=command.amount, capabilities=processor.capabilities, now=now
            )
            payment, amount = self.rules.reserve(stored, wish)
            move = Move(
                name=name,
                kind=self.rules.kind,
                payment=payment.name,
                request_id=command.request_id,
                status=MoveStatus.SUBMITTED,
                amount=amount,
                created_at=now,
                updated_at=now,
                caller=command.caller,
                lease=new_lease(self._instance, now, self._lease),
                reason=command.reason,
            )
            payment = replace(payment, updated_at=now)
            add_move(unit, stored, payment, move)
            intent = unit.log.append(intent_entry(command.merchant, account, move))
            unit.requests.add(
                RequestRecord(
                    rpc=self._rpc,
                    request_id=command.request_id,
                    digest=command.digest,
                    resource=name,
                    entry_index=intent.index,
                    created_at=now,
                )
            )
            return _Submitted(payment=payment, move=move, intent=intent)

        return await self._storage.commit(command.merchant, submit)

    async def _refuse_reuse(self, command: MoveCommand) -> MoveResult:
        """Counts the mismatch, commits the count, and refuses."""
        await self._storage.commit(
            command.merchant,
            lambda unit: claim(
                unit.requests, self._rpc, command.request_id, command.digest
            ),
        )
        raise RequestIdReused

    async def _repeat(self, command: MoveCommand, record: RequestRecord) -> MoveResult:
        """Returns what the first call made, as it is now."""

        def read(unit: PaymentUnit) -> MoveResult:
            move = unit.payments.find_move(record.resource)
            payment = unit.payments.find(command.payment)
            newest = unit.requests.find(self._rpc, command.request_id)
            if move is None or payment is None or newest is None:
                raise InvariantBroken
            receipt = unit.log.receipt(newest.entry_index)
            return MoveResult(
                payment=payment, move=move, receipt=receipt, replayed=True
            )

        result = await self._storage.read(command.merchant, read)
        running = is_live(result.move.lease, self._clock.now())
        if result.move.status is MoveStatus.SUBMITTED and running:
            raise RequestInProgress(
                metadata={"payment": command.payment}, retry_delay=_ASK_AGAIN
            )
        return result


def _refuse_rivals(unit: PaymentUnit, payment: Payment, kind: MoveKind) -> None:
    """Raises while a capture or cancel of the same payment is undecided.

    Refunds may run beside each other: their sum is reserved in the payment's row.

    Raises:
        StateConflict: Names the other move.
    """
    if kind is MoveKind.REFUND:
        return
    for other in unit.payments.moves(payment.name):
        if other.kind is not MoveKind.REFUND and other.is_reserved:
            raise conflict(payment, move=other.name, move_state=other.status.name)
