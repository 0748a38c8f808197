"""Text that we echo must not become a place where card numbers hide (I1).

What is refused, after digits and separators of every script are made plain:
  * 12 to 19 digits that stand together and pass the Luhn check,
  * groups of digits with up to three separators between them that read as one number
    of a known brand. (Of an unknown one they pass: "01.11.2026 30.11.2026" is no card.)
  * the same with any other signs between them, if the groups are those of a card's
    face or single digits: "4242,4242,4242,4242", "(4)(2)…".
  * a longer run of digits that begins with a number of a known brand.

Not noticed, because nothing tells them from an order number: UnionPay's numbers without
a check digit, and a number in the middle of more than 19 digits. Nor what is hidden on
purpose: letters in between, words, other encodings.
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
_SIGN_RUN: Final = re.compile(rf"\d(?:[\W_]{{0,3}}\d){{{_DIGITS_MIN - 1},}}")
_GROUP: Final = re.compile(r"\d+")
# Fours, as on most cards' faces, with what is left at the end; 4-6-5 and 4-6-4.
_FACES: Final = frozenset(
    {(4, 4, 4), (4, 4, 4, 4), (4, 6, 5), (4, 6, 4)}
    | {(4, 4, 4, rest) for rest in (1, 2, 3)}
    | {(4, 4, 4, 4, rest) for rest in (1, 2, 3)}
)
# They show nothing: formats, marks, and the fillers of two scripts.
_INVISIBLE: Final = frozenset({"Cf", "Mn", "Me"})
_FILLERS: Final = "\u115f\u1160\u2800"


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
        text = _make_plain(text)
    for run in _RUN.finditer(text):
        groups = _GROUP.findall(run.group())
        if any(_could_be_card(groups, first) for first in range(len(groups))):
            raise RequestInvalid(field, "looks like it contains a card number")
    for run in _SIGN_RUN.finditer(text):
        groups = _GROUP.findall(run.group())
        if any(_is_on_a_card(groups, first) for first in range(len(groups))):
            raise RequestInvalid(field, "looks like it contains a card number")


def _make_plain(text: str) -> str:
    """Returns the text with ASCII digits for all others, and nothing unseen in it.

    Normalizing turns full-width, mathematical and circled digits into plain ones; the
    black circled ones and those of other scripts keep only their value.
    """
    return "".join(
        _plain_character(character) for character in unicodedata.normalize("NFKC", text)
    )


def _plain_character(character: str) -> str:
    if character.isascii():
        return character
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    unseen = unicodedata.category(character) in _INVISIBLE or character in _FILLERS
    return "" if unseen else character


def _could_be_card(groups: Sequence[str], first: int) -> bool:
    """Whether a card number begins where this group begins."""
    group = groups[first]
    if _DIGITS_MIN <= len(group) <= _DIGITS_MAX and passes_luhn(group):
        return True
    return any(_has_brand(digits) for digits in _beginnings(groups, first))


def _is_on_a_card(groups: Sequence[str], first: int) -> bool:
    """Whether these groups, whatever is between them, are those of a card number."""
    lengths: tuple[int, ...] = ()
    digits = ""
    for group in groups[first:]:
        lengths, digits = (*lengths, len(group)), digits + group
        if len(digits) > _DIGITS_MAX:
            return False
        if (lengths in _FACES or set(lengths) == {1}) and _has_brand(digits):
            return True
    return False


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
