"""A card number that cannot be printed, logged, compared by accident or pickled."""

from typing import NoReturn


class Pan:
    """Holds the digits. (The checks are being written.)"""

    __slots__ = ("_digits",)

    def __init__(self, digits: str) -> None:
        self._digits = digits

    def reveal(self) -> str:
        """Returns the digits; tests/security/test_secret_types.py lists the callers."""
        return self._digits

    @property
    def last_four(self) -> str:
        """The part we show. PCI DSS 3.4.1 allows at most the BIN and these four."""
        return self._digits[-4:]

    def __repr__(self) -> str:
        return "Pan(****)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Pan is not serialised; seal it")
