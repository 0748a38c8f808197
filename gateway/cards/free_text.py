"""Text that we echo must not become a place where card numbers hide (I1).

What is refused, after digits and separators of every script are made plain:
  * 12 to 19 digits that stand together and pass the Luhn check,
  * groups of digits with up to three separators between them that read as one number
    of a known brand. (Of an unknown one they pass: "01.11.2026 30.11.2026" is no card.)
  * a longer run of digits that begins with a number of a known brand.

Not noticed, because nothing tells them from an order number: UnionPay's numbers without
a check digit, and a number in the middle of more than 19 digits.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from gateway.cards.brands import UNKNOWN, detect_brand
from gateway.cards.luhn import passes_luhn
from gateway.cards.text import find_fault
from gateway.errors import RequestInvalid

_DIGITS_MIN: Final = 12
_DIGITS_MAX: Final = 19  # ISO/IEC 7812-1
# What people and word processors put between digits: space, dot, hyphen and their kin,
# and the characters that show nothing: soft hyphen, zero-width spaces, marks.
_SEPARATORS: Final = (
    r"\s.\-_/\u00ad\u00b7\u2010-\u2015\u2027\u2212\u200b-\u200f\u2060-\u2064\ufeff"
)
_RUN: Final = re.compile(rf"\d(?:[{_SEPARATORS}]{{0,3}}\d){{{_DIGITS_MIN - 1},}}")
_GROUP: Final = re.compile(r"\d+")


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
    """Refuses text that holds what reads as a card number.

    Raises:
        RequestInvalid: It looks like a card number.
    """
    if not text.isascii():
        # Full-width, mathematical and circled digits become plain ones.
        text = unicodedata.normalize("NFKC", text)
    for run in _RUN.finditer(text):
        groups = [_plain(group) for group in _GROUP.findall(run.group())]
        if any(_could_be_card(groups, first) for first in range(len(groups))):
            raise RequestInvalid(field, "looks like it contains a card number")


def _plain(group: str) -> str:
    """Returns the digits as ASCII, whatever script they are of."""
    if group.isascii():
        return group
    return "".join(str(unicodedata.decimal(digit)) for digit in group)


def _could_be_card(groups: Sequence[str], first: int) -> bool:
    """Whether a card number begins where this group begins."""
    group = groups[first]
    if _DIGITS_MIN <= len(group) <= _DIGITS_MAX and passes_luhn(group):
        return True
    return any(_has_brand(digits) for digits in _beginnings(groups, first))


def _beginnings(groups: Sequence[str], first: int) -> Iterator[str]:
    """Yields the runs of 12 to 19 digits that end where a group ends, and those that
    begin a group which is longer than any card number.
    """
    if len(groups[first]) > _DIGITS_MAX:
        for length in range(_DIGITS_MIN, _DIGITS_MAX + 1):
            yield groups[first][:length]
        return
    digits = ""
    for group in groups[first:]:
        digits += group
        if len(digits) > _DIGITS_MAX:
            return
        if len(digits) >= _DIGITS_MIN:
            yield digits


def _has_brand(digits: str) -> bool:
    """Whether a known brand issues such a number."""
    brand = detect_brand(digits)
    return brand is not UNKNOWN and len(digits) in brand.lengths and passes_luhn(digits)
