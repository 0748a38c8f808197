"""RefundPayment: giving collected money back.

Invariant: refunded + refund_pending <= captured. The sum is reserved in the payment's
row before the processor is asked, so submitted, pending and unknown refunds count, and
refunds that run beside each other cannot give back more than was collected.
"""

from collections.abc import Sequence
from dataclasses import replace

from gateway.errors import RequestInvalid
from gateway.payments.asking import Asking
from gateway.payments.move_rules import (
    MoveRules,
    Sums,
    Wish,
    check_currency,
    sender,
)
from gateway.payments.payment import Move, MoveKind, MoveStatus, Payment
from gateway.payments.processor import FoundPayment
from gateway.payments.transitions import Event, Facts, advance, conflict
from gateway.words.money import Money


def refund_rules(asking: Asking) -> MoveRules:
    """Returns what makes a move a refund."""
    return MoveRules(
        kind=MoveKind.REFUND,
        reserve=reserve_refund,
        settle=settle_refund,
        compare=compare_refund,
        send=sender(asking, MoveKind.REFUND),
    )


def reserve_refund(payment: Payment, wish: Wish) -> tuple[Payment, Money]:
    """Reserves the sum.

    Raises:
        StateConflict: Nothing was collected, or more than is left of it.
        RequestInvalid: Another currency, nothing, or a part where the processor
            refunds all or nothing.
    """
    facts = Facts(collected=payment.captured > 0)
    reserved = advance(payment, Event.REFUND_ASKED, facts)
    if not payment.refundable:
        raise conflict(payment, refundable="0")
    wanted = wish.amount or Money(payment.refundable, payment.amount.currency)
    check_currency(payment, wanted)
    if wanted.minor_units > payment.refundable:
        raise conflict(payment, refundable=str(payment.refundable))
    is_part = wanted.minor_units < payment.captured
    if is_part and not wish.capabilities.partial_refund:
        raise RequestInvalid("amount", "is a part; this processor refunds all or none")
    pending = payment.refund_pending + wanted.minor_units
    return replace(reserved, refund_pending=pending), wanted


def settle_refund(payment: Payment, before: Move, after: Move) -> Payment:
    """Returns the payment after the refund went from one status to another."""
    amount = after.amount.minor_units
    released = amount if before.is_reserved and not after.is_reserved else 0
    settled = replace(payment, refund_pending=payment.refund_pending - released)
    if after.status is not MoveStatus.SUCCEEDED:
        return settled
    settled = replace(settled, refunded=payment.refunded + amount)
    if settled.refundable < 0:
        # A refund that had failed went through after others took its place.
        return advance(settled, Event.UNDECIDABLE)
    return settled


def compare_refund(
    payment: Payment, moves: Sequence[Move], move: Move, found: FoundPayment
) -> Sums:
    """Returns whether the processor's sum holds this refund.

    Clear only if it holds none or all of the refunds that are open: of several, nobody
    can tell which ones a sum is made of.
    """
    if found.refunded is None or found.refunded.currency != payment.amount.currency:
        return Sums.UNCLEAR
    gone = found.refunded.minor_units - payment.refunded
    if gone == 0:
        return Sums.NOT_EXECUTED
    reserved = sum(
        other.amount.minor_units
        for other in moves
        if other.kind is MoveKind.REFUND and other.is_reserved
    )
    return Sums.EXECUTED if move.is_reserved and gone == reserved else Sums.UNCLEAR
