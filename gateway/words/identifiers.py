"""Names of things: merchants, cards, payments, calls.

Tokens are letters only: a scanner that looks for card numbers never takes one for a
card number (PCI tokenization guidelines), and one changed letter is noticed.
"""

import os
import re
from operator import mul
from typing import Final, NewType

from gateway.errors import RequestInvalid

MerchantId = NewType("MerchantId", str)
CardTokenName = NewType("CardTokenName", str)
PaymentName = NewType("PaymentName", str)
CaptureName = NewType("CaptureName", str)
RefundName = NewType("RefundName", str)
RequestId = NewType("RequestId", str)
ProcessorAccountId = NewType("ProcessorAccountId", str)

# The scope of rows and entries that belong to the gateway itself.
GATEWAY: Final = MerchantId("gateway")

_ALPHABET: Final = "bcdfghjklmnpqrstvwxz"  # 20 consonants: no words, no digits
_LETTERS: Final = 30  # 20^30 = 2^129.7
_PLACE: Final = {letter: place for place, letter in enumerate(_ALPHABET)}
_WEIGHTS: Final = (1, 3, 7, 9, 11, 13, 17, 19) * 4
# 240 is the largest multiple of 20 in a byte.
_BYTES_LEFT_OUT: Final = bytes(range(240, 256))
_LETTER_OF_BYTE: Final = bytes(ord(_ALPHABET[byte % 20]) for byte in range(256))
_MERCHANT: Final = re.compile(r"[a-z][a-z0-9-]{1,38}[a-z0-9]")
_UUID4: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)


def new_name(prefix: str) -> str:
    """Returns ``prefix_`` + 30 random letters + a check letter."""
    letters = _random_letters()
    return f"{prefix}_{letters}{_check_letter(letters)}"


def _random_letters() -> str:
    """Draws letters, each with the same chance: bytes that would favour some are left
    out.

    One draw of 48 bytes nearly always suffices: 15 of 16 bytes are kept.
    """
    letters = ""
    while len(letters) < _LETTERS:
        kept = os.urandom(48).translate(_LETTER_OF_BYTE, _BYTES_LEFT_OUT)
        letters += kept.decode("ascii")
    return letters[:_LETTERS]


def is_name(prefix: str, text: str) -> bool:
    """Whether the text has the form of a name with this prefix."""
    head, _, letters = text.partition("_")
    if head != prefix or len(letters) != _LETTERS + 1:
        return False
    if not set(letters) <= set(_ALPHABET):
        return False
    return letters[-1] == _check_letter(letters[:-1])


def _check_letter(letters: str) -> str:
    """Catches any one changed letter and nearly all swaps of two neighbours.

    Weights are coprime to 20, so a change of one letter always changes the sum.
    """
    total = sum(map(mul, _WEIGHTS, map(_PLACE.__getitem__, letters)))
    return _ALPHABET[total % 20]


def read_merchant_id(text: str, field: str = "merchant") -> MerchantId:
    """Returns the text as a merchant id.

    Raises:
        RequestInvalid: Not 3 to 40 characters of a-z, 0-9 and inner hyphens.
    """
    if not _MERCHANT.fullmatch(text) or text == GATEWAY:
        raise RequestInvalid(field, "is not a merchant id")
    return MerchantId(text)


def read_request_id(text: str, field: str = "request_id") -> RequestId:
    """Returns the text as a request id (AIP-155).

    Raises:
        RequestInvalid: Not a lower-case UUID version 4.
    """
    if not _UUID4.fullmatch(text):
        raise RequestInvalid(field, "is not a lower-case UUID version 4")
    return RequestId(text)
