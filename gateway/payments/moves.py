"""Capture, cancel and refund: what they share.

Each acts on the payment reference, opens no card, needs no purpose, and is allowed
after narrowing, erasure and deactivation: money owed back is never blocked. An intent
entry commits, the processor is asked with the move's own key, the outcome commits.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from gateway.audit.entry import Entry, EntryType
from gateway.audit.ports import Appended, Receipt
from gateway.errors import (
    InvariantBroken,
    PaymentNotFound,
    ProcessorUnavailable,
    RequestIdReused,
    RequestInProgress,
)
from gateway.idempotency.claims import Repeated, Reused, claim
from gateway.idempotency.ports import RequestRecord
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.accounts import Accounts
from gateway.payments.asking import Asking
from gateway.payments.boundaries import Boundary, Reached
from gateway.payments.payment import Lease, Move, MoveKind, MoveStatus, Payment
from gateway.payments.ports import PaymentUnit
from gateway.payments.processor import (
    MoveOutcome,
    MoveState,
    Processor,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
)
from gateway.unit_of_work import Storage
from gateway.words.clock import Clock
from gateway.words.identifiers import MerchantId, PaymentName, RequestId, new_name
from gateway.words.money import Money

_SALT_BYTES: Final = 16
_ASK_AGAIN: Final = timedelta(seconds=1)
_FIRST_CHECK: Final = timedelta(seconds=2)
_STATUS: Final = {
    MoveState.SUCCEEDED: MoveStatus.SUCCEEDED,
    MoveState.PENDING: MoveStatus.PENDING,
    MoveState.FAILED: MoveStatus.FAILED,
}
RPCS: Final = {
    MoveKind.CAPTURE: "CapturePayment",
    MoveKind.CANCEL: "CancelPayment",
    MoveKind.REFUND: "RefundPayment",
}
_PREFIXES: Final = {
    MoveKind.CAPTURE: "cap",
    MoveKind.CANCEL: "can",
    MoveKind.REFUND: "ref",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveCommand:
    """A capture, cancel or refund; ``amount`` None means all that there is."""

    merchant: MerchantId
    caller: str
    request_id: RequestId
    digest: bytes
    payment: PaymentName
    amount: Money | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveResult:
    """The payment and the move as they are now."""

    payment: Payment
    move: Move
    receipt: Receipt
    replayed: bool = False


# Reserves the amount in the payment's row, or raises StateConflict.
Reserve = Callable[[Payment, Money | None, datetime], tuple[Payment, Money]]
# Returns the payment after the move got its status.
Settle = Callable[[Payment, Move], Payment]
Send = Callable[[Processor, ProcessorAccount, Payment, Move], Awaitable[MoveOutcome]]


@dataclass(frozen=True, slots=True)
class MoveRules:
    """What makes a capture a capture, a cancel a cancel, a refund a refund."""

    kind: MoveKind
    reserve: Reserve
    settle: Settle
    send: Send


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
        self._rules = rules
        self._rpc = RPCS[rules.kind]
        self._storage = storage
        self._accounts = accounts
        self._clock = clock
        self._reached = reached
        self._instance = instance
        self._lease = lease
        self._running: set[asyncio.Task[MoveResult]] = set()

    @property
    def kind(self) -> MoveKind:
        """What its moves do."""
        return self._rules.kind

    async def execute(self, command: MoveCommand) -> MoveResult:
        """Returns the move with its outcome; UNKNOWN and FAILED are values.

        Raises:
            PaymentNotFound: No such payment for this merchant.
            StateConflict: The payment's state or amounts do not allow it.
            RequestIdReused, RequestInProgress: See CreatePayment.
        """
        task = asyncio.ensure_future(self._execute(command))
        self._running.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Waits until no move is between two steps."""
        if self._running:
            await asyncio.wait(self._running)

    async def carry_out(
        self, merchant: MerchantId, payment: Payment, move: Move
    ) -> tuple[Payment, Move, Appended]:
        """Asks the processor about a committed move and commits the outcome.

        The same move is sent with the same key: also by the resolver.
        """
        account, processor = await self._accounts.of(merchant, payment)
        try:
            outcome = await self._rules.send(processor, account, payment, move)
            status, reason = _STATUS[outcome.state], outcome.failure_reason
            named = outcome.processor_object
        except ProcessorOutcomeUnknown:
            status, reason, named = MoveStatus.UNKNOWN, "", ""
        except ProcessorUnavailable:
            status, reason, named = MoveStatus.FAILED, "PROCESSOR_UNAVAILABLE", ""
        except ProcessorRefused as refused:
            status, reason, named = MoveStatus.FAILED, refused.failure_reason, ""
        self._reached(Boundary.MOVED)
        now = self._clock.now()
        unknown = status is MoveStatus.UNKNOWN
        settled = replace(
            move,
            status=status,
            failure_reason=reason,
            processor_object=named or move.processor_object,
            lease=None,
            updated_at=now,
            next_check_at=now + _wait(move, now) if unknown else None,
        )
        done = await self._record(merchant, settled)
        self._reached(Boundary.MOVE_COMMITTED)
        return done

    def _forget(self, task: "asyncio.Task[MoveResult]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody may have

    async def _execute(self, command: MoveCommand) -> MoveResult:
        now = self._clock.now()
        name = new_name(_PREFIXES[self._rules.kind])

        def submit(unit: PaymentUnit) -> tuple[Payment, Move] | Repeated | Reused:
            earlier = claim(
                unit.requests, self._rpc, command.request_id, command.digest
            )
            if earlier is not None:
                return earlier
            stored = unit.payments.lock(command.payment)
            if stored is None:
                raise PaymentNotFound
            payment, amount = self._rules.reserve(stored, command.amount, now)
            move = Move(
                name=name,
                kind=self._rules.kind,
                payment=payment.name,
                request_id=command.request_id,
                status=MoveStatus.SUBMITTED,
                amount=amount,
                created_at=now,
                updated_at=now,
                caller=command.caller,
                lease=Lease(instance=self._instance, until=now + self._lease),
                reason=command.reason,
            )
            refuse_rivals(unit, move)
            unit.payments.save(replace(payment, updated_at=now))
            unit.payments.add_move(move)
            entry = _entry(EntryType.PAYMENT_INTENT, command.merchant, payment, move)
            unit.requests.add(
                RequestRecord(
                    rpc=self._rpc,
                    request_id=command.request_id,
                    digest=command.digest,
                    resource=name,
                    entry_index=unit.log.append(entry).index,
                    created_at=now,
                )
            )
            return payment, move

        done = await self._storage.commit(command.merchant, submit)
        if isinstance(done, Reused):
            raise RequestIdReused
        if isinstance(done, Repeated):
            return await self._repeat(command, done.record)
        self._reached(Boundary.MOVE_SUBMITTED)
        payment, move, appended = await self.carry_out(command.merchant, *done)
        return MoveResult(payment=payment, move=move, receipt=appended.receipt())

    async def _record(
        self, merchant: MerchantId, move: Move
    ) -> tuple[Payment, Move, Appended]:
        salt = os.urandom(_SALT_BYTES)

        def commit(unit: PaymentUnit) -> tuple[Payment, Move, Appended]:
            stored = unit.payments.lock(move.payment)
            if stored is None:
                raise InvariantBroken
            payment = replace(
                self._rules.settle(stored, move), updated_at=move.updated_at
            )
            unit.payments.save(payment)
            unit.payments.save_move(move)
            if payment.charge_once_key and not payment.holds_charge_once_key:
                unit.payments.free_charge_once(payment.charge_once_key, payment.name)
            entry = _entry(EntryType.PAYMENT_OUTCOME, merchant, payment, move, salt)
            appended = unit.log.append(entry)
            unit.requests.set_entry_index(self._rpc, move.request_id, appended.index)
            return payment, move, appended

        return await self._storage.commit(merchant, commit)

    async def _repeat(self, command: MoveCommand, record: RequestRecord) -> MoveResult:
        def read(unit: PaymentUnit) -> MoveResult:
            move = unit.payments.find_move(record.resource)
            payment = unit.payments.find(command.payment)
            if move is None or payment is None:
                raise InvariantBroken
            receipt = unit.log.receipt(record.entry_index)
            return MoveResult(
                payment=payment, move=move, receipt=receipt, replayed=True
            )

        result = await self._storage.read(command.merchant, read)
        lease = result.move.lease
        if lease is not None and lease.until > self._clock.now():
            raise RequestInProgress(
                metadata={"payment": command.payment}, retry_delay=_ASK_AGAIN
            )
        return result


def refuse_rivals(unit: PaymentUnit, move: Move) -> None:
    """Raises while a capture or cancel of the same payment is undecided.

    Refunds may run beside each other: their sum is reserved in the payment's row.

    Raises:
        RequestInProgress: Ask again when the other one is settled.
    """
    if move.kind is MoveKind.REFUND:
        return
    open_states = (MoveStatus.SUBMITTED, MoveStatus.UNKNOWN, MoveStatus.PENDING)
    for other in unit.payments.moves(move.payment):
        if other.kind is not MoveKind.REFUND and other.status in open_states:
            raise RequestInProgress(
                metadata={"payment": move.payment, "move": other.name},
                retry_delay=_ASK_AGAIN,
            )


def call_key(move: Move) -> str:
    """Returns the idempotency key of a move: one for its whole life."""
    return move.name


def _wait(move: Move, now: datetime) -> timedelta:
    return max(_FIRST_CHECK, min((now - move.created_at) / 2, timedelta(hours=1)))


def _entry(
    kind: EntryType,
    merchant: MerchantId,
    payment: Payment,
    move: Move,
    salt: bytes | None = None,
) -> Entry:
    named = move.processor_object if salt else ""
    return Entry(
        type=kind,
        merchant=merchant,
        at=move.updated_at,
        caller=move.caller,
        request_id=move.request_id,
        action=move.kind.value,
        payment=payment.name,
        processor_account=payment.account_id,
        amount=move.amount,
        card_opened=False,
        outcome=move.status.name if kind is EntryType.PAYMENT_OUTCOME else None,
        processor_object=named or None,
        object_salt=salt if named else None,
    )


def sender(asking: Asking, kind: MoveKind) -> Send:
    """Returns how a move of this kind is sent."""

    async def send(
        processor: Processor, account: ProcessorAccount, payment: Payment, move: Move
    ) -> MoveOutcome:
        call = asking.call(account, payment, call_key(move))
        target = payment.processor_object
        if kind is MoveKind.CAPTURE:
            return await asking.ask(
                lambda: processor.capture(call, target, move.amount)
            )
        if kind is MoveKind.REFUND:
            return await asking.ask(lambda: processor.refund(call, target, move.amount))
        return await asking.ask(lambda: processor.cancel(call, target))

    return send
