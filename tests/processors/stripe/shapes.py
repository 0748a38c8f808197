"""What Stripe's objects look like: as much of them as an adapter could want to read.

With BAILEE_STRIPE_FIXTURES set to Stripe's published fixtures (openapi/fixtures3.json
of github.com/stripe/openapi) each answer starts from the whole published object.
"""

import copy
import json
import os
from functools import cache
from pathlib import Path

_KEPT_BY_HAND = {
    "customer": {"object": "customer", "livemode": False, "email": None},
    "payment_method": {
        "object": "payment_method",
        "livemode": False,
        "type": "card",
        "customer": None,
    },
    "payment_intent": {
        "object": "payment_intent",
        "livemode": False,
        "amount_capturable": 0,
        "amount_received": 0,
        "capture_method": "automatic",
        "confirmation_method": "automatic",
        "payment_method_types": ["card"],
        "payment_method_options": {},
        "setup_future_usage": None,
    },
    "charge": {
        "object": "charge",
        "livemode": False,
        "disputed": False,
        "failure_code": None,
        "failure_message": None,
    },
    "refund": {"object": "refund", "charge": None, "reason": None},
}


@cache
def _published():
    path = os.environ.get("BAILEE_STRIPE_FIXTURES")
    return json.loads(Path(path).read_text("utf-8"))["resources"] if path else {}


def shape(kind, **values):
    """Returns an object of this kind with these values."""
    base = _published().get(kind) or _KEPT_BY_HAND[kind]
    return copy.deepcopy(base) | values


def error_body(kind, message, **values):
    """Returns the body of an error; Stripe leaves out what is empty."""
    details = {key: value for key, value in values.items() if value is not None}
    return {"error": {"type": kind, "message": message} | details}
