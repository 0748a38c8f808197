"""Reading Stripe's answers: what became of a payment, a capture or a refund.

Every function may raise one of ``UNREADABLE``: an answer that does not make sense
proves nothing about the money, so the caller treats it as an unknown outcome.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

import stripe

from gateway.errors import GatewayError
from gateway.payments.processor import (
    ActionRequired,
    Approved,
    Canceled,
    ChargeOutcome,
    Declined,
    FoundPayment,
    MoveOutcome,
    MoveState,
    Pending,
)
from gateway.payments.reconcile import ListedPayment
from gateway.processors.stripe.declines import CardRefusal, decline_of
from gateway.processors.stripe.money import from_stripe
from gateway.words.identifiers import PaymentName

UNREADABLE: Final = (AttributeError, KeyError, TypeError, ValueError, GatewayError)

# Objects in these states could be confirmed again with another card.
_CONFIRMABLE: Final = frozenset({"requires_payment_method", "requires_confirmation"})

# docs.stripe.com/refunds#failed-refunds
REFUND_FAILURES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "charge_for_pending_refund_disputed": "DISPUTED",
        "declined": "REFUND_DECLINED",
        "expired_or_canceled_card": "REFUND_CARD_CLOSED",
        "insufficient_funds": "BALANCE_TOO_LOW",
        "lost_or_stolen_card": "REFUND_CARD_CLOSED",
        "merchant_request": "REFUND_CANCELED",
    }
)


def is_confirmable(intent: stripe.PaymentIntent) -> bool:
    """Whether the payment could still be confirmed with another card."""
    return intent.status in _CONFIRMABLE


def read_charge(intent: stripe.PaymentIntent) -> ChargeOutcome:
    """Returns what became of a charge or authorization."""
    name = intent.id
    match intent.status:
        case "succeeded" | "requires_capture":
            return _read_approval(intent)
        case "processing":
            return Pending(processor_object=name)
        case "requires_action":
            return ActionRequired(
                processor_object=name, redirect_url=_redirect_url(intent)
            )
        case "requires_payment_method" | "requires_confirmation":
            return Declined(
                decline=decline_of(_read_refusal(intent)),
                processor_object=name,
                still_confirmable=True,
            )
        case "canceled":
            return Canceled(processor_object=name)
        case _:
            raise ValueError("a state that Stripe does not document")


def read_found(intent: stripe.PaymentIntent) -> FoundPayment:
    """Returns a payment that was looked for."""
    charge = _charge(intent)
    refunded = charge.amount_refunded if charge is not None else 0
    return FoundPayment(
        processor_object=intent.id,
        outcome=read_charge(intent),
        refunded=from_stripe(refunded, intent.currency),
    )


def read_listed(intent: stripe.PaymentIntent) -> ListedPayment:
    """Returns a payment of the account's list, whoever made it."""
    charge = _charge(intent)
    refunded = charge.amount_refunded if charge is not None else 0
    currency = intent.currency
    return ListedPayment(
        processor_object=intent.id,
        payment=intent.metadata.to_dict().get("bailee_payment", ""),
        amount=from_stripe(intent.amount, currency),
        captured=from_stripe(intent.amount_received, currency).minor_units,
        refunded=from_stripe(refunded, currency).minor_units,
        created_at=datetime.fromtimestamp(intent.created, UTC),
    )


def carries(intent: stripe.PaymentIntent, payment: PaymentName) -> bool:
    """Whether the payment carries our payment's name."""
    named = intent.metadata.to_dict().get("bailee_payment")
    return bool(named == payment)


def read_capture(intent: stripe.PaymentIntent) -> MoveOutcome:
    """Returns what became of a capture."""
    states = {"succeeded": MoveState.SUCCEEDED, "processing": MoveState.PENDING}
    return MoveOutcome(state=states[intent.status], processor_object=intent.id)


def read_cancellation(intent: stripe.PaymentIntent) -> MoveOutcome:
    """Returns what became of a cancellation."""
    states = {"canceled": MoveState.SUCCEEDED}
    return MoveOutcome(state=states[intent.status], processor_object=intent.id)


def read_refund(refund: stripe.Refund) -> MoveOutcome:
    """Returns what became of a refund; a pending one may still fail."""
    match refund.status:
        case "succeeded":
            return MoveOutcome(state=MoveState.SUCCEEDED, processor_object=refund.id)
        case "pending" | "requires_action":
            return MoveOutcome(state=MoveState.PENDING, processor_object=refund.id)
        case "failed" | "canceled":
            code = getattr(refund, "failure_reason", None) or ""
            return MoveOutcome(
                state=MoveState.FAILED,
                processor_object=refund.id,
                failure_reason=REFUND_FAILURES.get(code, "REFUND_FAILED"),
            )
        case _:
            raise ValueError("a state that Stripe does not document")


def read_card_refusal(error: object, *, blocked: bool = False) -> CardRefusal:
    """Returns the codes of an error object, which leaves out those it has not."""
    return CardRefusal(
        code=getattr(error, "code", None) or "",
        decline_code=getattr(error, "decline_code", None) or "",
        advice_code=getattr(error, "advice_code", None) or "",
        network_advice_code=getattr(error, "network_advice_code", None) or "",
        blocked=blocked,
    )


def _read_approval(intent: stripe.PaymentIntent) -> Approved:
    collected = intent.status == "succeeded"
    currency = intent.currency
    reserved = intent.amount if collected else intent.amount_capturable
    captured = intent.amount_received if collected else 0
    card = _card(intent)
    ends = None if collected else getattr(card, "capture_before", None)
    return Approved(
        processor_object=intent.id,
        authorized=from_stripe(reserved, currency),
        captured=from_stripe(captured, currency),
        capture_before=datetime.fromtimestamp(ends, UTC) if ends else None,
        network_transaction_id=getattr(card, "network_transaction_id", None) or "",
    )


def _read_refusal(intent: stripe.PaymentIntent) -> CardRefusal:
    outcome = getattr(_charge(intent), "outcome", None)
    blocked = getattr(outcome, "type", None) == "blocked"
    return read_card_refusal(
        getattr(intent, "last_payment_error", None), blocked=blocked
    )


def _redirect_url(intent: stripe.PaymentIntent) -> str:
    """Returns where to send the cardholder; empty for actions only an app can do."""
    redirect = getattr(intent.next_action, "redirect_to_url", None)
    return getattr(redirect, "url", None) or ""


def _charge(intent: stripe.PaymentIntent) -> stripe.Charge | None:
    """Returns the charge, if there is one and it came with the payment."""
    charge = getattr(intent, "latest_charge", None)
    return charge if isinstance(charge, stripe.Charge) else None


def _card(intent: stripe.PaymentIntent) -> object:
    details = getattr(_charge(intent), "payment_method_details", None)
    return getattr(details, "card", None)
