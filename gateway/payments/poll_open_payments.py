"""Looking at payments that wait for their cardholder or for their bank.

A cardholder who leaves tells nobody, and a notice of the processor's may be lost: so
each is looked at now and then, less often the older it is. One that waits longer for
its cardholder than the setting ``action_window_hours`` is given up at the processor.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from gateway.errors import ProcessorUnavailable
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.asking import Asking
from gateway.payments.charge_results import Result, Undecidable, next_wait
from gateway.payments.looking import Looking, Silent
from gateway.payments.payment import Payment, PaymentState
from gateway.payments.processor import (
    ActionRequired,
    Canceled,
    MoveState,
    Pending,
    Processor,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
)
from gateway.payments.record_outcome import ChargeFacts, RecordOutcome
from gateway.words.clock import Clock
from gateway.words.identifiers import MerchantId

_ABSENT_ENOUGH: Final = 2


class PollOpenPayments:
    """Looks at one payment that its caller has leased."""

    def __init__(
        self,
        *,
        looking: Looking,
        outcomes: RecordOutcome,
        asking: Asking,
        clock: Clock,
        action_window: timedelta,
    ) -> None:
        self._looking = looking
        self._outcomes = outcomes
        self._asking = asking
        self._clock = clock
        self._action_window = action_window

    async def poll(
        self,
        merchant: MerchantId,
        payment: Payment,
        account: ProcessorAccount,
        processor: Processor,
    ) -> None:
        """Commits what the processor says, or puts the next look off."""
        facts = ChargeFacts(merchant=merchant, payment=payment, account=account)
        try:
            found = await self._looking.inquire(account, processor, payment)
        except Silent:
            await self._put_off(facts)
            return
        if found is None:
            await self._note_absence(facts)
            return
        if not isinstance(found.outcome, ActionRequired | Pending):
            result, refunded = await self._looking.result_of(
                account, processor, payment, found
            )
            await self._record(replace(facts, refunded=refunded), result)
            return
        waits_for = (
            PaymentState.REQUIRES_ACTION
            if isinstance(found.outcome, ActionRequired)
            else PaymentState.PENDING
        )
        if payment.state is not waits_for:
            await self._record(facts, found.outcome)
            return
        overdue = self._clock.now() - payment.created_at >= self._action_window
        if waits_for is PaymentState.REQUIRES_ACTION and overdue:
            await self._abandon(facts, processor)
            return
        await self._put_off(facts)

    async def _abandon(self, facts: ChargeFacts, processor: Processor) -> None:
        """Gives it up at the processor; what else became of it the next look shows."""
        payment = facts.payment
        call = self._asking.call(facts.account, payment, f"{payment.name}-abandon")
        try:
            released = await self._asking.ask(
                lambda: processor.cancel(call, payment.processor_object)
            )
        except (ProcessorOutcomeUnknown, ProcessorUnavailable, ProcessorRefused):
            await self._put_off(facts)
            return
        if released.state is not MoveState.SUCCEEDED:
            await self._put_off(facts)
            return
        canceled = Canceled(processor_object=payment.processor_object)
        await self._record(replace(facts, action="abandon"), canceled)

    async def _note_absence(self, facts: ChargeFacts) -> None:
        """An object that the processor gave us and has no more proves nothing."""
        absent = facts.payment.absent_inquiries + 1
        if absent < _ABSENT_ENOUGH:
            await self._put_off(facts, absent=absent)
            return
        await self._record(facts, Undecidable())

    async def _record(self, facts: ChargeFacts, result: Result) -> None:
        await self._outcomes.record(facts, result, self._clock.now())

    async def _put_off(self, facts: ChargeFacts, *, absent: int = 0) -> None:
        now = self._clock.now()
        check_at = now + next_wait(facts.payment, now)
        await self._outcomes.put_off(facts, check_at, absent=absent)
