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
_TAG_BYTES: Final = 16
_WRAPPED_BYTES: Final = 1 + _NONCE_BYTES + KEY_BYTES + _TAG_BYTES


class Wrapper:
    """A key, ready to wrap others. Its repr shows nothing of it."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCMSIV(key)

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Wraps a key so that only the same wrapper and context unwrap it."""
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT_V1 + nonce + self._cipher.encrypt(nonce, key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Returns the key.

        Raises:
            IntegrityViolation: Another key, another context, or damaged bytes.
        """
        if len(wrapped) != _WRAPPED_BYTES or wrapped[:1] != _FORMAT_V1:
            raise IntegrityViolation
        nonce, body = wrapped[1 : 1 + _NONCE_BYTES], wrapped[1 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, body, context)
        except InvalidTag as error:
            raise IntegrityViolation from error

    def __repr__(self) -> str:
        return "Wrapper(****)"
