"""Which event takes a payment from which state to which: one closed table. Pure.

Invariants:
  * A state changes only through a row of ``TRANSITIONS``; anything else raises
    StateConflict.
  * For one state and event at most one row's guard holds.
  * The processor's fact wins: success after FAILED is legal and has its own event.
  * What cannot be explained becomes NEEDS_ATTENTION, never a guess.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from gateway.errors import StateConflict
from gateway.payments.payment import Payment, PaymentState

_S = PaymentState


class Event(StrEnum):
    """What happened to a payment."""

    ACTION_REQUIRED = "the cardholder must act"
    ACCEPTED = "the processor accepted it and has not decided"
    APPROVED = "the bank agreed"
    DECLINED = "the bank said no"
    FAILED = "nothing moved and the bank was not asked"
    CANCELED = "the processor gave it up"
    LOST = "no answer came"
    UNDECIDABLE = "no program can decide"
    LATE_SUCCESS = "the bank agreed after we had given it up"
    CAPTURE_SUCCEEDED = "reserved money was collected"
    CANCEL_SUCCEEDED = "reserved money was released"
    REFUND_ASKED = "collected money shall be given back"
    LAPSED = "the reservation ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What guards look at.

    Attributes:
        collected: Money was collected, not only reserved.
        key_taken: Another payment has the charge_once_key now.
        more_captures: The rest stays reserved after this capture.
    """

    collected: bool = False
    key_taken: bool = False
    more_captures: bool = False


class Guard(StrEnum):
    """When a row applies."""

    ALWAYS = "always"
    COLLECTED = "money was collected"
    RESERVED = "money was only reserved"
    COLLECTED_AND_KEY_FREE = "money was collected, the key is free"
    RESERVED_AND_KEY_FREE = "money was only reserved, the key is free"
    KEY_TAKEN = "another payment has the key"
    LAST_CAPTURE = "the rest is released"
    MORE_CAPTURES = "the rest stays reserved"


GUARDS: Final[Mapping[Guard, Callable[[Facts], bool]]] = MappingProxyType(
    {
        Guard.ALWAYS: lambda facts: True,  # noqa: ARG005 - a guard takes facts
        Guard.COLLECTED: lambda facts: facts.collected,
        Guard.RESERVED: lambda facts: not facts.collected,
        Guard.COLLECTED_AND_KEY_FREE: lambda facts: (
            facts.collected and not facts.key_taken
        ),
        Guard.RESERVED_AND_KEY_FREE: lambda facts: (
            not facts.collected and not facts.key_taken
        ),
        Guard.KEY_TAKEN: lambda facts: facts.key_taken,
        Guard.LAST_CAPTURE: lambda facts: not facts.more_captures,
        Guard.MORE_CAPTURES: lambda facts: facts.more_captures,
    }
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    state: PaymentState
    event: Event
    guard: Guard
    next: PaymentState


def _answers(state: PaymentState) -> tuple[Row, ...]:
    """What the processor may say of a payment that is not decided."""
    return (
        Row(state, Event.ACTION_REQUIRED, Guard.ALWAYS, _S.REQUIRES_ACTION),
        Row(state, Event.ACCEPTED, Guard.ALWAYS, _S.PENDING),
        Row(state, Event.APPROVED, Guard.COLLECTED, _S.CAPTURED),
        Row(state, Event.APPROVED, Guard.RESERVED, _S.AUTHORIZED),
        Row(state, Event.DECLINED, Guard.ALWAYS, _S.DECLINED),
        Row(state, Event.CANCELED, Guard.ALWAYS, _S.CANCELED),
        Row(state, Event.UNDECIDABLE, Guard.ALWAYS, _S.NEEDS_ATTENTION),
    )


def _asked(state: PaymentState) -> tuple[Row, ...]:
    """A payment whose charge may have been sent: also no answer, or never sent."""
    return (
        *_answers(state),
        Row(state, Event.FAILED, Guard.ALWAYS, _S.FAILED),
        Row(state, Event.LOST, Guard.ALWAYS, _S.UNKNOWN),
    )


def _reserved(state: PaymentState) -> tuple[Row, ...]:
    """Money is reserved, so a capture may come, or the end of the reservation."""
    return (
        Row(state, Event.CAPTURE_SUCCEEDED, Guard.LAST_CAPTURE, _S.CAPTURED),
        Row(state, Event.CAPTURE_SUCCEEDED, Guard.MORE_CAPTURES, _S.PARTIALLY_CAPTURED),
        Row(state, Event.LAPSED, Guard.ALWAYS, _S.EXPIRED),
        Row(state, Event.UNDECIDABLE, Guard.ALWAYS, _S.NEEDS_ATTENTION),
    )


def _given_up(state: PaymentState) -> tuple[Row, ...]:
    """Over; a success that comes all the same needs a person."""
    return (
        Row(state, Event.LATE_SUCCESS, Guard.ALWAYS, _S.NEEDS_ATTENTION),
        Row(state, Event.UNDECIDABLE, Guard.ALWAYS, _S.NEEDS_ATTENTION),
    )


def _attended(event: Event) -> Row:
    """A person closes it. Until then facts are written down and the state stays."""
    return Row(_S.NEEDS_ATTENTION, event, Guard.ALWAYS, _S.NEEDS_ATTENTION)


TRANSITIONS: Final[tuple[Row, ...]] = (
    *_asked(_S.SUBMITTED),
    *_asked(_S.UNKNOWN),
    *_answers(_S.REQUIRES_ACTION),
    # Confirmed again, and no answer came.
    Row(_S.REQUIRES_ACTION, Event.LOST, Guard.ALWAYS, _S.UNKNOWN),
    Row(_S.REQUIRES_ACTION, Event.CANCEL_SUCCEEDED, Guard.ALWAYS, _S.CANCELED),
    *_answers(_S.PENDING),
    # Declined, and whether it was closed is not known.
    Row(_S.PENDING, Event.LOST, Guard.ALWAYS, _S.UNKNOWN),
    Row(_S.PENDING, Event.CANCEL_SUCCEEDED, Guard.ALWAYS, _S.CANCELED),
    *_reserved(_S.AUTHORIZED),
    Row(_S.AUTHORIZED, Event.CANCEL_SUCCEEDED, Guard.ALWAYS, _S.CANCELED),
    Row(_S.AUTHORIZED, Event.CANCELED, Guard.ALWAYS, _S.CANCELED),
    *_reserved(_S.PARTIALLY_CAPTURED),
    Row(_S.PARTIALLY_CAPTURED, Event.REFUND_ASKED, Guard.ALWAYS, _S.PARTIALLY_CAPTURED),
    Row(_S.CAPTURED, Event.REFUND_ASKED, Guard.ALWAYS, _S.CAPTURED),
    Row(_S.CAPTURED, Event.UNDECIDABLE, Guard.ALWAYS, _S.NEEDS_ATTENTION),
    *_given_up(_S.DECLINED),
    *_given_up(_S.CANCELED),
    *_given_up(_S.EXPIRED),
    Row(_S.EXPIRED, Event.REFUND_ASKED, Guard.COLLECTED, _S.EXPIRED),
    Row(_S.FAILED, Event.LATE_SUCCESS, Guard.COLLECTED_AND_KEY_FREE, _S.CAPTURED),
    Row(_S.FAILED, Event.LATE_SUCCESS, Guard.RESERVED_AND_KEY_FREE, _S.AUTHORIZED),
    # Two live payments for one key must not be: a person refunds one of them (I6).
    Row(_S.FAILED, Event.LATE_SUCCESS, Guard.KEY_TAKEN, _S.NEEDS_ATTENTION),
    Row(_S.FAILED, Event.UNDECIDABLE, Guard.ALWAYS, _S.NEEDS_ATTENTION),
    _attended(Event.APPROVED),
    _attended(Event.CAPTURE_SUCCEEDED),
    _attended(Event.CANCEL_SUCCEEDED),
    _attended(Event.UNDECIDABLE),
)

_NO_FACTS: Final = Facts()


def find_row(state: PaymentState, event: Event, facts: Facts = _NO_FACTS) -> Row | None:
    """Returns the row that applies, or None: then the event is illegal here."""
    for row in TRANSITIONS:
        if row.state is state and row.event is event and GUARDS[row.guard](facts):
            return row
    return None


def advance(
    payment: Payment,
    event: Event,
    facts: Facts = _NO_FACTS,
    **changes: Any,  # noqa: ANN401 - fields of many types
) -> Payment:
    """Returns the payment after the event, with the changed fields.

    Raises:
        StateConflict: The table has no row for this; names payment and state.
    """
    row = find_row(payment.state, event, facts)
    if row is None:
        raise conflict(payment)
    return replace(payment, state=row.next, **changes)


def conflict(payment: Payment, **details: str) -> StateConflict:
    """Returns the error that says what the payment's state does not allow."""
    names = {"payment": payment.name, "state": payment.state.name}
    return StateConflict(metadata=names | details)
