"""RefundPayment: giving collected money back. The sum on its way is reserved first."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from gateway.errors import StateConflict
from gateway.payments.asking import Asking
from gateway.payments.capture_payment import check_currency
from gateway.payments.moves import MoveRules, sender
from gateway.payments.payment import Move, MoveKind, MoveStatus, Payment, PaymentState
from gateway.words.money import Money

_REFUNDABLE: Final = (PaymentState.CAPTURED, PaymentState.PARTIALLY_CAPTURED)


def refund_rules(asking: Asking) -> MoveRules:
    """Returns what makes a move a refund."""
    return MoveRules(
        MoveKind.REFUND, reserve_refund, settle_refund, sender(asking, MoveKind.REFUND)
    )


def reserve_refund(
    payment: Payment,
    amount: Money | None,
    now: datetime,  # noqa: ARG001 - money owed back is never too late here
) -> tuple[Payment, Money]:
    """Reserves the sum: submitted, pending and unknown refunds count.

    Raises:
        StateConflict: Nothing was collected, or more than is left of it.
    """
    wanted = amount or Money(payment.refundable, payment.amount.currency)
    state = {"payment": payment.name, "state": payment.state.name}
    if payment.state not in _REFUNDABLE:
        raise StateConflict(metadata=state)
    if wanted.minor_units > payment.refundable or not payment.refundable:
        raise StateConflict(metadata=state | {"refundable": str(payment.refundable)})
    check_currency(payment, wanted)
    pending = payment.refund_pending + wanted.minor_units
    return replace(payment, refund_pending=pending), wanted


def settle_refund(payment: Payment, move: Move) -> Payment:
    """Returns the payment after the refund got its status."""
    if move.status in (MoveStatus.PENDING, MoveStatus.UNKNOWN):
        return payment
    pending = payment.refund_pending - move.amount.minor_units
    if move.status is MoveStatus.SUCCEEDED:
        refunded = payment.refunded + move.amount.minor_units
        return replace(payment, refund_pending=pending, refunded=refunded)
    return replace(payment, refund_pending=pending)
