"""What was done to a payment elsewhere: at the processor's own dashboard. Pure.

The processor's sums are compared with ours while nothing of ours is on its way: then
whatever is more there than here was done by somebody else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from gateway.payments.capture_payment import settle_capture
from gateway.payments.payment import (
    Move,
    MoveKind,
    MoveOrigin,
    MoveStatus,
    Payment,
)
from gateway.payments.processor import Approved, FoundPayment
from gateway.words.identifiers import RequestId
from gateway.words.money import Money

# In the place of a caller's name, in moves and entries.
ELSEWHERE: Final = "processor"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """One difference: what somebody else did, and how much."""

    kind: MoveKind
    minor_units: int


def done_elsewhere(
    payment: Payment, moves: Sequence[Move], found: FoundPayment
) -> list[Elsewhere]:
    """Returns what the processor's sums hold beyond ours, the capture first."""
    outcome, refunded = found.outcome, found.refunded
    if not isinstance(outcome, Approved) or not payment.authorized:
        return []
    if outcome.processor_object != payment.processor_object:
        return []
    if any(move.is_reserved for move in moves):
        return []
    if outcome.captured.currency != payment.amount.currency:
        return []
    done = []
    captured = outcome.captured.minor_units - payment.captured
    if payment.capturable and 0 < captured <= payment.capturable:
        done.append(Elsewhere(MoveKind.CAPTURE, captured))
    gone = 0 if refunded is None else refunded.minor_units - payment.refunded
    if 0 < gone <= outcome.captured.minor_units - payment.refunded:
        done.append(Elsewhere(MoveKind.REFUND, gone))
    return done


def move_of(
    payment: Payment,
    difference: Elsewhere,
    name: str,
    request_id: RequestId,
    now: datetime,
) -> Move:
    """Returns the difference as a capture or refund that has succeeded.

    ``now`` is when it was noticed; nobody here knows when it was done.
    """
    return Move(
        name=name,
        kind=difference.kind,
        payment=payment.name,
        request_id=request_id,
        status=MoveStatus.SUCCEEDED,
        amount=Money(difference.minor_units, payment.amount.currency),
        created_at=now,
        updated_at=now,
        caller=ELSEWHERE,
        origin=MoveOrigin.EXTERNAL,
    )


def apply_elsewhere(payment: Payment, move: Move) -> Payment:
    """Returns the payment with a move that was done elsewhere."""
    payment = replace(payment, updated_at=move.updated_at)
    if move.kind is MoveKind.CAPTURE:
        return settle_capture(payment, move, move)
    return replace(payment, refunded=payment.refunded + move.amount.minor_units)
