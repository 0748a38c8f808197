"""A processor whose answers are counted, and which is known to be reachable or not.

Invariants:
  * It changes nothing: every answer and every error goes through as it came.
  * Labels are the step's name and one of ``_OUTCOMES``; nothing that a processor says.
"""

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from datetime import datetime
from time import perf_counter
from typing import Final, TypeVar

from gateway.cards.security_code import SecurityCode
from gateway.errors import ProcessorUnavailable
from gateway.metrics import Metrics
from gateway.parts import PROCESSORS, Parts, PartState
from gateway.payments.decline_reasons import DeclineReason
from gateway.payments.processor import (
    ActionRequired,
    Approved,
    Canceled,
    Capabilities,
    ChargeOrder,
    ChargeOutcome,
    CredentialReference,
    Declined,
    FoundPayment,
    MoveOutcome,
    Pending,
    Processor,
    ProcessorCall,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
)
from gateway.vault.card_access import OpenedCard
from gateway.vault.ports import CardField
from gateway.words.identifiers import PaymentName
from gateway.words.money import Money
from gateway.words.purposes import Purpose

T = TypeVar("T")

# So many calls in a row that brought no answer make a processor unreachable.
_SILENT_CALLS: Final = 3
_OUTCOMES: Final[dict[type, str]] = {
    Approved: "approved",
    Declined: "declined",
    ActionRequired: "action_required",
    Pending: "pending",
    Canceled: "canceled",
    ProcessorUnavailable: "unavailable",
    ProcessorOutcomeUnknown: "unknown",
    ProcessorRefused: "refused",
    # The deadline of the step.
    asyncio.CancelledError: "no_answer_in_time",
}
_SILENT: Final = frozenset({"unavailable", "unknown", "no_answer_in_time"})


class Reachability:
    """Tells which processors answer, over all of them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._silent: dict[str, int] = {}
        parts.mend(PROCESSORS)

    def note(self, processor: str, *, answered: bool) -> None:
        """Notes a call that was answered, however, or was not."""
        before = self._silent.get(processor, 0)
        if answered and not before:
            return
        self._silent[processor] = 0 if answered else before + 1
        silent = sorted(
            name for name, calls in self._silent.items() if calls >= _SILENT_CALLS
        )
        if not silent:
            self._parts.mend(PROCESSORS)
            return
        problem = (
            f"no answer from {', '.join(silent)} to {_SILENT_CALLS} calls or more; "
            "look at its status page and at this machine's network"
        )
        self._parts.report(PROCESSORS, PartState.DEGRADED, problem)


class MeasuredProcessor:
    """See Processor."""

    def __init__(
        self,
        processor: Processor,
        *,
        metrics: Metrics,
        reachability: Reachability,
    ) -> None:
        self._processor = processor
        self._metrics = metrics
        self._reachability = reachability

    @property
    def name(self) -> str:
        """See Processor.name."""
        return self._processor.name

    @property
    def capabilities(self) -> Capabilities:
        """See Processor.capabilities."""
        return self._processor.capabilities

    @property
    def purposes(self) -> Collection[Purpose]:
        """See CardRecipient.purposes."""
        return self._processor.purposes

    @property
    def fields(self) -> Collection[CardField]:
        """See CardRecipient.fields."""
        return self._processor.fields

    def check_representable(self, amount: Money) -> None:
        """See Processor.check_representable."""
        self._processor.check_representable(amount)

    async def create_customer(self, call: ProcessorCall) -> str:
        """See Processor.create_customer."""
        return await self._measure("customer", self._processor.create_customer(call))

    async def store_card(
        self,
        call: ProcessorCall,
        customer: str,
        card: OpenedCard,
        security_code: SecurityCode | None,
    ) -> CredentialReference | Declined:
        """See Processor.store_card."""
        asked = self._processor.store_card(call, customer, card, security_code)
        return await self._measure("payment_method", asked)

    async def charge(self, call: ProcessorCall, order: ChargeOrder) -> ChargeOutcome:
        """See Processor.charge."""
        return await self._measure("charge", self._processor.charge(call, order))

    async def confirm(
        self, call: ProcessorCall, processor_object: str, return_url: str
    ) -> ChargeOutcome:
        """See Processor.confirm."""
        asked = self._processor.confirm(call, processor_object, return_url)
        return await self._measure("confirm", asked)

    async def capture(
        self, call: ProcessorCall, processor_object: str, amount: Money
    ) -> MoveOutcome:
        """See Processor.capture."""
        asked = self._processor.capture(call, processor_object, amount)
        return await self._measure("capture", asked)

    async def cancel(self, call: ProcessorCall, processor_object: str) -> MoveOutcome:
        """See Processor.cancel."""
        asked = self._processor.cancel(call, processor_object)
        return await self._measure("cancel", asked)

    async def refund(
        self, call: ProcessorCall, processor_object: str, amount: Money
    ) -> MoveOutcome:
        """See Processor.refund."""
        asked = self._processor.refund(call, processor_object, amount)
        return await self._measure("refund", asked)

    async def inquire(
        self, call: ProcessorCall, processor_object: str
    ) -> FoundPayment | None:
        """See Processor.inquire."""
        asked = self._processor.inquire(call, processor_object)
        return await self._measure("inquire", asked)

    async def find(
        self,
        call: ProcessorCall,
        payment: PaymentName,
        customer: str,
        created_from: datetime,
    ) -> Sequence[FoundPayment]:
        """See Processor.find."""
        asked = self._processor.find(call, payment, customer, created_from)
        return await self._measure("find", asked)

    async def close(self) -> None:
        """See Processor.close."""
        await self._processor.close()

    async def _measure(self, step: str, asked: Awaitable[T]) -> T:
        started = perf_counter()
        outcome = "failed"
        try:
            answer = await asked
            outcome = _outcome_of(answer)
        except BaseException as error:
            outcome = _OUTCOMES.get(type(error), "failed")
            raise
        finally:
            seconds = perf_counter() - started
            self._metrics.step_ended(self._processor.name, step, outcome, seconds)
            answered = outcome not in _SILENT
            self._reachability.note(self._processor.name, answered=answered)
        if isinstance(answer, Declined):
            reason = _known_reason(answer.decline.reason)
            is_mapped = reason is not DeclineReason.OTHER
            self._metrics.declined(
                self._processor.name, reason.value, is_mapped=is_mapped
            )
        return answer


def _outcome_of(answer: object) -> str:
    if isinstance(answer, MoveOutcome):
        return answer.state.value
    return _OUTCOMES.get(type(answer), "answered")


def _known_reason(text: str) -> DeclineReason:
    try:
        return DeclineReason(text)
    except ValueError:
        return DeclineReason.OTHER
