"""Secrets of merchants at rest that are no cards: processors' credentials.

Invariants:
  * Each secret has a data key of its own, wrapped under the merchant's wrapping key for
    this use; it opens for that merchant and that place alone.
  * Nothing here is logged, and no repr shows a secret.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from gateway.errors import IntegrityViolation
from gateway.keys.hierarchy import KeyHierarchy
from gateway.keys.ports import KeyUse
from gateway.keys.sealed_bytes import DATA_KEY_BYTES, open_sealed, seal
from gateway.words.identifiers import MerchantId
from gateway.words.length_prefix import join_parts
from gateway.words.sealed_secret import SealedSecret

_SECRET: Final = "bailee-secret-at-rest/v1"  # noqa: S105 - a label, not a secret
_DATA_KEY: Final = "bailee-secret-key/v1"


class SecretSealer:
    """Seals and opens secrets of one use."""

    def __init__(
        self,
        *,
        hierarchy: KeyHierarchy,
        vault_id: str,
        use: KeyUse = KeyUse.PROCESSOR_CREDENTIAL,
    ) -> None:
        self._hierarchy = hierarchy
        self._vault_id = vault_id
        self._use = use

    async def seal(
        self, merchant: MerchantId, place: Sequence[str], secret: bytes
    ) -> SealedSecret:
        """Seals a secret so that it opens in the same place alone.

        Raises:
            KeyUnavailable: The key provider did not answer.
        """
        data_key = os.urandom(DATA_KEY_BYTES)
        wrapping = await self._hierarchy.wrapping_key(merchant, self._use)
        return SealedSecret(
            wrapping_key_id=wrapping.key_id,
            wrapped=wrapping.wrap(data_key, self._bind(_DATA_KEY, merchant, place)),
            sealed=seal(data_key, secret, self._bind(_SECRET, merchant, place)),
        )

    async def open(
        self, merchant: MerchantId, place: Sequence[str], secret: SealedSecret
    ) -> bytes:
        """Returns the secret.

        Raises:
            IntegrityViolation: Another merchant, place or use, or damaged bytes.
            KeyUnavailable: The key provider did not answer.
        """
        data_key = await self._unwrap(merchant, place, secret)
        aad = self._bind(_SECRET, merchant, place)
        return open_sealed(data_key, secret.sealed, aad)

    async def rewrap(
        self, merchant: MerchantId, place: Sequence[str], secret: SealedSecret
    ) -> SealedSecret:
        """Returns the secret under the newest wrapping key; it is not opened.

        Raises:
            IntegrityViolation, KeyUnavailable: As ``open``.
        """
        data_key = await self._unwrap(merchant, place, secret)
        newest = await self._hierarchy.wrapping_key(merchant, self._use)
        return replace(
            secret,
            wrapping_key_id=newest.key_id,
            wrapped=newest.wrap(data_key, self._bind(_DATA_KEY, merchant, place)),
        )

    async def _unwrap(
        self, merchant: MerchantId, place: Sequence[str], secret: SealedSecret
    ) -> bytes:
        key_id = secret.wrapping_key_id
        wrapping = await self._hierarchy.wrapping_key_by_id(merchant, key_id)
        if wrapping.purpose is not self._use:
            raise IntegrityViolation
        return wrapping.unwrap(secret.wrapped, self._bind(_DATA_KEY, merchant, place))

    def _bind(self, label: str, merchant: MerchantId, place: Sequence[str]) -> bytes:
        return join_parts(label, self._vault_id, merchant, self._use.value, *place)
