"""CapturePayment: collecting reserved money. What is not captured is released."""

from datetime import datetime

from gateway.errors import RequestInvalid, StateConflict
from gateway.payments.asking import Asking
from gateway.payments.moves import MoveRules, sender
from gateway.payments.payment import Move, MoveKind, MoveStatus, Payment, PaymentState
from gateway.words.money import Money


def capture_rules(asking: Asking) -> MoveRules:
    """Returns what makes a move a capture."""
    return MoveRules(
        MoveKind.CAPTURE,
        reserve_capture,
        settle_capture,
        sender(asking, MoveKind.CAPTURE),
    )


def reserve_capture(
    payment: Payment, amount: Money | None, now: datetime
) -> tuple[Payment, Money]:
    """Checks that so much can be captured now.

    Raises:
        StateConflict: Not authorized, lapsed, or more than is capturable.
    """
    wanted = amount or Money(payment.capturable, payment.amount.currency)
    check_currency(payment, wanted)
    state = {"payment": payment.name, "state": payment.state.name}
    if payment.state is not PaymentState.AUTHORIZED:
        raise StateConflict(metadata=state)
    if payment.capture_before is not None and now >= payment.capture_before:
        raise StateConflict(metadata=state | {"capture_before": "has passed"})
    if wanted.minor_units > payment.capturable:
        raise StateConflict(metadata=state | {"capturable": str(payment.capturable)})
    return payment, wanted


def settle_capture(payment: Payment, move: Move) -> Payment:
    """Returns the payment after the capture got its status."""
    if move.status is not MoveStatus.SUCCEEDED:
        return payment
    return payment.to(
        PaymentState.CAPTURED,
        captured=payment.captured + move.amount.minor_units,
        capturable=0,
        capture_before=None,
    )


def check_currency(payment: Payment, amount: Money) -> None:
    """Raises unless the amount is positive and in the payment's currency.

    Raises:
        RequestInvalid: Another currency, or nothing.
    """
    if amount.currency != payment.amount.currency:
        raise RequestInvalid("amount.currency", "is not the payment's currency")
    if amount.minor_units == 0 and payment.amount.minor_units != 0:
        raise RequestInvalid("amount.minor_units", "leaves nothing to move")
