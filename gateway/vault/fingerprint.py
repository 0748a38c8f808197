"""Telling that two cards are the same without opening either.

Keyed, because card numbers are guessable (PCI DSS 3.5.1.1 asks for a keyed hash of the
whole number). The key is derived for each merchant, so that two merchants cannot
compare customers. No response shows a fingerprint.
"""

from gateway.cards.expiry import Expiry
from gateway.cards.pan import Pan
from gateway.words.keyed_hash import KeyedHash


def number_fingerprint(key: KeyedHash, number: Pan) -> bytes:
    """Returns a value equal for equal numbers of one merchant, and for nothing else."""
    return key.digest(b"number/v1\x00" + number.reveal().encode())


def expiry_fingerprint(key: KeyedHash, number: bytes, expiry: Expiry) -> bytes:
    """Returns a value equal for equal number and expiry.

    It is made from the number's fingerprint, so that a new expiry opens nothing.
    """
    text = f"{expiry.year:04d}-{expiry.month:02d}".encode()
    return key.digest(b"expiry/v1\x00" + number + text)
