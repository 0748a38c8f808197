"""Where Stripe's minor units differ from ISO 4217 (docs.stripe.com/currencies).

Stripe counts ISK, HUF, TWD and UGX in hundredths and wants whole units; it wants
three-decimal currencies in tens.
"""

from typing import Final

from gateway.errors import AmountNotRepresentable
from gateway.words.money import MINOR_UNITS_MAX, Money

# ISO 4217 gives these no decimals; Stripe counts hundredths of them.
_HUNDREDFOLD: Final = frozenset({"ISK", "UGX"})
# Both count hundredths, and Stripe charges whole units only.
_WHOLE_UNITS: Final = frozenset({"HUF", "TWD"})
_THREE_DECIMALS: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
_AMOUNT_MAX: Final = 99_999_999


def check_representable(amount: Money) -> None:
    """Raises when Stripe cannot express the amount.

    Raises:
        AmountNotRepresentable: Too large, or finer than Stripe charges.
    """
    units = to_stripe(amount)
    coarse = amount.currency in _WHOLE_UNITS and units % 100
    coarse = coarse or (amount.currency in _THREE_DECIMALS and units % 10)
    limit = MINOR_UNITS_MAX if amount.currency == "IDR" else _AMOUNT_MAX
    if coarse or units > limit:
        raise AmountNotRepresentable


def to_stripe(amount: Money) -> int:
    """Returns the amount in Stripe's units."""
    factor = 100 if amount.currency in _HUNDREDFOLD else 1
    return amount.minor_units * factor


def from_stripe(units: int, currency: str) -> Money:
    """Returns Stripe's amount in ISO 4217 minor units."""
    code = currency.upper()
    return Money(units // 100 if code in _HUNDREDFOLD else units, code)
