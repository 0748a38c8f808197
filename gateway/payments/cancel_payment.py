"""CancelPayment: releasing reserved money, before anything was collected.

A payment that is still being asked for (SUBMITTED, UNKNOWN) cannot be canceled: nobody
knows yet whether there is anything to release.
"""

from collections.abc import Sequence

from gateway.payments.asking import Asking
from gateway.payments.move_rules import MoveRules, Sums, Wish, sender, settle_with
from gateway.payments.payment import Move, MoveKind, MoveStatus, Payment, PaymentState
from gateway.payments.processor import Approved, Canceled, Declined, FoundPayment
from gateway.payments.transitions import Event, conflict, find_row
from gateway.words.money import Money


def cancel_rules(asking: Asking) -> MoveRules:
    """Returns what makes a move a cancel."""
    return MoveRules(
        kind=MoveKind.CANCEL,
        reserve=reserve_cancel,
        settle=settle_cancel,
        compare=compare_cancel,
        send=sender(asking, MoveKind.CANCEL),
    )


def reserve_cancel(payment: Payment, _wish: Wish) -> tuple[Payment, Money]:
    """Checks that the payment can be given up; a cancel takes all.

    Raises:
        StateConflict: Something was collected, or nothing is left to release.
    """
    row = find_row(payment.state, Event.CANCEL_SUCCEEDED)
    if row is None or row.next is not PaymentState.CANCELED:
        raise conflict(payment)
    return payment, payment.amount


def settle_cancel(payment: Payment, _before: Move, after: Move) -> Payment:
    """Returns the payment after the cancel got its status."""
    if after.status is not MoveStatus.SUCCEEDED:
        return payment
    if payment.state is PaymentState.CANCELED:
        return payment
    return settle_with(
        payment, Event.CANCEL_SUCCEEDED, capturable=0, capture_before=None
    )


def compare_cancel(
    _payment: Payment, _moves: Sequence[Move], _move: Move, found: FoundPayment
) -> Sums:
    """Returns whether the processor gave the payment up."""
    outcome = found.outcome
    if isinstance(outcome, Canceled):
        return Sums.EXECUTED
    if isinstance(outcome, Declined):
        return Sums.UNCLEAR
    if isinstance(outcome, Approved) and outcome.captured.minor_units:
        return Sums.IMPOSSIBLE
    return Sums.NOT_EXECUTED
