"""What makes a capture a capture, a cancel a cancel, a refund a refund.

The types that the three share; each kind fills them in its own file.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from gateway.errors import RequestInvalid
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.asking import Asking
from gateway.payments.payment import Move, MoveKind, MoveStatus, Payment
from gateway.payments.processor import (
    Capabilities,
    FoundPayment,
    MoveOutcome,
    Processor,
)
from gateway.payments.transitions import Event, advance, find_row
from gateway.words.identifiers import MerchantId, PaymentName, RequestId
from gateway.words.money import Money

NOT_EXECUTED: Final = "NOT_EXECUTED"


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
class Wish:
    """What somebody asks for; ``amount`` None means all that there is."""

    amount: Money | None
    capabilities: Capabilities
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of asking for a move.

    ``is_fact`` says that the processor decided it, so that it holds whoever heard it.
    ``needs_attention`` asks for a person.
    """

    status: MoveStatus
    failure_reason: str = ""
    processor_object: str = ""
    is_fact: bool = False
    needs_attention: bool = False


class Sums(StrEnum):
    """What the processor's sums say of a move whose answer was lost."""

    EXECUTED = "executed"
    NOT_EXECUTED = "not executed so far"
    IMPOSSIBLE = "not executed, and it cannot be any more"
    UNCLEAR = "they fit neither"


# Reserves the amount in the payment's row, or raises StateConflict.
Reserve = Callable[[Payment, Wish], tuple[Payment, Money]]
# Returns the payment after the move went from the first status to the second.
Settle = Callable[[Payment, Move, Move], Payment]
# Compares the payment, all its moves and one of them with the processor's record.
Compare = Callable[[Payment, Sequence[Move], Move, FoundPayment], Sums]
Send = Callable[[Processor, ProcessorAccount, Payment, Move], Awaitable[MoveOutcome]]


def _never(payment: Payment, now: datetime) -> Payment | None:  # noqa: ARG001 - its shape
    return None


@dataclass(frozen=True, slots=True)
class MoveRules:
    """The rules of one kind. ``lapse`` returns the payment if it is too late for it."""

    kind: MoveKind
    reserve: Reserve
    settle: Settle
    compare: Compare
    send: Send
    lapse: Callable[[Payment, datetime], Payment | None] = _never


def sender(asking: Asking, kind: MoveKind) -> Send:
    """Returns how a move of this kind is sent: always with its own name as the key."""

    async def send(
        processor: Processor, account: ProcessorAccount, payment: Payment, move: Move
    ) -> MoveOutcome:
        call = asking.call(account, payment, move.name)
        target = payment.processor_object
        if kind is MoveKind.CAPTURE:
            return await asking.ask(
                lambda: processor.capture(call, target, move.amount)
            )
        if kind is MoveKind.REFUND:
            return await asking.ask(lambda: processor.refund(call, target, move.amount))
        return await asking.ask(lambda: processor.cancel(call, target))

    return send


def settle_with(
    payment: Payment,
    event: Event,
    **changes: Any,  # noqa: ANN401 - fields of many types
) -> Payment:
    """Returns the payment after the event, or for a person where it does not fit.

    The processor did it, so the amounts are written down either way.
    """
    fits = find_row(payment.state, event) is not None
    return advance(payment, event if fits else Event.UNDECIDABLE, **changes)


def check_currency(payment: Payment, amount: Money) -> None:
    """Raises unless the amount is positive and in the payment's currency.

    Raises:
        RequestInvalid: Another currency, or nothing.
    """
    if amount.currency != payment.amount.currency:
        raise RequestInvalid("amount.currency", "is not the payment's currency")
    if amount.minor_units == 0:
        raise RequestInvalid("amount.minor_units", "leaves nothing to move")
