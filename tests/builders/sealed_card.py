"""Sealed cards for tests: made as docs of the API say, opened by a SealedInput."""

import json
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from gateway.vault.sealed_input import (
    CARD_LABEL,
    EnvelopeContext,
    SealedForm,
    SealedInput,
    seal_info,
)
from gateway.words.identifiers import MerchantId, RequestId
from tests.fakes.key_provider import SUITE, MemoryKeyProvider

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
NUMBER = "4242424242424242"
CONTEXT = EnvelopeContext(
    merchant=MerchantId("shop"),
    rpc="TokenizeCard",
    request_id=RequestId("6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f"),
)
CARD: dict[str, Any] = {
    "number": NUMBER,
    "expiry_month": 12,
    "expiry_year": 2030,
    "sealed_at": "2026-11-25T12:00:00.000Z",
}
BILLING = {"name": "Zoë Nguyễn", "country": "DE", "email": "zoe@example.com"}
PROVIDER = MemoryKeyProvider()
SEALED_ONLY = SealedInput(provider=PROVIDER, accept_plain_cards=False)
WITH_PLAIN = SealedInput(provider=PROVIDER, accept_plain_cards=True)


def seal(plain, *, context=CONTEXT, label=CARD_LABEL, provider=PROVIDER, key=None):
    """Seals bytes, text, or what becomes JSON."""
    if not isinstance(plain, bytes):
        text = plain if isinstance(plain, str) else json.dumps(plain)
        plain = text.encode()
        plain += b" " * (-len(plain) % 256)
    key = key or provider.sealing_keys(NOW)[0]
    info = seal_info(label, provider.vault_id, key.key_id, context)
    public = X25519PublicKey.from_public_bytes(key.public_key)
    return SealedForm(key.key_id, SUITE.encrypt(plain, public, info=info))


def open_card(form, *, context=CONTEXT, now=NOW, sealed_input=SEALED_ONLY):
    return sealed_input.open_card(form, context, now)


def open_code(form, *, context=CONTEXT, now=NOW):
    return SEALED_ONLY.open_security_code(form, context, now)
