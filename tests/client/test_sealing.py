"""Sealing: what the client binds, what it refuses to trust, what it cannot print."""

import hashlib
import json
import pickle
from datetime import UTC, datetime, timedelta

import pytest
from bailee import Billing, Bundle, Card
from bailee.errors import SealingKeyUntrusted
from bailee.sealing import Sealer, join_parts
from bailee.v1 import vault_service_pb2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

NOW = datetime.now(UTC)
IDENTITY = Ed25519PrivateKey.generate()
PRIVATE = X25519PrivateKey.generate()
PUBLIC = PRIVATE.public_key().public_bytes_raw()
KEY_ID = hashlib.sha256(b"bailee-sealing-key/v1" + PUBLIC).hexdigest()[:16]
REQUEST_ID = "6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f"
CARD = Card(number="4242424242424242", expiry_month=1, expiry_year=2031)


def a_sealing_key(*, lifetime=timedelta(days=1), signer=IDENTITY, vault="vault"):
    key = vault_service_pb2.SealingKey(key_id=KEY_ID, public_key=PUBLIC)
    key.expire_time.FromDatetime((NOW + lifetime).replace(microsecond=0))
    signed = join_parts(
        "bailee-sealing-key/v1", vault, PUBLIC, str(key.expire_time.seconds)
    )
    key.signature = signer.sign(signed)
    return key


@pytest.fixture
def sealer():
    bundle = Bundle(
        address="localhost:1",
        vault_id="vault",
        merchant="shop",
        identity_key=IDENTITY.public_key().public_bytes_raw(),
        log_key=bytes(32),
        log_origin="vault/m/shop/g1",
        ca_certificate=b"",
        client_certificate=b"",
        client_key=b"",
    )
    return Sealer(bundle)


def open_envelope(sealed, *context):
    suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    info = join_parts(
        "bailee-card/v1", "X25519-HKDF_SHA256-AES256GCM", "vault", *context
    )
    return suite.decrypt(sealed.ciphertext, PRIVATE, info=info)


class TestSealer:
    def test_seals_what_the_documented_format_opens(self, sealer):
        sealer.use_keys([a_sealing_key()], NOW)
        card = Card(
            number="4242424242424242",
            expiry_month=12,
            expiry_year=2031,
            security_code="123",
            billing=Billing(postal_code="10115"),
        )

        sealed = sealer.seal_card(
            card, merchant="shop", rpc="TokenizeCard", request_id=REQUEST_ID
        )

        plain = open_envelope(sealed, "shop", KEY_ID, "TokenizeCard", REQUEST_ID, "0")
        content = json.loads(plain)
        assert len(plain) % 256 == 0
        assert content["number"] == "4242424242424242"
        assert content["billing"] == {"postal_code": "10115"}
        assert content["security_code"] == "123"

    @pytest.mark.parametrize(
        "context",
        [
            ("other", KEY_ID, "TokenizeCard", REQUEST_ID, "0"),
            ("shop", KEY_ID, "CreatePayment", REQUEST_ID, "0"),
            ("shop", KEY_ID, "TokenizeCard", REQUEST_ID[:-1] + "0", "0"),
            ("shop", KEY_ID, "TokenizeCard", REQUEST_ID, "1"),
        ],
    )
    def test_binds_the_envelope_to_one_call(self, sealer, context):
        sealer.use_keys([a_sealing_key()], NOW)
        sealed = sealer.seal_card(
            CARD, merchant="shop", rpc="TokenizeCard", request_id=REQUEST_ID
        )

        with pytest.raises(InvalidTag):
            open_envelope(sealed, *context)

    def test_two_cards_of_different_length_look_alike(self, sealer):
        sealer.use_keys([a_sealing_key()], NOW)
        sizes = {
            len(
                sealer.seal_card(
                    Card(number=number, expiry_month=1, expiry_year=2031),
                    merchant="shop",
                    rpc="TokenizeCard",
                    request_id=REQUEST_ID,
                ).ciphertext
            )
            for number in ("4242424242424242", "378282246310005")
        }

        assert len(sizes) == 1

    def test_refuses_a_key_that_the_pinned_identity_did_not_sign(self, sealer):
        with pytest.raises(SealingKeyUntrusted):
            sealer.use_keys([a_sealing_key(signer=Ed25519PrivateKey.generate())], NOW)

    def test_refuses_a_key_of_another_vault(self, sealer):
        with pytest.raises(SealingKeyUntrusted):
            sealer.use_keys([a_sealing_key(vault="elsewhere")], NOW)

    def test_refuses_a_key_whose_life_was_prolonged(self, sealer):
        key = a_sealing_key()
        key.expire_time.seconds += 86400

        with pytest.raises(SealingKeyUntrusted):
            sealer.use_keys([key], NOW)

    def test_refuses_keys_that_end_too_soon(self, sealer):
        with pytest.raises(SealingKeyUntrusted):
            sealer.use_keys([a_sealing_key(lifetime=timedelta(minutes=1))], NOW)

    def test_asks_for_keys_before_the_first_card(self, sealer):
        assert sealer.needs_keys(NOW)


class TestCard:
    def test_shows_no_digit(self):
        assert not any(character.isdigit() for character in f"{CARD!r}{CARD}")

    def test_is_never_serialised(self):
        with pytest.raises(TypeError):
            pickle.dumps(CARD)

    def test_billing_shows_nothing(self):
        assert "Main" not in repr(Billing(line1="Main Street", name="A. Holder"))
