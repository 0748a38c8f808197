"""What happened to payments: one event for each change somebody can see. Pure.

Invariants:
  * A payment's events, read in order, tell its whole story: each begins in the state
    that the one before ended in, and the last one shows the payment as it is.
  * An event commits with the change that it tells of, or not at all.
  * Positions of one merchant have no gaps and are committed in order, so a reader that
    remembers a position misses nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from gateway.payments.payment import (
    Move,
    MoveKind,
    MoveStatus,
    Payment,
    PaymentState,
)
from gateway.payments.transitions import Event
from gateway.words.identifiers import PaymentName
from gateway.words.money import Money


class EventKind(StrEnum):
    """What made the event."""

    CREATED = "created"
    STATE_CHANGED = "state_changed"
    LATE_SUCCESS = "late_success"
    CAPTURE_CHANGED = "capture_changed"
    CANCEL_CHANGED = "cancel_changed"
    REFUND_CHANGED = "refund_changed"


MOVE_EVENTS: Final[Mapping[MoveKind, EventKind]] = MappingProxyType(
    {
        MoveKind.CAPTURE: EventKind.CAPTURE_CHANGED,
        MoveKind.CANCEL: EventKind.CANCEL_CHANGED,
        MoveKind.REFUND: EventKind.REFUND_CHANGED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """A payment's amounts at one moment, in minor units of its currency."""

    authorized: int = 0
    capturable: int = 0
    captured: int = 0
    refunded: int = 0
    refund_pending: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedEvent:
    """The capture, cancel or refund that changed, as it was right after."""

    name: str
    status: MoveStatus
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentEvent:
    """A change of a payment, and how the payment stood right after it.

    ``previous_state`` is None for the first event. ``position`` is the place among the
    merchant's events; 0 until the event is stored.
    """

    payment: PaymentName
    kind: EventKind
    at: datetime
    previous_state: PaymentState | None
    state: PaymentState
    currency: str
    sums: Sums
    moved: MovedEvent | None = None
    position: int = 0


def created_event(payment: Payment) -> PaymentEvent:
    """Returns the first event of a payment."""
    return _event(payment, EventKind.CREATED, None)


def changed_event(
    before: Payment, after: Payment, cause: Event | None = None
) -> PaymentEvent | None:
    """Returns the event of a change; None if nobody can see one."""
    if before.state is after.state and sums_of(before) == sums_of(after):
        return None
    late = cause is Event.LATE_SUCCESS
    kind = EventKind.LATE_SUCCESS if late else EventKind.STATE_CHANGED
    return _event(after, kind, before.state)


def moved_event(before: Payment, after: Payment, move: Move) -> PaymentEvent:
    """Returns the event of a capture, cancel or refund that got a status."""
    moved = MovedEvent(name=move.name, status=move.status, amount=move.amount)
    return _event(after, MOVE_EVENTS[move.kind], before.state, moved)


def sums_of(payment: Payment) -> Sums:
    """Returns the payment's amounts."""
    return Sums(
        authorized=payment.authorized,
        capturable=payment.capturable,
        captured=payment.captured,
        refunded=payment.refunded,
        refund_pending=payment.refund_pending,
    )


def _event(
    payment: Payment,
    kind: EventKind,
    previous: PaymentState | None,
    moved: MovedEvent | None = None,
) -> PaymentEvent:
    return PaymentEvent(
        payment=payment.name,
        kind=kind,
        at=payment.updated_at,
        previous_state=previous,
        state=payment.state,
        currency=payment.amount.currency,
        sums=sums_of(payment),
        moved=moved,
    )
