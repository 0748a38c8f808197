"""States of merchants and cards that policy decides by."""

from enum import StrEnum


class MerchantState(StrEnum):
    """What a merchant may still do."""

    ACTIVE = "active"
    DEACTIVATED = "deactivated"


class CardState(StrEnum):
    """What can be done with a card."""

    ACTIVE = "active"
    ERASED = "erased"
