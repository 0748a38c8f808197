"""Finding out what became of payments whose outcome never arrived.

For each payment that is UNKNOWN, or SUBMITTED with a dead lease:
  1. Before the charge step nothing can have moved: FAILED (NOT_EXECUTED).
  2. Young enough, and policy allows the use again: the same charge is sent again with
     the same key; the processor answers with what it did the first time.
  3. Otherwise the processor is asked for payments that carry our name.
  4. Absent twice after its idempotency window: FAILED (NOT_EXECUTED). Several, or a
     contradiction: NEEDS_ATTENTION, for a person.
Captures, cancels and refunds are sent again with their own key.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from gateway.errors import GatewayError, InvariantBroken, ProcessorUnavailable
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.accounts import Accounts
from gateway.payments.asking import Asking
from gateway.payments.moves import Mover
from gateway.payments.payment import (
    Lease,
    Move,
    MoveKind,
    MoveStatus,
    Payment,
    PaymentState,
    Step,
)
from gateway.payments.ports import PaymentUnit, UnsettledPayments
from gateway.payments.processor import (
    Declined,
    FoundPayment,
    Processor,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
)
from gateway.payments.processor_steps import Charge, ProcessorSteps, read_reference
from gateway.payments.record_outcome import (
    ChargeFacts,
    Failed,
    RecordOutcome,
    Result,
    Undecidable,
    Unknown,
)
from gateway.unit_of_work import Storage
from gateway.vault.card_access import CardAccess, Intent, Use
from gateway.words.clock import Clock
from gateway.words.identifiers import MerchantId, PaymentName
from gateway.words.purposes import Verb

_log: Final = logging.getLogger(__name__)

REPLAY_WITHIN: Final = timedelta(minutes=15)
NOT_EXECUTED: Final = "NOT_EXECUTED"
_ABSENT_ENOUGH: Final = 2
_SALT_BYTES: Final = 16
_OPEN: Final = (PaymentState.SUBMITTED, PaymentState.UNKNOWN)
_OPEN_MOVES: Final = (MoveStatus.SUBMITTED, MoveStatus.UNKNOWN)


class SettleUnknownPayments:
    """The resolver. Any number may run: a lease keeps them apart."""

    def __init__(  # noqa: PLR0913 - what it uses, by keyword
        self,
        *,
        storage: Storage[PaymentUnit],
        unsettled: UnsettledPayments,
        access: CardAccess,
        accounts: Accounts,
        steps: ProcessorSteps,
        outcomes: RecordOutcome,
        movers: Mapping[MoveKind, Mover],
        asking: Asking,
        clock: Clock,
        instance: str,
        lease: timedelta,
    ) -> None:
        self._storage = storage
        self._unsettled = unsettled
        self._access = access
        self._accounts = accounts
        self._steps = steps
        self._outcomes = outcomes
        self._movers = movers
        self._asking = asking
        self._clock = clock
        self._instance = instance
        self._lease = lease

    async def run_once(self, limit: int = 100) -> int:
        """Settles what is due and returns how many payments it looked at."""
        due = await self._unsettled.unsettled(self._clock.now(), limit)
        for merchant, name in due:
            try:
                await self._settle(merchant, name)
            except GatewayError as error:
                fields = {"payment": name, "reason": error.reason}
                _log.warning("payment not settled yet", extra=fields)
        return len(due)

    async def _settle(self, merchant: MerchantId, name: PaymentName) -> None:
        now = self._clock.now()
        payment, moves = await self._storage.commit(
            merchant, lambda unit: self._take(unit, name, now)
        )
        if payment is not None:
            await self._settle_charge(merchant, payment)
        for move in moves:
            stored = await self._storage.read(
                merchant, lambda unit: unit.payments.find(name)
            )
            if stored is None:
                raise InvariantBroken
            await self._movers[move.kind].carry_out(merchant, stored, move)

    def _take(
        self, unit: PaymentUnit, name: PaymentName, now: datetime
    ) -> tuple[Payment | None, list[Move]]:
        """Leases the payment and its open moves; None for what is not ours to do."""
        lease = Lease(instance=self._instance, until=now + self._lease)
        taken = None
        payment = unit.payments.lock(name)
        if (
            payment is not None
            and payment.state in _OPEN
            and _is_due(payment.lease, payment.next_check_at, now)
        ):
            taken = replace(payment, lease=lease)
            unit.payments.save(taken)
        moves = []
        for move in unit.payments.moves(name):
            if move.status in _OPEN_MOVES and _is_due(
                move.lease, move.next_check_at, now
            ):
                moves.append(replace(move, lease=lease))
                unit.payments.save_move(moves[-1])
        return taken, moves

    async def _settle_charge(self, merchant: MerchantId, payment: Payment) -> None:
        account, processor = await self._accounts.of(merchant, payment)
        if payment.step is not Step.CHARGE:
            await self._record(merchant, payment, account, Failed(NOT_EXECUTED))
            return
        young = self._clock.now() - payment.created_at < REPLAY_WITHIN
        if young and payment.absent_inquiries == 0:
            charge = await self._replayable(merchant, payment, account, processor)
            if charge is not None:
                await self._replay(charge)
                return
        await self._inquire(merchant, payment, account, processor)

    async def _replayable(
        self,
        merchant: MerchantId,
        payment: Payment,
        account: ProcessorAccount,
        processor: Processor,
    ) -> Charge | None:
        """Returns the same charge with a new intent, if policy allows it again."""
        use = Use(
            merchant=merchant,
            token=payment.card,
            verb=Verb.CHARGE,
            purpose=payment.purpose,
            caller=payment.caller,
            request_id=payment.request_id,
            at=self._clock.now(),
            card_salt=os.urandom(_SALT_BYTES),
            account=account,
            payment=payment.name,
            amount=payment.amount,
        )
        intent = await self._storage.commit(
            merchant, lambda unit: self._access.intend(unit, use)
        )
        if not isinstance(intent, Intent) or intent.reference is None:
            return None
        return Charge(
            payment=payment, intent=intent, account=account, processor=processor
        )

    async def _replay(self, charge: Charge) -> None:
        opened = await self._access.open_reference(charge.intent, charge.processor)
        if opened is None:
            raise InvariantBroken
        reference = read_reference(opened)
        result = await self._steps.send_charge(charge, reference)
        if isinstance(result, Failed):
            # It failed now; whether the first try moved money is still not known.
            result = Unknown()
        await self._steps.record(charge, result, card_opened=False)

    async def _inquire(
        self,
        merchant: MerchantId,
        payment: Payment,
        account: ProcessorAccount,
        processor: Processor,
    ) -> None:
        """Asks for payments that carry our name, and believes what comes back."""
        call = self._asking.call(account, payment, f"{payment.name}-inquiry")
        since = payment.created_at - timedelta(minutes=5)
        try:
            found = await self._asking.ask(
                lambda: processor.find(call, payment.name, payment.customer, since)
            )
        except (ProcessorOutcomeUnknown, ProcessorUnavailable, ProcessorRefused):
            await self._record(merchant, payment, account, Unknown())
            return
        if not found:
            await self._note_absence(merchant, payment, account, processor)
            return
        await self._believe(merchant, payment, account, processor, found[0])
        if len(found) > 1:
            _log.error("several payments of one name", extra={"payment": payment.name})
            await self._record(merchant, payment, account, Undecidable())

    async def _believe(
        self,
        merchant: MerchantId,
        payment: Payment,
        account: ProcessorAccount,
        processor: Processor,
        found: FoundPayment,
    ) -> None:
        outcome = found.outcome
        if isinstance(outcome, Declined) and outcome.still_confirmable:
            call = self._asking.call(account, payment, f"{payment.name}-release")
            try:
                await self._asking.ask(
                    lambda: processor.cancel(call, found.processor_object)
                )
            except (ProcessorOutcomeUnknown, ProcessorUnavailable, ProcessorRefused):
                await self._record(merchant, payment, account, Unknown())
                return
        await self._record(merchant, payment, account, outcome)

    async def _note_absence(
        self,
        merchant: MerchantId,
        payment: Payment,
        account: ProcessorAccount,
        processor: Processor,
    ) -> None:
        """Gives up only when absent twice after the processor forgot the key."""
        age = self._clock.now() - payment.created_at
        if age < processor.capabilities.idempotency_window:
            await self._record(merchant, payment, account, Unknown())
            return
        absent = payment.absent_inquiries + 1

        def count(unit: PaymentUnit) -> None:
            stored = unit.payments.lock(payment.name)
            if stored is not None:
                unit.payments.save(replace(stored, absent_inquiries=absent))

        await self._storage.commit(merchant, count)
        gone = absent >= _ABSENT_ENOUGH
        result: Result = Failed(NOT_EXECUTED) if gone else Unknown()
        await self._record(merchant, payment, account, result)

    async def _record(
        self,
        merchant: MerchantId,
        payment: Payment,
        account: ProcessorAccount,
        result: Result,
    ) -> None:
        facts = ChargeFacts(
            merchant=merchant,
            payment=payment,
            account=account,
            card_opened=False,
            caller=payment.caller,
        )
        await self._outcomes.record(facts, result, self._clock.now())


def _is_due(lease: Lease | None, next_check_at: datetime | None, now: datetime) -> bool:
    """Whether nobody works on it and its time has come."""
    if lease is not None and lease.until > now:
        return False
    return next_check_at is None or next_check_at <= now
