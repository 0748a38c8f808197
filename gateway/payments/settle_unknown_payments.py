"""Finding out what became of payments whose outcome never arrived.

Payments in REQUIRES_ACTION and PENDING are looked at in poll_open_payments.py. For each
payment that is UNKNOWN, or SUBMITTED with a dead lease:
  1. Before the charge step nothing can have moved: FAILED (NOT_EXECUTED).
  2. Young enough, its object not known, and policy allows the use again: the same
     charge is sent again with the same key, without a security code; the processor
     answers with what it did the first time.
  3. Otherwise, and when that brought no fact (a stored 5xx, another body), the
     processor is asked: by its object, or for payments that carry our name.
  4. Absent twice after its idempotency window: FAILED (NOT_EXECUTED). Several, amounts
     that contradict ours, an object that is gone: NEEDS_ATTENTION, for a person.
Captures, cancels and refunds are settled in settle_moves.py.
"""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from gateway.errors import GatewayError, InvariantBroken, ProcessorUnavailable
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.accounts import Accounts
from gateway.payments.asking import Asking
from gateway.payments.charge_results import (
    Failed,
    Result,
    Undecidable,
    Unknown,
    is_fact,
)
from gateway.payments.leases import is_due, new_lease
from gateway.payments.looking import Looking, Silent
from gateway.payments.move_rules import NOT_EXECUTED
from gateway.payments.moves import Mover
from gateway.payments.payment import (
    Move,
    MoveKind,
    MoveStatus,
    Payment,
    PaymentState,
    Step,
)
from gateway.payments.poll_open_payments import PollOpenPayments
from gateway.payments.ports import PaymentUnit, UnsettledPayments
from gateway.payments.processor import (
    FoundPayment,
    Processor,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
)
from gateway.payments.processor_steps import (
    Charge,
    ProcessorSteps,
    customer_key,
    read_reference,
)
from gateway.payments.record_outcome import ChargeFacts, RecordOutcome
from gateway.payments.settle_moves import SettleMoves
from gateway.unit_of_work import Storage
from gateway.vault.card_access import CardAccess, Intent, Use
from gateway.words.clock import Clock
from gateway.words.identifiers import MerchantId, PaymentName
from gateway.words.purposes import Verb

_log: Final = logging.getLogger(__name__)

REPLAY_WITHIN: Final = timedelta(minutes=15)
_ABSENT_ENOUGH: Final = 2
_AT_ONCE: Final = 8
_CLOCKS_DIFFER: Final = timedelta(minutes=5)
_SALT_BYTES: Final = 16
_OPEN: Final = (
    PaymentState.SUBMITTED,
    PaymentState.UNKNOWN,
    PaymentState.REQUIRES_ACTION,
    PaymentState.PENDING,
)
_POLLED: Final = (PaymentState.REQUIRES_ACTION, PaymentState.PENDING)
_OPEN_MOVES: Final = (MoveStatus.SUBMITTED, MoveStatus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class _Case:
    """A payment that this worker has leased, and whom to ask about it."""

    merchant: MerchantId
    payment: Payment
    account: ProcessorAccount
    processor: Processor


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
        polling: PollOpenPayments,
        looking: Looking,
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
        self._polling = polling
        self._looking = looking
        self._asking = asking
        self._clock = clock
        self._instance = instance
        self._lease = lease
        self._settle_moves = SettleMoves(
            storage=storage,
            accounts=accounts,
            movers=movers,
            asking=asking,
            clock=clock,
        )

    async def run_once(self, limit: int = 100) -> int:
        """Settles what is due and returns how many payments it looked at.

        Raises:
            StorageUnavailable: It could not be told what is due.
        """
        due = await self._unsettled.unsettled(self._clock.now(), limit)
        slots = asyncio.Semaphore(_AT_ONCE)

        async def settle(merchant: MerchantId, name: PaymentName) -> None:
            async with slots:
                await self._try(merchant, name)

        await asyncio.gather(*(settle(merchant, name) for merchant, name in due))
        return len(due)

    async def _try(self, merchant: MerchantId, name: PaymentName) -> None:
        """Settles one payment; what goes wrong with it must not stop the others."""
        try:
            await self._settle(merchant, name)
        except GatewayError as error:
            fields = {"payment": name, "reason": error.reason}
            _log.warning("payment not settled yet", extra=fields)
        except Exception as error:  # noqa: BLE001 - a worker loop, as in storage/batcher
            # Never the text: an exception's message may quote what caused it.
            fields = {"payment": name, "type": type(error).__qualname__}
            _log.error("payment not settled", extra=fields)

    async def _settle(self, merchant: MerchantId, name: PaymentName) -> None:
        now = self._clock.now()
        payment, moves = await self._storage.commit(
            merchant, lambda unit: self._take(unit, name, now)
        )
        if payment is not None:
            account, processor = await self._accounts.of(merchant, payment)
            await self._settle_charge(_Case(merchant, payment, account, processor))
        for move in moves:
            await self._settle_moves.settle(merchant, move)

    def _take(
        self, unit: PaymentUnit, name: PaymentName, now: datetime
    ) -> tuple[Payment | None, list[Move]]:
        """Leases the payment and its open moves; None for what is not ours to do."""
        lease = new_lease(self._instance, now, self._lease)
        taken = None
        payment = unit.payments.lock(name)
        if (
            payment is not None
            and payment.state in _OPEN
            and is_due(payment.lease, payment.next_check_at, now)
        ):
            taken = replace(payment, lease=lease)
            unit.payments.save(taken)
        moves = []
        for move in unit.payments.moves(name):
            if move.status in _OPEN_MOVES and is_due(
                move.lease, move.next_check_at, now
            ):
                moves.append(replace(move, lease=lease))
                unit.payments.save_move(moves[-1])
        return taken, moves

    async def _settle_charge(self, case: _Case) -> None:
        payment = case.payment
        if payment.state in _POLLED:
            await self._polling.poll(
                case.merchant, payment, case.account, case.processor
            )
            return
        if payment.step in (Step.CUSTOMER, Step.PAYMENT_METHOD):
            await self._record(case, Failed(NOT_EXECUTED))
            return
        young = self._clock.now() - payment.created_at < REPLAY_WITHIN
        if young and not payment.processor_object:
            charge = await self._replayable(case)
            if charge is not None and await self._replay(case, charge):
                return
        await self._inquire(case)

    async def _replayable(self, case: _Case) -> Charge | None:
        """Returns the same charge with a new intent, if policy allows it again."""
        payment, account = case.payment, case.account
        use = Use(
            merchant=case.merchant,
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

        def intend(unit: PaymentUnit) -> Intent | None:
            if unit.cards.find_reference(payment.card, account.account_id) is None:
                return None
            intent = self._access.intend(unit, use)
            return intent if isinstance(intent, Intent) else None

        intent = await self._storage.commit(case.merchant, intend)
        if intent is None:
            return None
        return Charge(
            payment=payment,
            intent=intent,
            account=account,
            processor=case.processor,
            lease=self._lease,
        )

    async def _replay(self, case: _Case, charge: Charge) -> bool:
        """Sends the same charge again; returns whether that settled the payment."""
        try:
            opened = await self._access.open_reference(charge.intent, case.processor)
        except GatewayError as error:
            fields = {"payment": charge.payment.name, "reason": error.reason}
            _log.warning("charge not sent again", extra=fields)
            return False
        if opened is None:
            return False
        result = await self._steps.send_charge(charge, read_reference(opened))
        if isinstance(result, Unknown) and result.processor_object:
            # Declined, and its object is still to be closed.
            await self._record(case, result, used=True)
            return True
        if not is_fact(result):
            # It failed now; whether the first try moved money is still not known.
            return False
        await self._record(case, result, used=True)
        return True

    async def _inquire(self, case: _Case) -> None:
        """Asks what the processor knows, and believes what comes back."""
        found = await self._find(case)
        if found is None:
            await self._record(case, Unknown())
        elif not found:
            await self._note_absence(case)
        elif len(found) > 1:
            await self._record(case, Undecidable())
        else:
            await self._believe(case, found[0])

    async def _find(self, case: _Case) -> Sequence[FoundPayment] | None:
        """Returns the processor's records; None if it did not say."""
        payment, processor = case.payment, case.processor
        if payment.processor_object:
            try:
                one = await self._looking.inquire(case.account, processor, payment)
            except Silent:
                return None
            return [] if one is None else [one]
        call = self._asking.call(case.account, payment, f"{payment.name}-inquiry")
        try:
            customer = await self._customer(case)
            since = payment.created_at - _CLOCKS_DIFFER
            return await self._asking.ask(
                lambda: processor.find(call, payment.name, customer, since)
            )
        except (ProcessorOutcomeUnknown, ProcessorUnavailable, ProcessorRefused):
            return None

    async def _customer(self, case: _Case) -> str:
        """Returns the processor's customer; the reference itself stays shut."""
        payment, account_id = case.payment, case.account.account_id
        if payment.customer:
            return payment.customer

        def read(unit: PaymentUnit) -> str | None:
            card = unit.cards.find(payment.card)
            if card is None:
                raise InvariantBroken
            return unit.payments.find_customer(account_id, customer_key(card))

        return await self._storage.read(case.merchant, read) or ""

    async def _believe(self, case: _Case, found: FoundPayment) -> None:
        result, refunded = await self._looking.result_of(
            case.account, case.processor, case.payment, found
        )
        await self._record(case, result, refunded=refunded)

    async def _note_absence(self, case: _Case) -> None:
        """Gives up only when absent twice after the processor forgot the key."""
        payment, capabilities = case.payment, case.processor.capabilities
        age = self._clock.now() - payment.created_at
        if age < capabilities.idempotency_window:
            await self._record(case, Unknown())
            return
        absent = payment.absent_inquiries + 1
        result: Result = Unknown(absent_inquiries=absent)
        if absent >= _ABSENT_ENOUGH:
            # An object that it gave us and has no more, or one that it cannot search
            # for: that is no proof that nothing moved.
            can_tell = capabilities.find_by_creation_time
            gone = bool(payment.processor_object) or not can_tell
            result = Undecidable() if gone else Failed(NOT_EXECUTED)
        await self._record(case, result)

    async def _record(
        self, case: _Case, result: Result, *, used: bool = False, refunded: int = 0
    ) -> None:
        facts = ChargeFacts(
            merchant=case.merchant,
            payment=case.payment,
            account=case.account,
            used=used,
            refunded=refunded,
        )
        await self._outcomes.record(facts, result, self._clock.now())
