"""Sealed data opens with its key in its place, and nowhere else. covers: I9."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.cards.details import BillingDetails, CardDetails
from gateway.cards.expiry import Expiry
from gateway.cards.pan import Pan
from gateway.errors import IntegrityViolation
from gateway.keys.hierarchy import WrappingKey
from gateway.policy.mandate import Mandate
from gateway.vault import envelope
from gateway.vault.card_record import decode_details, encode_details
from gateway.vault.fingerprint import expiry_fingerprint, number_fingerprint
from gateway.vault.ports import KeyKind, StoredCard
from gateway.words.identifiers import CardTokenName, MerchantId, ProcessorAccountId
from gateway.words.keyed_hash import KeyedHash
from gateway.words.lifecycles import CardState
from gateway.words.purposes import Purpose
from tests.contract.key_provider_contract import damaged

VECTOR = json.loads(
    Path(__file__)
    .parents[1]
    .joinpath("vectors/card_at_rest_v1.json")
    .read_text("utf-8")
)
KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
VAULT = "vault.example/vault-0123456789abcdef"
SHOP = MerchantId("shop")
ACCOUNT = ProcessorAccountId("simulator")
CARD = StoredCard(
    token=CardTokenName("card_bcdfghjklmnpqrstvwxzbcdfghjklmx"),
    customer_reference="customer-1",
    state=CardState.ACTIVE,
    brand="visa",
    last_four="4242",
    expiry=Expiry(12, 2030),
    mandate=Mandate(),
    policy_version=1,
    generation=1,
    created_at=datetime(2026, 11, 25, 12, 0, tzinfo=UTC),
)


class TestSeal:
    def test_opens_with_the_same_key_and_place(self):
        sealed = envelope.seal(KEY, b"details", b"place")

        assert envelope.open_sealed(KEY, sealed, b"place") == b"details"

    def test_begins_with_the_version_and_a_fresh_nonce(self):
        sealed = {envelope.seal(KEY, b"details", b"place") for _ in range(50)}

        assert {one[0] for one in sealed} == {1}
        assert len({one[1:13] for one in sealed}) == 50

    def test_refuses_another_key(self):
        with pytest.raises(IntegrityViolation):
            envelope.open_sealed(OTHER_KEY, envelope.seal(KEY, b"d", b"p"), b"p")

    @pytest.mark.parametrize("place", [b"", b"q", b"p\x00"])
    def test_refuses_another_place(self, place):
        with pytest.raises(IntegrityViolation):
            envelope.open_sealed(KEY, envelope.seal(KEY, b"d", b"p"), place)

    @damaged
    def test_refuses_damaged_bytes(self, damage):
        with pytest.raises(IntegrityViolation):
            envelope.open_sealed(KEY, damage(envelope.seal(KEY, b"d", b"p")), b"p")

    def test_refuses_every_flipped_bit_and_every_length(self):
        sealed = envelope.seal(KEY, b"details", b"place")

        for place in range(8 * len(sealed)):
            wrong = bytearray(sealed)
            wrong[place // 8] ^= 1 << place % 8
            with pytest.raises(IntegrityViolation):
                envelope.open_sealed(KEY, bytes(wrong), b"place")
        for length in range(len(sealed)):
            with pytest.raises(IntegrityViolation):
                envelope.open_sealed(KEY, sealed[:length], b"place")


class TestPlaces:
    """Each part of a place changes it: a row copied elsewhere opens nothing."""

    @pytest.mark.parametrize(
        "elsewhere",
        [
            {"vault_id": "vault.example/vault-0000000000000000"},
            {"merchant": MerchantId("other")},
            {"card": replace(CARD, token=CardTokenName("card_x"))},
            {"card": replace(CARD, generation=2)},
            {"card": replace(CARD, policy_version=2)},
        ],
        ids=["vault", "merchant", "token", "generation", "policy version"],
    )
    @pytest.mark.parametrize(
        "place",
        [
            envelope.card_aad,
            lambda **where: envelope.data_key_context(**where, kind=KeyKind.CARD),
        ],
        ids=["card", "data key"],
    )
    def test_every_part_counts(self, place, elsewhere):
        where = {"vault_id": VAULT, "merchant": SHOP, "card": CARD}

        assert place(**where) == place(**where)
        assert place(**where | elsewhere) != place(**where)

    @pytest.mark.parametrize(
        "elsewhere",
        [
            {"vault_id": "vault.example/vault-0000000000000000"},
            {"merchant": MerchantId("other")},
            {"card": replace(CARD, token=CardTokenName("card_x"))},
            {"card": replace(CARD, policy_version=2)},
            {"account_id": ProcessorAccountId("other")},
            {"generation": 2},
        ],
        ids=["vault", "merchant", "token", "policy version", "account", "generation"],
    )
    def test_every_part_counts_for_a_reference(self, elsewhere):
        where = {
            "vault_id": VAULT,
            "merchant": SHOP,
            "card": CARD,
            "account_id": ACCOUNT,
            "generation": 1,
        }

        changed = envelope.reference_aad(**where | elsewhere)
        assert changed != envelope.reference_aad(**where)

    def test_kinds_of_things_never_share_a_place(self):
        places = [
            envelope.card_aad(VAULT, SHOP, CARD),
            envelope.reference_aad(VAULT, SHOP, CARD, ACCOUNT, 1),
            *(envelope.data_key_context(VAULT, SHOP, CARD, kind) for kind in KeyKind),
        ]

        assert len(set(places)) == 4

    def test_no_part_runs_into_the_next(self):
        one = envelope.card_aad("v", MerchantId("shopa"), replace(CARD, token="b"))
        other = envelope.card_aad("v", MerchantId("shop"), replace(CARD, token="ab"))

        assert one != other


class TestCardRecord:
    @pytest.mark.parametrize(
        "billing", [BillingDetails(), BillingDetails(name="Zoë", country="DE")]
    )
    def test_reads_what_it_wrote(self, billing):
        details = CardDetails(
            number=Pan("4242424242424242"), expiry=Expiry(1, 2031), billing=billing
        )

        again = decode_details(encode_details(details))

        assert again.number.reveal() == "4242424242424242"
        assert again.expiry == Expiry(1, 2031)
        assert again.billing == billing

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{}",
            b"[]",
            b"4242424242424242",
            b'{"v":2}',
            b'{"v":1}',
            b'{"v":1,"number":"4242424242424242","month":13,"year":2031,"billing":{}}',
            b'{"v":1,"number":"4242424242424242","month":1,"year":2031,"billing":{"x":1}}',
        ],
    )
    def test_refuses_what_it_does_not_know_and_quotes_none_of_it(self, content):
        with pytest.raises(IntegrityViolation) as caught:
            decode_details(content)
        assert caught.value.__cause__ is None
        assert "4242" not in str(caught.value)

    def test_opens_a_number_that_no_brand_issues_any_more(self):
        """The brand table moves on; a stored card must still open."""
        content = b'{"v":1,"number":"123456789012","month":1,"year":2031,"billing":{}}'

        assert decode_details(content).number.reveal() == "123456789012"


class TestVector:
    """Frozen: what was stored once must open for ever."""

    @pytest.fixture
    def card(self):
        return replace(
            CARD,
            token=VECTOR["token"],
            generation=VECTOR["generation"],
            policy_version=VECTOR["policy_version"],
        )

    def test_places_have_not_changed(self, card):
        where = VECTOR["vault_id"], VECTOR["merchant"], card
        account = VECTOR["account"], VECTOR["reference_generation"]

        assert envelope.card_aad(*where).hex() == VECTOR["card_aad"]
        reference_aad = envelope.reference_aad(*where, *account)
        assert reference_aad.hex() == VECTOR["reference_aad"]
        for kind in KeyKind:
            context = envelope.data_key_context(*where, kind)
            assert context.hex() == VECTOR["data_key_contexts"][kind.value]

    def test_card_opens(self, card):
        aad = envelope.card_aad(VECTOR["vault_id"], VECTOR["merchant"], card)
        sealed = bytes.fromhex(VECTOR["sealed_card"])

        details = decode_details(
            envelope.open_sealed(bytes.fromhex(VECTOR["card_key"]), sealed, aad)
        )

        assert details.number.reveal() == VECTOR["number"]
        assert [details.expiry.month, details.expiry.year] == VECTOR["expiry"]
        assert details.billing == BillingDetails(**VECTOR["billing"])

    def test_reference_opens(self):
        opened = envelope.open_sealed(
            bytes.fromhex(VECTOR["reference_key"]),
            bytes.fromhex(VECTOR["sealed_reference"]),
            bytes.fromhex(VECTOR["reference_aad"]),
        )

        assert opened.decode() == VECTOR["reference"]

    @pytest.mark.parametrize("copy", VECTOR["wraps"], ids=lambda copy: copy["purpose"])
    def test_data_keys_unwrap(self, copy):
        key = WrappingKey(
            copy["wrapping_key_id"],
            Purpose(copy["purpose"]),
            bytes.fromhex(copy["wrapping_key"]),
        )
        context = bytes.fromhex(VECTOR["data_key_contexts"][copy["kind"]])

        opened = key.unwrap(bytes.fromhex(copy["wrapped"]), context)

        assert opened.hex() == VECTOR[f"{copy['kind']}_key"]

    def test_fingerprints_have_not_changed(self):
        key = KeyedHash(bytes.fromhex(VECTOR["fingerprint_key"]))

        number = number_fingerprint(key, Pan(VECTOR["number"]))
        expiry = expiry_fingerprint(key, number, Expiry(*VECTOR["expiry"]))

        assert number.hex() == VECTOR["number_fingerprint"]
        assert expiry.hex() == VECTOR["expiry_fingerprint"]
