"""What a card may be used for: a closed list.

The purposes at the end are named so that an attempt is typed, recorded and countable.
No policy version can allow them (blueprint of the product: docs/policy.md).
"""

from enum import StrEnum
from typing import Final


class Purpose(StrEnum):
    """One item of the closed list of uses."""

    CUSTOMER_INITIATED = "payment.customer_initiated"
    RECURRING = "payment.recurring"
    INSTALLMENT = "payment.installment"
    UNSCHEDULED = "payment.unscheduled"
    VERIFICATION = "verification"
    TRANSFER = "transfer"
    ERASURE = "erasure"
    MARKETING = "marketing"
    ANALYTICS = "analytics"
    PROFILING = "profiling"
    RESEARCH = "research"
    RESALE = "resale"


MERCHANT_INITIATED: Final = frozenset(
    {Purpose.RECURRING, Purpose.INSTALLMENT, Purpose.UNSCHEDULED}
)
PAYMENT_PURPOSES: Final = MERCHANT_INITIATED | {Purpose.CUSTOMER_INITIATED}
NEVER_ALLOWED: Final = frozenset(
    {
        Purpose.MARKETING,
        Purpose.ANALYTICS,
        Purpose.PROFILING,
        Purpose.RESEARCH,
        Purpose.RESALE,
    }
)
# What a cardholder can agree to. Erasure needs no agreement.
GRANTABLE: Final = PAYMENT_PURPOSES | {Purpose.VERIFICATION, Purpose.TRANSFER}


class Verb(StrEnum):
    """What a call does to a card. Capture, cancel and refund open no card."""

    TOKENIZE = "tokenize"
    CHARGE = "charge"
    VERIFY = "verify"
    ERASE = "erase"
    TRANSFER = "transfer"
