"""Sealing data under a data key, bound to its place: AES-256-GCM.

Layout: format (1 byte) || nonce (12) || ciphertext and tag. A data key seals one thing
once for each generation, or a handful of references: a random nonce cannot repeat in
practice (NIST SP 800-38D, 8.3: at most 2^32 for one key).
"""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import IntegrityViolation

DATA_KEY_BYTES: Final = 32
_FORMAT_V1: Final = b"\x01"
_NONCE_BYTES: Final = 12  # 96 bits, as NIST SP 800-38D recommends in 5.2.1.1
_TAG_BYTES: Final = 16


def seal(data_key: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """Encrypts so that only the same key and the same place open it."""
    nonce = os.urandom(_NONCE_BYTES)
    return _FORMAT_V1 + nonce + AESGCM(data_key).encrypt(nonce, plaintext, aad)


def open_sealed(data_key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """Decrypts what ``seal`` made.

    Raises:
        IntegrityViolation: Wrong key, wrong place, damaged or foreign bytes. The cases
            are not told apart, on purpose.
    """
    if len(sealed) < 1 + _NONCE_BYTES + _TAG_BYTES or sealed[:1] != _FORMAT_V1:
        raise IntegrityViolation
    nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return AESGCM(data_key).decrypt(nonce, body, aad)
    except InvalidTag as error:
        raise IntegrityViolation from error
