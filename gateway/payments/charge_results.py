"""What became of a charge, and what that does to its payment. Pure.

Invariants:
  * "Failed" and "Unknown" carry no fact of the processor's: they never change a payment
    that is decided.
  * A fact that contradicts what we know becomes NEEDS_ATTENTION, never a guess.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

from gateway.payments.payment import Payment, PaymentState, Step
from gateway.payments.processor import (
    ActionRequired,
    Approved,
    Canceled,
    ChargeOutcome,
    Declined,
    Pending,
)
from gateway.payments.transitions import Event, Facts, advance

_FIRST_CHECK: Final = timedelta(seconds=2)
_CHECK_MAX: Final = timedelta(hours=1)

_ASKED: Final = (PaymentState.SUBMITTED, PaymentState.UNKNOWN)
_OPEN: Final = (PaymentState.REQUIRES_ACTION, PaymentState.PENDING)
_GIVEN_UP: Final = (
    PaymentState.DECLINED,
    PaymentState.FAILED,
    PaymentState.CANCELED,
    PaymentState.EXPIRED,
)


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing moved; ``reason`` is neutral and in capitals."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have moved. The resolver finds out.

    ``processor_object`` is set when at least the object's name is known;
    ``absent_inquiries``, when given, is how often the processor did not know it.
    """

    processor_object: str = ""
    absent_inquiries: int | None = None


@dataclass(frozen=True, slots=True)
class Undecidable:
    """No program can decide."""

    processor_object: str = ""


Result = ChargeOutcome | Failed | Unknown | Undecidable


def is_fact(result: Result) -> bool:
    """Whether the processor said it, so that it holds whoever heard it."""
    return not isinstance(result, Failed | Unknown)


def check_against(payment: Payment, result: Result, refunded: int = 0) -> Result:
    """Returns the result, or Undecidable if it contradicts what the payment says:
    other amounts, or a second object that was approved.
    """
    if not isinstance(result, Approved):
        return result
    if payment.authorized and payment.processor_object != result.processor_object:
        # The name of the first stays: it is the one that our amounts are of.
        return Undecidable()
    amount = payment.amount
    same_currency = (
        result.authorized.currency == result.captured.currency == amount.currency
    )
    whole = result.authorized.minor_units == amount.minor_units
    captured = result.captured.minor_units
    all_or_nothing = captured in (0, amount.minor_units)
    if same_currency and whole and all_or_nothing and refunded <= captured:
        return result
    return Undecidable(result.processor_object)


def event_of(  # noqa: PLR0911 - one return for each kind of state
    payment: Payment, result: Result
) -> Event | None:
    """Returns what the result means here; None if it says nothing new."""
    state = payment.state
    if state in _ASKED:
        return _plain_event(result)
    if isinstance(result, Unknown) and state in _OPEN:
        return Event.LOST
    if not is_fact(result):
        return None
    if state in _OPEN:
        return _plain_event(result)
    if _is_repeated(payment, result):
        return None
    if state in _GIVEN_UP:
        return _late_event(result)
    if isinstance(result, Undecidable):
        return Event.UNDECIDABLE
    if state is PaymentState.NEEDS_ATTENTION and isinstance(result, Approved):
        return Event.APPROVED
    if state is PaymentState.AUTHORIZED and isinstance(result, Canceled):
        return Event.CANCELED
    return None


def apply_result(
    payment: Payment,
    result: Result,
    now: datetime,
    *,
    key_taken: bool = False,
    refunded: int = 0,
) -> Payment:
    """Returns the payment with the result applied; unchanged if it says nothing new.

    Raises:
        StateConflict: The table has no row for this.
    """
    event = event_of(payment, result)
    if event is None:
        return payment
    collected = isinstance(result, Approved) and result.captured.minor_units > 0
    changes = _changes(payment, result, now)
    if refunded:
        changes["refunded"] = refunded
    return advance(
        payment,
        event,
        Facts(collected=collected, key_taken=key_taken),
        **{"lease": None, "updated_at": now, "next_check_at": None} | changes,
    )


def next_wait(payment: Payment, now: datetime) -> timedelta:
    """Returns how long to wait before asking again: longer, the older it is."""
    age = now - payment.created_at
    return max(_FIRST_CHECK, min(age / 2, _CHECK_MAX))


def _plain_event(result: Result) -> Event:  # noqa: PLR0911 - one return for each kind
    match result:
        case Approved():
            return Event.APPROVED
        case Declined():
            return Event.DECLINED
        case ActionRequired():
            return Event.ACTION_REQUIRED
        case Pending():
            return Event.ACCEPTED
        case Canceled():
            return Event.CANCELED
        case Failed():
            return Event.FAILED
        case Unknown():
            return Event.LOST
        case Undecidable():
            return Event.UNDECIDABLE
        case _:
            assert_never(result)


def _late_event(result: Result) -> Event | None:
    """What the processor says of a payment that we had given up."""
    if isinstance(result, Approved):
        return Event.LATE_SUCCESS
    if isinstance(result, ActionRequired | Pending | Undecidable):
        # It lives at the processor and may move money, while its key is free.
        return Event.UNDECIDABLE
    return None


def _is_repeated(payment: Payment, result: Result) -> bool:
    """Whether it is an old answer about the object that we already know."""
    if not isinstance(result, Approved | Declined | ActionRequired | Pending):
        return False
    known = payment.processor_object
    if not known or known != result.processor_object:
        return False
    return not isinstance(result, Approved) or payment.authorized > 0


def _changes(  # noqa: PLR0911 - one return for each kind of result
    payment: Payment, result: Result, now: datetime
) -> dict[str, Any]:
    """Returns the fields that the result sets."""
    match result:
        case Approved():
            return _approved(result)
        case Declined():
            return {
                "step": Step.DONE,
                "decline": result.decline,
                "processor_object": result.processor_object,
            }
        case ActionRequired():
            return {
                "processor_object": result.processor_object,
                "redirect_url": result.redirect_url,
                "next_check_at": now + next_wait(payment, now),
            }
        case Pending():
            return {
                "processor_object": result.processor_object,
                "next_check_at": now + next_wait(payment, now),
            }
        case Canceled():
            return {
                "step": Step.DONE,
                "capturable": 0,
                "capture_before": None,
                "processor_object": result.processor_object,
            }
        case Failed():
            return {"step": Step.DONE, "failure_reason": result.reason}
        case Unknown():
            absent = result.absent_inquiries
            return {
                "next_check_at": now + next_wait(payment, now),
                "processor_object": result.processor_object or payment.processor_object,
                "absent_inquiries": (
                    payment.absent_inquiries if absent is None else absent
                ),
            }
        case Undecidable():
            return {
                "processor_object": result.processor_object or payment.processor_object
            }
        case _:
            assert_never(result)


def _approved(result: Approved) -> dict[str, Any]:
    authorized = result.authorized.minor_units
    captured = result.captured.minor_units
    return {
        "step": Step.DONE,
        "authorized": authorized,
        "captured": captured,
        "capturable": 0 if captured else authorized,
        "processor_object": result.processor_object,
        "capture_before": None if captured else result.capture_before,
        "network_transaction_id": result.network_transaction_id,
        "decline": None,
        "failure_reason": "",
    }
