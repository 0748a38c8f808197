"""What is asked of Stripe: pure builders of request parameters.

The return types are those that Stripe generates from its own specification, so that
mypy refuses a misspelt or withdrawn parameter. ``payment_method_types`` is one: sending
it is an error since 2026-09-30; ``allowed_payment_method_types`` took its place.

Invariants:
  * Only ``payment_method`` holds card data, and nothing but it a security code (I4).
  * Stripe learns our payment's name and purpose; no text of the platform, no e-mail.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal, cast

from stripe.params import (
    CustomerCreateParams,
    PaymentIntentCancelParams,
    PaymentIntentCaptureParams,
    PaymentIntentConfirmParams,
    PaymentIntentCreateParams,
    PaymentIntentListParams,
    PaymentIntentRetrieveParams,
    PaymentIntentSearchParams,
    PaymentMethodAttachParams,
    PaymentMethodCreateParams,
    PaymentMethodCreateParamsBillingDetails,
    PaymentMethodCreateParamsBillingDetailsAddress,
    PaymentMethodCreateParamsCard,
    RefundCreateParams,
)

from gateway.cards.details import BillingDetails
from gateway.cards.expiry import Expiry
from gateway.cards.pan import Pan
from gateway.cards.security_code import SecurityCode
from gateway.payments.processor import ChargeOrder
from gateway.processors.stripe.money import to_stripe
from gateway.words.identifiers import PaymentName
from gateway.words.money import Money
from gateway.words.purposes import Purpose

# The page size of lists and searches; Stripe's largest.
PAGE: Final = 100

# The card networks' categories of charges that the merchant starts.
CredentialUsage = Literal["recurring", "installment", "unscheduled"]
_USAGE: Final[Mapping[Purpose, CredentialUsage]] = {
    Purpose.RECURRING: "recurring",
    Purpose.INSTALLMENT: "installment",
    Purpose.UNSCHEDULED: "unscheduled",
}


def customer(metadata: Mapping[str, str]) -> CustomerCreateParams:
    """Returns a customer with no personal data."""
    return {"metadata": dict(metadata)}


def payment_method(
    number: Pan,
    expiry: Expiry,
    security_code: SecurityCode | None,
    billing: BillingDetails | None,
    metadata: Mapping[str, str],
) -> PaymentMethodCreateParams:
    """Returns a card with the billing details that raise the chance of approval."""
    card: PaymentMethodCreateParamsCard = {
        "number": number.reveal(),
        "exp_month": expiry.month,
        "exp_year": expiry.year,
    }
    if security_code is not None:
        card["cvc"] = security_code.reveal()
    params: PaymentMethodCreateParams = {
        "type": "card",
        "card": card,
        "metadata": dict(metadata),
    }
    details = _billing_details(billing or BillingDetails())
    if details:
        params["billing_details"] = details
    return params


def attachment(customer_id: str) -> PaymentMethodAttachParams:
    """Returns what keeps a card for its customer when no cardholder is there."""
    return {"customer": customer_id}


def charge(
    order: ChargeOrder, metadata: Mapping[str, str]
) -> PaymentIntentCreateParams:
    """Returns a charge or authorization, created and confirmed in one call.

    Raises:
        AmountNotRepresentable: See to_stripe.
    """
    params: PaymentIntentCreateParams = {
        "amount": to_stripe(order.amount),
        "currency": order.amount.currency.lower(),
        "payment_method": order.reference.payment_method,
        "allowed_payment_method_types": ["card"],
        "capture_method": "automatic" if order.capture else "manual",
        "confirm": True,
        "expand": ["latest_charge"],
        "metadata": {
            **metadata,
            "bailee_payment": order.payment,
            "bailee_purpose": order.purpose.value,
        },
    }
    if order.reference.customer:
        params["customer"] = order.reference.customer
    if order.statement_descriptor_suffix:
        params["statement_descriptor_suffix"] = order.statement_descriptor_suffix
    usage = _USAGE.get(order.purpose)
    if usage is not None:
        # Nobody is there to authenticate: Stripe declines instead of asking. It takes
        # neither a return_url nor setup_future_usage together with off_session.
        params["off_session"] = True
        params["payment_method_options"] = {"card": {"stored_credential_usage": usage}}
        return params
    if order.return_url:
        params["return_url"] = order.return_url
    else:
        params["error_on_requires_action"] = True
    if order.stores_credential:
        later = "off_session" if order.off_session_later else "on_session"
        params["setup_future_usage"] = later
    return params


def confirmation(return_url: str) -> PaymentIntentConfirmParams:
    """Returns what asks once more for a payment that waits for its cardholder."""
    return {"return_url": return_url, "expand": ["latest_charge"]}


def capture(amount: Money) -> PaymentIntentCaptureParams:
    """Returns a capture; what it leaves is released.

    Raises:
        AmountNotRepresentable: See to_stripe.
    """
    return {"amount_to_capture": to_stripe(amount), "expand": ["latest_charge"]}


def cancellation() -> PaymentIntentCancelParams:
    """Returns a cancellation; we do not know why, so it gives no reason."""
    return {}


def refund(
    intent: str, amount: Money, metadata: Mapping[str, str]
) -> RefundCreateParams:
    """Returns a refund of a part or all of a charge.

    Raises:
        AmountNotRepresentable: See to_stripe.
    """
    return {
        "payment_intent": intent,
        "amount": to_stripe(amount),
        "metadata": dict(metadata),
    }


def retrieval() -> PaymentIntentRetrieveParams:
    """Returns what asks for a payment with its charge."""
    return {"expand": ["latest_charge"]}


def listing(
    customer_id: str, created_from: datetime, after: str
) -> PaymentIntentListParams:
    """Returns a page of a customer's payments; ``after`` is the last one known."""
    params: PaymentIntentListParams = {
        "customer": customer_id,
        "created": {"gte": int(created_from.timestamp())},
        "expand": ["data.latest_charge"],
        "limit": PAGE,
    }
    if after:
        params["starting_after"] = after
    return params


def period(start: datetime, end: datetime, after: str) -> PaymentIntentListParams:
    """Returns a page of the account's payments; ``after`` is the last one known."""
    params: PaymentIntentListParams = {
        "created": {"gte": int(start.timestamp()), "lt": int(end.timestamp())},
        "expand": ["data.latest_charge"],
        "limit": PAGE,
    }
    if after:
        params["starting_after"] = after
    return params


def search(payment: PaymentName) -> PaymentIntentSearchParams:
    """Returns a search by our payment's name, where no customer is known.

    Stripe's index lags behind, usually by less than a minute, sometimes by hours: its
    silence proves nothing until much later.
    """
    return {
        "query": f"metadata['bailee_payment']:'{payment}'",
        "expand": ["data.latest_charge"],
        "limit": PAGE,
    }


def _billing_details(
    billing: BillingDetails,
) -> PaymentMethodCreateParamsBillingDetails:
    """Leaves out what is empty: Stripe takes an empty text for an order to erase."""
    whole: PaymentMethodCreateParamsBillingDetailsAddress = {
        "line1": billing.line1,
        "line2": billing.line2,
        "city": billing.city,
        "state": billing.region,
        "postal_code": billing.postal_code,
        "country": billing.country,
    }
    address = cast(
        "PaymentMethodCreateParamsBillingDetailsAddress",
        {name: text for name, text in whole.items() if text},
    )
    details: PaymentMethodCreateParamsBillingDetails = {}
    if billing.name:
        details["name"] = billing.name
    if address:
        details["address"] = address
    return details
