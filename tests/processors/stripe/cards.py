"""Stripe's published test cards and what they do. Source: docs.stripe.com/testing."""

from dataclasses import dataclass

VISA = "4242424242424242"
MASTERCARD = "5555555555554444"
AMEX = "378282246310005"
GENERIC_DECLINE = "4000000000000002"
INSUFFICIENT_FUNDS = "4000000000009995"
LOST = "4000000000009987"
STOLEN = "4000000000009979"
EXPIRED = "4000000000000069"
SECURITY_CODE_INCORRECT = "4000000000000127"
PROCESSING_ERROR = "4000000000000119"
FAILS_WHEN_CHARGED = "4000000000000341"
BLOCKED = "4100000000000019"
NUMBER_INCORRECT = "4242424242424241"
AUTHENTICATE_ALWAYS = "4000002760003184"


@dataclass(frozen=True)
class BankAnswer:
    """The codes of a refused charge."""

    code: str
    decline_code: str | None = None
    advice_code: str | None = None
    network_advice_code: str | None = None
    blocked: bool = False


DECLINES = {
    GENERIC_DECLINE: BankAnswer("card_declined", "generic_decline"),
    INSUFFICIENT_FUNDS: BankAnswer("card_declined", "insufficient_funds"),
    LOST: BankAnswer("card_declined", "lost_card"),
    STOLEN: BankAnswer("card_declined", "stolen_card"),
    EXPIRED: BankAnswer("expired_card"),
    SECURITY_CODE_INCORRECT: BankAnswer("incorrect_cvc"),
    PROCESSING_ERROR: BankAnswer("processing_error"),
    FAILS_WHEN_CHARGED: BankAnswer("card_declined", "generic_decline"),
    BLOCKED: BankAnswer("card_declined", "fraudulent", blocked=True),
}
AUTHENTICATION_REQUIRED = BankAnswer(
    "authentication_required", "authentication_required"
)
AUTHENTICATION_FAILED = BankAnswer("payment_intent_authentication_failure")
