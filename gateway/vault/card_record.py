"""The bytes of a card's details before they are sealed: JSON with a version."""

import json
from typing import Final

from gateway.cards.details import BILLING_LENGTHS, BillingDetails, CardDetails
from gateway.cards.expiry import Expiry
from gateway.cards.pan import Pan
from gateway.errors import FieldError, IntegrityViolation

_VERSION: Final = 1


def encode_details(details: CardDetails) -> bytes:
    """Returns number, expiry and the given billing details."""
    billing = {
        name: text
        for name in BILLING_LENGTHS
        if (text := getattr(details.billing, name))
    }
    return json.dumps(
        {
            "v": _VERSION,
            "number": details.number.reveal(),
            "month": details.expiry.month,
            "year": details.expiry.year,
            "billing": billing,
        },
        separators=(",", ":"),
    ).encode()


def decode_details(content: bytes) -> CardDetails:
    """Reads what ``encode_details`` made.

    Raises:
        IntegrityViolation: Not of a version that this software knows.
    """
    try:
        facts = json.loads(content)
        if facts["v"] != _VERSION:
            raise IntegrityViolation
        return CardDetails(
            number=Pan.restore(facts["number"]),
            expiry=Expiry(facts["month"], facts["year"]),
            billing=BillingDetails(**facts["billing"]),
        )
    except (ValueError, KeyError, TypeError, FieldError):
        # "from None": the error's text quotes what it could not read.
        raise IntegrityViolation from None
