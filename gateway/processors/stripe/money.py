"""Stripe's amounts, where they differ from ISO 4217's minor unit.

Sources: docs.stripe.com/currencies, "Zero-decimal currencies", "Three-decimal
currencies" and "Special cases"; ISO 4217 list one for the exponents.
"""

from typing import Final

from gateway.errors import AmountNotRepresentable
from gateway.words.money import Money

# ISO 4217 has no decimals, Stripe has two that are always 00.
_TWO_MORE_DECIMALS: Final = frozenset({"ISK", "UGX"})
# ISO 4217 has two decimals, Stripe has none.
_TWO_FEWER_DECIMALS: Final = frozenset({"MGA"})
# Three decimals at both; card networks want the last digit to be 0.
_LAST_DIGIT_ZERO: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
# Three decimals in ISO 4217, and no word from Stripe about how many it takes.
_UNDOCUMENTED: Final = frozenset({"IQD", "LYD"})
_HUNDRED: Final = 100
_TEN: Final = 10
# Twelve digits, the most that Stripe takes in any currency (IDR). Most currencies have
# eight; a larger amount is not checked here, because Stripe refuses it by itself.
_AMOUNT_MAX: Final = 10**12 - 1


def to_stripe(amount: Money) -> int:
    """Returns the amount as Stripe counts it.

    Raises:
        AmountNotRepresentable: Zero, too large, or finer than Stripe's unit.
    """
    counted = _convert(amount)
    if not 0 < counted <= _AMOUNT_MAX:
        raise AmountNotRepresentable
    return counted


def from_stripe(counted: int, currency: str) -> Money:
    """Returns Stripe's amount in ISO 4217 minor units.

    Raises:
        AmountNotRepresentable: Stripe reports a part of the smallest unit.
        RequestInvalid: Not a currency or an amount that we know.
    """
    code = currency.upper()
    if code in _TWO_MORE_DECIMALS:
        return Money(_divide(counted, _HUNDRED), code)
    if code in _TWO_FEWER_DECIMALS:
        return Money(counted * _HUNDRED, code)
    return Money(counted, code)


def _convert(amount: Money) -> int:
    units, currency = amount.minor_units, amount.currency
    if currency in _UNDOCUMENTED:
        raise AmountNotRepresentable
    if currency in _TWO_MORE_DECIMALS:
        return units * _HUNDRED
    if currency in _TWO_FEWER_DECIMALS:
        return _divide(units, _HUNDRED)
    if currency in _LAST_DIGIT_ZERO:
        return _divide(units, _TEN) * _TEN
    return units


def _divide(units: int, parts: int) -> int:
    whole, rest = divmod(units, parts)
    if rest:
        raise AmountNotRepresentable
    return whole
