"""A card and a payment in the stand-in's books, and how Stripe shows them."""

import secrets
from dataclasses import dataclass

from tests.processors.stripe.cards import BankAnswer
from tests.processors.stripe.shapes import error_body, shape

_WEEK = 7 * 24 * 3600


@dataclass
class Card:
    """A payment method; ``number`` stays in the books."""

    id: str
    number: str
    customer: str | None = None
    used: bool = False

    def show(self, params):
        """Returns the payment method as Stripe shows it."""
        return shape(
            "payment_method",
            id=self.id,
            customer=self.customer,
            metadata=params.get("metadata", {}),
            billing_details=params.get("billing_details", {}),
            card={"last4": self.number[-4:], "brand": "visa"},
        )


@dataclass
class Intent:
    """A payment intent with at most one charge."""

    id: str
    amount: int
    currency: str
    card: Card
    customer: str | None
    metadata: dict
    created: int
    params: dict
    status: str = "requires_confirmation"
    received: int = 0
    refunded: int = 0
    charge: str | None = None
    refusal: BankAnswer | None = None
    attempts: int = 1
    return_url: str | None = None

    def show(self, expand=()):
        """Returns the payment intent as Stripe shows it."""
        expanded = "latest_charge" in (expand or ())
        held = self.status == "requires_capture"
        redirect = {
            "type": "redirect_to_url",
            "redirect_to_url": {
                "return_url": self.return_url or self.params.get("return_url"),
                "url": (
                    f"https://hooks.stripe.example/redirect/{self.id}/{self.attempts}"
                ),
            },
        }
        return shape(
            "payment_intent",
            id=self.id,
            amount=self.amount,
            amount_capturable=self.amount if held else 0,
            amount_received=self.received,
            client_secret=f"{self.id}_secret_{secrets.token_hex(8)}",
            created=self.created,
            currency=self.currency,
            customer=self.customer,
            last_payment_error=self._show_refusal(),
            latest_charge=self._show_charge() if expanded else self.charge,
            metadata=self.metadata,
            next_action=redirect if self.status == "requires_action" else None,
            payment_method=self.card.id,
            status=self.status,
        )

    def _show_refusal(self):
        if self.refusal is None:
            return None
        codes = codes_of(self.refusal)
        return error_body("card_error", "Your card was declined.", **codes)["error"]

    def _show_charge(self):
        if self.charge is None:
            return None
        refusal = self.refusal
        manual = self.params.get("capture_method") == "manual"
        ends = {"capture_before": self.created + _WEEK} if manual else {}
        return shape(
            "charge",
            id=self.charge,
            amount=self.amount,
            amount_captured=self.received,
            amount_refunded=self.refunded,
            captured=self.status == "succeeded",
            created=self.created,
            currency=self.currency,
            payment_intent=self.id,
            outcome={"type": _outcome_type(refusal)},
            paid=refusal is None,
            refunded=bool(self.received) and self.refunded == self.received,
            status="failed" if refusal else "succeeded",
            payment_method_details={
                "type": "card",
                "card": {
                    "last4": self.card.number[-4:],
                    "network_transaction_id": None if refusal else "104102978678771",
                }
                | ends,
            },
        )


def codes_of(refusal):
    """Returns the codes as an error carries them."""
    return {
        "code": refusal.code,
        "decline_code": refusal.decline_code,
        "advice_code": refusal.advice_code,
        "network_advice_code": refusal.network_advice_code,
    }


def _outcome_type(refusal):
    if refusal is None:
        return "authorized"
    return "blocked" if refusal.blocked else "issuer_declined"
