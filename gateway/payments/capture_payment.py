"""CapturePayment: collecting reserved money. What is not captured is released.

One capture for each payment: a second one finds the first, undecided or done.
"""

from collections.abc import Sequence
from datetime import datetime

from gateway.errors import RequestInvalid
from gateway.payments.asking import Asking
from gateway.payments.move_rules import (
    MoveRules,
    Sums,
    Wish,
    check_currency,
    sender,
    settle_with,
)
from gateway.payments.payment import Move, MoveKind, MoveStatus, Payment
from gateway.payments.processor import Approved, Canceled, FoundPayment
from gateway.payments.transitions import Event, advance, conflict, find_row
from gateway.words.money import Money


def capture_rules(asking: Asking) -> MoveRules:
    """Returns what makes a move a capture."""
    return MoveRules(
        kind=MoveKind.CAPTURE,
        reserve=reserve_capture,
        settle=settle_capture,
        compare=compare_capture,
        send=sender(asking, MoveKind.CAPTURE),
        lapse=lapse,
    )


def lapse(payment: Payment, now: datetime) -> Payment | None:
    """Returns the payment as EXPIRED if its reservation has ended."""
    ends = payment.capture_before
    if ends is None or now < ends:
        return None
    if find_row(payment.state, Event.LAPSED) is None:
        return None
    return advance(payment, Event.LAPSED, capturable=0, updated_at=now)


def reserve_capture(payment: Payment, wish: Wish) -> tuple[Payment, Money]:
    """Checks that so much can be captured now.

    Raises:
        StateConflict: Not authorized, or more than is capturable.
        RequestInvalid: Another currency, nothing, or a part where the processor
            captures all or nothing.
    """
    if find_row(payment.state, Event.CAPTURE_SUCCEEDED) is None:
        raise conflict(payment)
    if not payment.capturable:
        raise conflict(payment, capturable="0")
    wanted = wish.amount or Money(payment.capturable, payment.amount.currency)
    check_currency(payment, wanted)
    if wanted.minor_units > payment.capturable:
        raise conflict(payment, capturable=str(payment.capturable))
    is_part = wanted.minor_units < payment.capturable
    if is_part and not wish.capabilities.partial_capture:
        raise RequestInvalid("amount", "is a part; this processor captures all or none")
    return payment, wanted


def settle_capture(payment: Payment, _before: Move, after: Move) -> Payment:
    """Returns the payment after the capture got its status."""
    if after.status is not MoveStatus.SUCCEEDED:
        return payment
    return settle_with(
        payment,
        Event.CAPTURE_SUCCEEDED,
        captured=payment.captured + after.amount.minor_units,
        capturable=0,
        capture_before=None,
    )


def compare_capture(
    payment: Payment, _moves: Sequence[Move], move: Move, found: FoundPayment
) -> Sums:
    """Returns whether the processor collected the amount."""
    outcome = found.outcome
    if isinstance(outcome, Canceled):
        return Sums.IMPOSSIBLE
    if not isinstance(outcome, Approved):
        return Sums.UNCLEAR
    collected = outcome.captured.minor_units - payment.captured
    if collected == move.amount.minor_units:
        return Sums.EXECUTED
    return Sums.NOT_EXECUTED if collected == 0 else Sums.UNCLEAR
