"""What localstripe lacks, made up for outside the gateway.

It lags behind Stripe: it refuses parameters that Stripe takes and leaves out amounts
that Stripe tells, and calls a decline an invalid request. A passage mends that.
"""

from tests.processors.stripe.tools import Passage

# Stripe takes them; localstripe answers 400 "Unexpected …".
_REFUSED_WRONGLY = (
    "allowed_payment_method_types",
    "error_on_requires_action",
    "return_url",
    "setup_future_usage",
    "statement_descriptor_suffix",
)


def without_what_it_refuses(_path, form):
    return {
        key: value
        for key, value in form.items()
        if not key.startswith(_REFUSED_WRONGLY)
    }


def with_the_amounts_it_leaves_out(body):
    if body.get("object") != "payment_intent":
        return body
    charge = body.get("latest_charge") or {}
    done = body["status"] == "succeeded"
    held = body["status"] == "requires_capture"
    refunded = charge.get("amount_refunded", 0) if isinstance(charge, dict) else 0
    return body | {
        "amount_received": body["amount"] - refunded if done else 0,
        "amount_capturable": body["amount"] if held else 0,
    }


def as_stripe_would_say(body):
    error = body.get("error") or {}
    if error.get("code") == "card_declined":
        declined = error | {"type": "card_error", "decline_code": "generic_decline"}
        return {"error": declined}
    return with_the_amounts_it_leaves_out(body)


def localstripe_passage(address):
    """Returns a passage to a localstripe, to be opened."""
    return Passage(
        address,
        ask=without_what_it_refuses,
        tell=as_stripe_would_say,
        own={"/v1/account": {"id": "acct_1Local", "object": "account"}},
    )
