"""One MAC key for each merchant, derived once and kept ready."""

from typing import Final

from gateway.keys.ports import KeyProvider
from gateway.words.identifiers import MerchantId
from gateway.words.keyed_hash import KeyedHash

# Callers that act for every merchant choose the names; what is kept must not grow with
# them.
_KEPT_MAX: Final = 10_000


class MerchantKeys:
    """The keyed hashes of one use, such as ``fingerprint``, by merchant."""

    def __init__(self, provider: KeyProvider, use: str) -> None:
        self._provider = provider
        self._use = use
        self._kept: dict[MerchantId, KeyedHash] = {}

    def of(self, merchant: MerchantId) -> KeyedHash:
        """Returns the merchant's keyed hash; no other merchant has it."""
        kept = self._kept.get(merchant)
        if kept is None:
            if len(self._kept) >= _KEPT_MAX:
                self._kept.clear()
            kept = KeyedHash(self._provider.mac_key(f"{self._use}/{merchant}"))
            self._kept[merchant] = kept
        return kept
