"""Wrapping one key under another: AES-256-GCM-SIV (RFC 8452).

Layout: format (1 byte) || nonce (12) || wrapped key and tag. GCM-SIV because a wrapping
key wraps many keys with random nonces: a repeated nonce reveals only equality.
"""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from gateway.errors import IntegrityViolation

KEY_BYTES: Final = 32
_FORMAT_V1: Final = b"\x01"
_NONCE_BYTES: Final = 12
_WRAPPED_BYTES: Final = 1 + _NONCE_BYTES + KEY_BYTES + 16


def wrap_key(wrapping_key: bytes, key: bytes, context: bytes) -> bytes:
    """Wraps a key so that only the same wrapping key and context unwrap it."""
    nonce = os.urandom(_NONCE_BYTES)
    return _FORMAT_V1 + nonce + AESGCMSIV(wrapping_key).encrypt(nonce, key, context)


def unwrap_key(wrapping_key: bytes, wrapped: bytes, context: bytes) -> bytes:
    """Returns the key.

    Raises:
        IntegrityViolation: Another key, another context, or damaged bytes.
    """
    if len(wrapped) != _WRAPPED_BYTES or wrapped[:1] != _FORMAT_V1:
        raise IntegrityViolation
    nonce, body = wrapped[1 : 1 + _NONCE_BYTES], wrapped[1 + _NONCE_BYTES :]
    try:
        return AESGCMSIV(wrapping_key).decrypt(nonce, body, context)
    except InvalidTag as error:
        raise IntegrityViolation from error
