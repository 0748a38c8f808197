"""CancelPayment: releasing reserved money, before anything was collected."""

from datetime import datetime
from typing import Final

from gateway.errors import StateConflict
from gateway.payments.asking import Asking
from gateway.payments.moves import MoveRules, sender
from gateway.payments.payment import Move, MoveKind, MoveStatus, Payment, PaymentState
from gateway.words.money import Money

_CANCELABLE: Final = (
    PaymentState.AUTHORIZED,
    PaymentState.REQUIRES_ACTION,
    PaymentState.PENDING,
)


def cancel_rules(asking: Asking) -> MoveRules:
    """Returns what makes a move a cancel."""
    return MoveRules(
        MoveKind.CANCEL, reserve_cancel, settle_cancel, sender(asking, MoveKind.CANCEL)
    )


def reserve_cancel(
    payment: Payment,
    amount: Money | None,  # noqa: ARG001 - a cancel takes all
    now: datetime,  # noqa: ARG001 - and is never too late
) -> tuple[Payment, Money]:
    """Checks that the payment can be given up.

    Raises:
        StateConflict: Something was collected, or nothing is left to release.
    """
    if payment.state not in _CANCELABLE:
        raise StateConflict(
            metadata={"payment": payment.name, "state": payment.state.name}
        )
    return payment, payment.amount


def settle_cancel(payment: Payment, move: Move) -> Payment:
    """Returns the payment after the cancel got its status."""
    if move.status is not MoveStatus.SUCCEEDED:
        return payment
    return payment.to(PaymentState.CANCELED, capturable=0, capture_before=None)
