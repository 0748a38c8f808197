"""A card number that cannot be printed, logged, compared by accident or pickled.

Invariants:
  * 12 to 19 ASCII digits, of a length that its brand uses.
  * They pass the Luhn check, unless the brand issues numbers that do not.
  * The digits leave this object only through ``reveal()``.
  * No error message contains any of them.
"""

from typing import Final, NoReturn, Self

from gateway.cards.brands import Brand, detect_brand
from gateway.cards.luhn import passes_luhn
from gateway.errors import CardInvalid

_DIGITS_MIN: Final = 12
_DIGITS_MAX: Final = 19  # ISO/IEC 7812-1


class Pan:
    """A card number.

    Raises:
        CardInvalid: Not a number that any brand issues.
    """

    __slots__ = ("_digits",)

    def __init__(self, digits: str, *, field: str = "card.number") -> None:
        # isascii() is not decoration: full-width digits also satisfy isdigit().
        if not (digits.isascii() and digits.isdigit()):
            raise CardInvalid(field, "is not made of digits 0 to 9 alone")
        if not _DIGITS_MIN <= len(digits) <= _DIGITS_MAX:
            raise CardInvalid(field, "is not 12 to 19 digits long")
        brand = detect_brand(digits)
        if len(digits) not in brand.lengths:
            raise CardInvalid(field, "does not have a length that its brand uses")
        if brand.luhn and not passes_luhn(digits):
            raise CardInvalid(field, "fails the check-digit test (Luhn)")
        self._digits = digits

    @classmethod
    def restore(cls, digits: str) -> Self:
        """Returns a number that was checked when it was collected.

        The brand table moves on; a stored card must still open.
        """
        pan = cls.__new__(cls)
        pan._digits = digits  # noqa: SLF001 - our own, made without the checks
        return pan

    @property
    def brand(self) -> Brand:
        """The scheme that issued it."""
        return detect_brand(self._digits)

    @property
    def passes_luhn(self) -> bool:
        """Whether the check digit is right; False only where the brand allows it."""
        return passes_luhn(self._digits)

    @property
    def last_four(self) -> str:
        """The part we show. PCI DSS 3.4.1 allows at most the BIN and these four."""
        return self._digits[-4:]

    def reveal(self) -> str:
        """Returns the digits; tests/security/test_secret_types.py lists the callers."""
        return self._digits

    def __repr__(self) -> str:
        return "Pan(****)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Pan is not serialised; seal it")
