"""Text that we echo must not become a place where card numbers hide (I1)."""

import re
import unicodedata
from typing import Final

from gateway.cards.luhn import passes_luhn
from gateway.cards.text import find_fault
from gateway.errors import RequestInvalid

_SHORTEST: Final = 12
_LONGEST: Final = 19
# Digits of any script, with the separators that people put between groups.
_RUN: Final = re.compile(r"\d(?:[\s.\-_/·]{0,2}\d){11,}")


def read_text(field: str, text: str, max_length: int) -> str:
    """Returns the text after every check that echoed text must pass.

    Raises:
        RequestInvalid: Too long, a control character, or it holds a card number.
    """
    fault = find_fault(text, max_length)
    if fault is not None:
        raise RequestInvalid(field, fault)
    refuse_card_numbers(field, text)
    return text


def refuse_card_numbers(field: str, text: str) -> None:
    """Refuses text in which 12 to 19 neighbouring digits pass the Luhn check.

    Raises:
        RequestInvalid: It looks like a card number.
    """
    for match in _RUN.finditer(text):
        digits = "".join(
            str(unicodedata.decimal(character))
            for character in match.group()
            if character.isdecimal()
        )
        if _holds_card_number(digits):
            raise RequestInvalid(field, "looks like it contains a card number")


def _holds_card_number(digits: str) -> bool:
    """A run counts as a whole; one longer than any card counts by its parts."""
    if len(digits) <= _LONGEST:
        return passes_luhn(digits)
    return any(
        passes_luhn(digits[start : start + length])
        for length in range(_SHORTEST, _LONGEST + 1)
        for start in range(len(digits) - length + 1)
    )
