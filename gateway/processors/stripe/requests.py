"""The bodies that Stripe gets: pure, and nothing beside what a charge needs.

No e-mail, no phone, no free text of the merchant. Card data goes into the payment
method only; a security code as well (I4).
"""

from collections.abc import Mapping

from stripe.params import (
    CustomerCreateParams,
    PaymentIntentCreateParams,
    PaymentMethodCreateParams,
)

from gateway.cards.details import BillingDetails
from gateway.cards.security_code import SecurityCode
from gateway.errors import InvariantBroken
from gateway.payments.processor import ChargeOrder
from gateway.processors.stripe.money import to_stripe
from gateway.vault.card_access import OpenedCard
from gateway.words.purposes import MERCHANT_INITIATED, Purpose


def customer(metadata: Mapping[str, str]) -> "CustomerCreateParams":
    """Returns the body of a customer: our names and nothing of the cardholder."""
    return {"metadata": dict(metadata)}


def payment_method(
    card: OpenedCard, security_code: SecurityCode | None, metadata: Mapping[str, str]
) -> "PaymentMethodCreateParams":
    """Returns the body that gives the card to Stripe."""
    if card.number is None or card.expiry is None:
        raise InvariantBroken
    body: PaymentMethodCreateParams = {
        "type": "card",
        "card": {
            "number": card.number.reveal(),
            "exp_month": card.expiry.month,
            "exp_year": card.expiry.year,
        },
        "metadata": dict(metadata),
    }
    if security_code is not None:
        body["card"]["cvc"] = security_code.reveal()
    if card.billing is not None:
        body["billing_details"] = _billing(card.billing)  # type: ignore[typeddict-item]
    return body


def charge(
    order: ChargeOrder, metadata: Mapping[str, str]
) -> "PaymentIntentCreateParams":
    """Returns the body of a charge or authorization by reference.

    The same order gives the same body: a replay is recognised by Stripe.
    """
    body: PaymentIntentCreateParams = {
        "amount": to_stripe(order.amount),
        "currency": order.amount.currency.lower(),
        "customer": order.reference.customer,
        "payment_method": order.reference.payment_method,
        "confirm": True,
        # payment_method_types is refused since API 2026-09-30.
        "allowed_payment_method_types": ["card"],
        "capture_method": "automatic" if order.capture else "manual",
        "metadata": dict(metadata),
        "expand": ["latest_charge"],
    }
    if order.statement_descriptor_suffix:
        body["statement_descriptor_suffix"] = order.statement_descriptor_suffix
    if order.purpose in MERCHANT_INITIATED:
        body["off_session"] = True
        # Not together with setup_future_usage: a first charge stores the credential.
        if not order.stores_credential:
            usage = order.purpose.value.removeprefix("payment.")
            body["payment_method_options"] = {
                "card": {"stored_credential_usage": usage}
            }
    elif order.return_url:
        body["return_url"] = order.return_url
    else:
        body["error_on_requires_action"] = True
    if order.stores_credential and order.purpose is Purpose.CUSTOMER_INITIATED:
        later = order.off_session_later
        body["setup_future_usage"] = "off_session" if later else "on_session"
    return body


def _billing(billing: BillingDetails) -> dict[str, object]:
    """Returns name and address; what was not given is left out."""
    address = {
        "line1": billing.line1,
        "line2": billing.line2,
        "city": billing.city,
        "state": billing.region,
        "postal_code": billing.postal_code,
        "country": billing.country,
    }
    given = {name: text for name, text in address.items() if text}
    shown: dict[str, object] = {}
    if billing.name:
        shown["name"] = billing.name
    if given:
        shown["address"] = given
    return shown
