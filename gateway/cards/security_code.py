"""The security code (CVC): it lives inside the call that brings it (I4).

PCI DSS 3.3.1: never stored after authorization, not even encrypted. This type cannot be
printed, pickled or compared by accident, and nothing in storage accepts it.
"""

from typing import Final, NoReturn

from gateway.errors import CardInvalid

_LENGTHS: Final = (3, 4)


class SecurityCode:
    """Three or four ASCII digits that leave only through ``reveal()``.

    Raises:
        CardInvalid: Anything else. ``Brand.check_security_code`` knows which of both.
    """

    __slots__ = ("_digits",)

    def __init__(self, digits: str, *, field: str = "card.security_code") -> None:
        if not (digits.isascii() and digits.isdigit() and len(digits) in _LENGTHS):
            raise CardInvalid(field, "is not three or four digits")
        self._digits = digits

    def reveal(self) -> str:
        """Returns the digits; tests/security/test_secret_types.py lists the callers."""
        return self._digits

    def __repr__(self) -> str:
        return "SecurityCode(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SecurityCode is never serialised")
