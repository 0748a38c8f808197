"""Sealing a card to the gateway's key before it enters a message.

The format is documented in proto/bailee/v1/card.proto: HPKE (RFC 9180), base mode, with
everything that must not change bound into ``info``.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from bailee.bundle import Bundle
from bailee.card import Card
from bailee.errors import SealingKeyUntrusted
from bailee.v1 import card_pb2, vault_service_pb2

_CARD_LABEL: Final = "bailee-card/v1"
_BATCH_LABEL: Final = "bailee-card-batch/v1"
_SECURITY_CODE_LABEL: Final = "bailee-security-code/v1"
_KEY_LABEL: Final = "bailee-sealing-key/v1"
_SUITE_NAME: Final = "X25519-HKDF_SHA256-AES256GCM"
_SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_PADDING_BYTES: Final = 256
# A key is not used in its last minutes: the envelope must still open on arrival.
_KEY_MARGIN: Final = timedelta(minutes=15)


def join_parts(*parts: str | bytes) -> bytes:
    """Returns the parts, each preceded by its length as four bytes, big-endian."""
    encoded = [part.encode() if isinstance(part, str) else part for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


class Sealer:
    """Seals for one vault and one merchant with keys that the identity key signed."""

    def __init__(self, bundle: Bundle) -> None:
        self._vault_id = bundle.vault_id
        self._identity = Ed25519PublicKey.from_public_bytes(bundle.identity_key)
        self._key: vault_service_pb2.SealingKey | None = None

    def needs_keys(self, now: datetime) -> bool:
        """Whether keys must be fetched before the next card is sealed."""
        if self._key is None:
            return True
        return _expiry_of(self._key) - _KEY_MARGIN <= now

    def forget_keys(self) -> None:
        """Makes the next card fetch keys anew."""
        self._key = None

    def use_keys(
        self, keys: Sequence[vault_service_pb2.SealingKey], now: datetime
    ) -> None:
        """Takes the first key that lives long enough and that the identity key signed.

        Raises:
            SealingKeyUntrusted: A signature does not verify, or no key is current.
        """
        for key in keys:
            self._check(key)
        current = [key for key in keys if _expiry_of(key) - _KEY_MARGIN > now]
        if not current:
            raise SealingKeyUntrusted("the gateway offers no current sealing key")
        self._key = current[0]

    def seal_card(
        self, card: Card, *, merchant: str, rpc: str, request_id: str, item: int = 0
    ) -> card_pb2.SealedCard:
        """Seals a card for one call; the envelope opens in no other."""
        content = _content_of(card)
        key_id, sealed = self._seal(
            _CARD_LABEL, content, merchant, rpc, request_id, str(item)
        )
        return card_pb2.SealedCard(key_id=key_id, ciphertext=sealed)

    def seal_batch(
        self, cards: Iterable[Card], *, merchant: str, rpc: str, request_id: str
    ) -> card_pb2.SealedBatch:
        """Seals the cards of one batch in one envelope, in their order."""
        content: dict[str, object] = {"cards": [_content_of(card) for card in cards]}
        key_id, sealed = self._seal(
            _BATCH_LABEL, content, merchant, rpc, request_id, "0"
        )
        return card_pb2.SealedBatch(key_id=key_id, ciphertext=sealed)

    def seal_security_code(
        self, code: str, *, merchant: str, rpc: str, request_id: str
    ) -> card_pb2.SealedSecurityCode:
        """Seals a security code that was collected again, for one call."""
        key_id, sealed = self._seal(
            _SECURITY_CODE_LABEL,
            {"security_code": code},
            merchant,
            rpc,
            request_id,
            "0",
        )
        return card_pb2.SealedSecurityCode(key_id=key_id, ciphertext=sealed)

    def _seal(
        self, label: str, content: dict[str, object], *context: str
    ) -> tuple[str, bytes]:
        """Returns the key id and the envelope of padded JSON.

        ``context`` is merchant, RPC, request id, item index.
        """
        if self._key is None:
            raise SealingKeyUntrusted("fetch the sealing keys first")
        content["sealed_at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        plain = json.dumps(content, separators=(",", ":")).encode()
        plain += b" " * (-len(plain) % _PADDING_BYTES)
        merchant, *rest = context
        info = join_parts(
            label, _SUITE_NAME, self._vault_id, merchant, self._key.key_id, *rest
        )
        public = X25519PublicKey.from_public_bytes(self._key.public_key)
        return self._key.key_id, _SUITE.encrypt(plain, public, info=info)

    def _check(self, key: vault_service_pb2.SealingKey) -> None:
        signed = join_parts(
            _KEY_LABEL, self._vault_id, key.public_key, str(key.expire_time.seconds)
        )
        expected = hashlib.sha256(_KEY_LABEL.encode() + key.public_key).hexdigest()
        try:
            self._identity.verify(key.signature, signed)
        except InvalidSignature as error:
            raise SealingKeyUntrusted(
                "the gateway offered a sealing key that its identity key did not sign; "
                "do not send cards and call the operator"
            ) from error
        if key.key_id != expected[:16]:
            raise SealingKeyUntrusted("a sealing key is not named after its bytes")


def _content_of(card: Card) -> dict[str, object]:
    content: dict[str, object] = {
        "number": card.number,
        "expiry_month": card.expiry_month,
        "expiry_year": card.expiry_year,
    }
    if card.security_code:
        content["security_code"] = card.security_code
    if card.billing is not None:
        given = {key: text for key, text in asdict(card.billing).items() if text}
        content["billing"] = given
    return content


def _expiry_of(key: vault_service_pb2.SealingKey) -> datetime:
    return key.expire_time.ToDatetime(tzinfo=UTC)
