"""Where sealed cards and references belong; sealing itself is keys/sealed_bytes.py."""

from gateway.keys.sealed_bytes import DATA_KEY_BYTES, open_sealed, seal
from gateway.vault.ports import KeyKind, StoredCard
from gateway.words.identifiers import MerchantId, ProcessorAccountId
from gateway.words.length_prefix import join_parts

__all__ = [
    "DATA_KEY_BYTES",
    "card_aad",
    "data_key_context",
    "open_sealed",
    "reference_aad",
    "seal",
]


def card_aad(vault_id: str, merchant: MerchantId, card: StoredCard) -> bytes:
    """Returns where a card's number and billing details belong."""
    return join_parts(
        "bailee-card-at-rest/v1",
        vault_id,
        merchant,
        card.token,
        str(card.generation),
        "details",
        str(card.policy_version),
    )


def reference_aad(
    vault_id: str,
    merchant: MerchantId,
    card: StoredCard,
    account_id: ProcessorAccountId,
    generation: int,
) -> bytes:
    """Returns where a credential reference belongs."""
    return join_parts(
        "bailee-reference-at-rest/v1",
        vault_id,
        merchant,
        card.token,
        str(generation),
        account_id,
        str(card.policy_version),
    )


def data_key_context(
    vault_id: str, merchant: MerchantId, card: StoredCard, kind: KeyKind
) -> bytes:
    """Returns what a wrapped data key is for; the wrap adds purpose and key id."""
    return join_parts(
        "bailee-data-key/v1",
        vault_id,
        merchant,
        card.token,
        str(card.generation),
        kind.value,
        str(card.policy_version),
    )
