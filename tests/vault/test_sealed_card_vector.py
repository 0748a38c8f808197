"""The envelope format is frozen, and the client's copy of it agrees."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bailee
import pytest
from bailee import sealing
from bailee.v1 import vault_service_pb2

from gateway.cards.details import BillingDetails
from gateway.vault.sealed_input import (
    SECURITY_CODE_LABEL,
    EnvelopeContext,
    SealedForm,
    SealedInput,
    seal_info,
)
from gateway.words.identifiers import MerchantId, RequestId
from tests.builders.sealed_card import BILLING, CONTEXT, NUMBER
from tests.fakes.key_provider import MemoryKeyProvider

VECTORS = json.loads(
    Path(__file__).parents[1].joinpath("vectors/sealed_card_v1.json").read_text("utf-8")
)


class TestVector:
    """The format is frozen: whatever a client sealed once must open for ever."""

    @pytest.fixture(params=VECTORS, ids=lambda vector: vector["label"])
    def vector(self, request):
        return request.param

    @pytest.fixture
    def sealed_input(self, vector):
        provider = MemoryKeyProvider(vault_id=vector["vault_id"])
        key = provider.add_sealing_key(private_key=bytes.fromhex(vector["private_key"]))
        assert key.key_id == vector["key_id"]
        assert key.public_key.hex() == vector["public_key"]
        return SealedInput(provider=provider, accept_plain_cards=False)

    def context(self, vector):
        return EnvelopeContext(
            merchant=MerchantId(vector["merchant"]),
            rpc=vector["rpc"],
            request_id=RequestId(vector["request_id"]),
            item=vector["item"],
        )

    def test_the_gateways_info_has_not_changed(self, vector):
        info = seal_info(
            vector["label"], vector["vault_id"], vector["key_id"], self.context(vector)
        )

        assert info.hex() == vector["info"]

    def test_the_clients_info_is_the_same(self, vector):
        names = ("vault_id", "merchant", "key_id", "rpc", "request_id")
        labels = {sealing._CARD_LABEL, sealing._SECURITY_CODE_LABEL}
        parts = [vector[name] for name in names] + [str(vector["item"])]

        info = sealing.join_parts(vector["label"], sealing._SUITE_NAME, *parts)

        assert vector["label"] in labels
        assert info.hex() == vector["info"]

    def test_opens(self, vector, sealed_input):
        form = SealedForm(vector["key_id"], bytes.fromhex(vector["ciphertext"]))
        now = datetime.fromisoformat(json.loads(vector["plaintext"])["sealed_at"])
        expected = json.loads(vector["plaintext"])
        context = self.context(vector)

        if vector["label"] == SECURITY_CODE_LABEL:
            code = sealed_input.open_security_code(form, context, now)
            assert code.reveal() == expected["security_code"]
            return
        received = sealed_input.open_card(form, context, now)
        assert received.details.number.reveal() == expected["number"]
        assert received.details.billing == BillingDetails(**expected["billing"])
        assert received.details.expiry.month == expected["expiry_month"]
        assert received.security_code.reveal() == expected["security_code"]


class TestClient:
    def test_what_the_client_seals_opens(self):
        now = datetime.now(UTC)
        provider = MemoryKeyProvider(expires_at=now + timedelta(days=1))
        sealer = sealing.Sealer(
            bailee.Bundle(
                address="localhost:1",
                vault_id=provider.vault_id,
                merchant=CONTEXT.merchant,
                identity_key=provider.identity_public_key,
                log_key=provider.log_public_key,
                log_origin="",
                ca_certificate=b"",
                client_certificate=b"",
                client_key=b"",
            )
        )
        sealer.use_keys([_as_message(key) for key in provider.sealing_keys(now)], now)
        card = bailee.Card(
            number=NUMBER,
            expiry_month=12,
            expiry_year=now.year + 4,
            security_code="123",
            billing=bailee.Billing(**BILLING),
        )
        call: dict[str, Any] = {
            "merchant": CONTEXT.merchant,
            "rpc": CONTEXT.rpc,
            "request_id": CONTEXT.request_id,
        }
        sealed_input = SealedInput(provider=provider, accept_plain_cards=False)

        sealed = sealer.seal_card(card, **call)
        code = sealer.seal_security_code("1234", **call)

        now = datetime.now(UTC)
        received = sealed_input.open_card(_as_form(sealed), CONTEXT, now)
        assert received.details.billing == BillingDetails(**BILLING)
        opened = sealed_input.open_security_code(_as_form(code), CONTEXT, now)
        assert opened.reveal() == "1234"


def _as_message(key):
    message = vault_service_pb2.SealingKey(
        key_id=key.key_id, public_key=key.public_key, signature=key.signature
    )
    message.expire_time.FromDatetime(key.expires_at)
    return message


def _as_form(sealed):
    return SealedForm(sealed.key_id, sealed.ciphertext)
