"""Bad input over gRPC: one documented reason each, nothing echoed, no row left."""

from dataclasses import dataclass
from datetime import timedelta

import grpc
import pytest
from bailee import Card, new_request_id
from bailee.v1 import (
    card_pb2,
    money_pb2,
    payment_service_pb2,
    purpose_pb2,
    vault_service_pb2,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.words.identifiers import new_name
from tests.builders.calls import NUMBER, YEAR, plain, refused, tokenize
from tests.builders.gateway import a_sealer, running
from tests.builders.storage import OTHER, SHOP


@pytest.fixture
async def site(tmp_path):
    async with running(tmp_path, accept_plain_cards=True) as made:
        yield made


def charge(token, **changes):
    facts = {
        "merchant": SHOP,
        "request_id": new_request_id(),
        "card_token": token,
        "amount": money_pb2.Money(minor_units=100, currency="USD"),
        "purpose": purpose_pb2.PURPOSE_PAYMENT_CUSTOMER_INITIATED,
    }
    return payment_service_pb2.CreatePaymentRequest(**facts | changes)


def sealed(
    site, request_id, *, sealer=None, merchant=SHOP, rpc="TokenizeCard", card=None
):
    envelope = (sealer or site.sealer).seal_card(
        Card(number=NUMBER, expiry_month=12, expiry_year=YEAR),
        merchant=merchant,
        rpc=rpc,
        request_id=request_id,
    )
    return card_pb2.CardInput(sealed=envelope)


def rows(site):
    """Counts what the database holds of cards, payments and request ids."""
    reader = site.storage._reader()
    tables = ("cards", "payments", "request_records", "charge_once")
    return {
        table: reader.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
        for table in tables
    }


NUMBERS = [
    *("4" * length for length in (1, 2, 5, 11, 20, 25, 30)),
    "",
    "424242424242424a",
    "４２４２４２４２４２４２４２４２",
    "4242424242424241",
    "4242 4242 4242 4242",
    "-4242424242424242",
    "4242424242424242\n",
]


class TestTokenizeCard:
    @pytest.mark.parametrize("number", NUMBERS)
    async def test_refuses_a_number_that_is_none(self, site, number):
        error = await refused(site.vault.TokenizeCard, tokenize(plain(number=number)))

        assert (error.reason, error.violations[0].field) == (
            "CARD_INVALID",
            "card.number",
        )
        assert not number or number not in str(error)
        assert rows(site)["cards"] == rows(site)["request_records"] == 0

    @pytest.mark.parametrize(
        ("changes", "reason", "field"),
        [
            ({"expiry_month": 13}, "CARD_INVALID", "card.expiry_month"),
            ({"expiry_month": 0}, "CARD_INVALID", "card.expiry_month"),
            ({"expiry_year": 2020}, "CARD_EXPIRED", "card.expiry_year"),
            ({"expiry_year": 31}, "CARD_INVALID", "card.expiry_year"),
            ({"expiry_year": 2099}, "CARD_INVALID", "card.expiry_year"),
            ({"security_code": "12"}, "CARD_INVALID", "card.security_code"),
            ({"security_code": "1234"}, "CARD_INVALID", "card.security_code"),
            ({"security_code": "abc"}, "CARD_INVALID", "card.security_code"),
        ],
    )
    async def test_refuses_wrong_card_data(self, site, changes, reason, field):
        error = await refused(site.vault.TokenizeCard, tokenize(plain(**changes)))

        assert (error.reason, error.violations[0].field) == (reason, field)
        assert rows(site)["cards"] == 0

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"request_id": "not-a-uuid"}, "request_id"),
            ({"request_id": ""}, "request_id"),
            ({"customer_reference": "x" * 256}, "customer_reference"),
            ({"customer_reference": f"card {NUMBER}"}, "customer_reference"),
            ({"customer_reference": "a\nb"}, "customer_reference"),
        ],
    )
    async def test_refuses_wrong_fields(self, site, changes, field):
        error = await refused(site.vault.TokenizeCard, tokenize(plain(), **changes))

        assert (error.reason, error.violations[0].field) == ("REQUEST_INVALID", field)
        assert NUMBER not in str(error)
        assert rows(site)["cards"] == 0

    async def test_refuses_a_request_without_a_card(self, site):
        error = await refused(site.vault.TokenizeCard, tokenize(card_pb2.CardInput()))

        assert error.reason == "REQUEST_INVALID"

    async def test_refuses_a_purpose_that_nobody_can_grant(self, site):
        mandate = purpose_pb2.Mandate(purposes=[purpose_pb2.PURPOSE_MARKETING])

        error = await refused(
            site.vault.TokenizeCard, tokenize(plain(), mandate=mandate)
        )

        assert error.reason == "REQUEST_INVALID"

    async def test_refuses_an_unknown_merchant(self, site):
        error = await refused(
            site.vault.TokenizeCard, tokenize(plain(), merchant="nobody")
        )

        assert error.reason == "MERCHANT_NOT_FOUND"

    async def test_refuses_the_same_request_id_for_another_card(self, site):
        first = tokenize(plain())
        await site.vault.TokenizeCard(first)
        other = tokenize(plain(number="5555555555554444"), request_id=first.request_id)

        error = await refused(site.vault.TokenizeCard, other)

        assert error.reason == "REQUEST_ID_REUSED"
        assert rows(site)["cards"] == 1

    async def test_burns_a_request_id_that_is_reused_three_times(self, site):
        first = tokenize(plain())
        await site.vault.TokenizeCard(first)
        for month in (1, 2, 3):
            other = tokenize(plain(expiry_month=month), request_id=first.request_id)
            await refused(site.vault.TokenizeCard, other)

        error = await refused(site.vault.TokenizeCard, first)

        assert error.reason == "REQUEST_ID_REUSED"

    async def test_returns_the_same_token_for_the_same_request(self, site):
        request = tokenize(plain())

        first = await site.vault.TokenizeCard(request)
        second = await site.vault.TokenizeCard(request)

        assert first.card_token.name == second.card_token.name
        assert (first.replayed, second.replayed) == (False, True)


@dataclass
class StaleCard:
    """Changes the time inside an envelope: Sealer always takes the present."""

    sealer: object
    by: timedelta

    def seal(self, **context):
        import bailee.sealing as module

        real, shift = module.datetime, self.by

        class Shifted(real):
            @classmethod
            def now(cls, zone=None):
                return real.now(zone) + shift

        module.datetime = Shifted
        try:
            return self.sealer.seal_card(
                Card(number=NUMBER, expiry_month=12, expiry_year=YEAR), **context
            )
        finally:
            module.datetime = real


class TestEnvelopes:
    """All are the same SEALED_CARD_REJECTED: they are not told apart."""

    async def rejected(self, site, request):
        error = await refused(site.vault.TokenizeCard, request)
        assert error.reason == "SEALED_CARD_REJECTED"
        assert rows(site)["cards"] == rows(site)["request_records"] == 0

    async def test_takes_a_good_one(self, site):
        request_id = new_request_id()
        request = tokenize(sealed(site, request_id), request_id=request_id)

        assert (await site.vault.TokenizeCard(request)).card_token.last_four == "4242"

    async def test_refuses_each_flipped_byte(self, site):
        request_id = new_request_id()
        card = sealed(site, request_id)
        for place in range(0, len(card.sealed.ciphertext), 16):
            damaged = bytearray(card.sealed.ciphertext)
            damaged[place] ^= 1
            card.sealed.ciphertext = bytes(damaged)
            await self.rejected(site, tokenize(card, request_id=request_id))

    @pytest.mark.parametrize("size", [1, 31, 32, 47, 48, 200])
    async def test_refuses_a_truncated_one(self, site, size):
        request_id = new_request_id()
        card = sealed(site, request_id)
        card.sealed.ciphertext = card.sealed.ciphertext[:size]

        await self.rejected(site, tokenize(card, request_id=request_id))

    async def test_refuses_one_of_another_vault(self, site):
        request_id = new_request_id()
        foreign = a_sealer(site.keys)
        foreign._vault_id = "elsewhere/vault-1"

        await self.rejected(
            site,
            tokenize(sealed(site, request_id, sealer=foreign), request_id=request_id),
        )

    async def test_refuses_one_replayed_under_another_request_id(self, site):
        request_id = new_request_id()
        card = sealed(site, request_id)

        await self.rejected(site, tokenize(card))

    async def test_refuses_one_sealed_for_another_merchant(self, site):
        request_id = new_request_id()
        card = sealed(site, request_id, merchant=OTHER)

        await self.rejected(site, tokenize(card, request_id=request_id))

    async def test_refuses_one_sealed_for_another_rpc(self, site):
        request_id = new_request_id()
        card = sealed(site, request_id, rpc="CreatePayment")

        await self.rejected(site, tokenize(card, request_id=request_id))

    async def test_refuses_an_unknown_key(self, site):
        request_id = new_request_id()
        card = sealed(site, request_id)
        card.sealed.key_id = "0" * 16

        await self.rejected(site, tokenize(card, request_id=request_id))

    @pytest.mark.parametrize("minutes", [-11, 2])
    async def test_refuses_a_stale_or_early_one(self, site, minutes):
        request_id = new_request_id()
        stale = StaleCard(site.sealer, timedelta(minutes=minutes)).seal(
            merchant=SHOP, rpc="TokenizeCard", request_id=request_id
        )

        await self.rejected(
            site, tokenize(card_pb2.CardInput(sealed=stale), request_id=request_id)
        )


class TestPlainCards:
    async def test_refuses_them_by_default(self, tmp_path):
        async with running(tmp_path) as site:
            error = await refused(site.vault.TokenizeCard, tokenize(plain()))

            assert error.reason == "PLAIN_CARD_REFUSED"
            assert rows(site)["cards"] == 0


class TestCreatePayment:
    @pytest.mark.parametrize(
        ("changes", "reason", "field"),
        [
            ({"amount": money_pb2.Money(minor_units=-1, currency="USD")},
             "REQUEST_INVALID", "amount.minor_units"),
            ({"amount": money_pb2.Money(minor_units=0, currency="USD")},
             "REQUEST_INVALID", "amount.minor_units"),
            ({"amount": money_pb2.Money(minor_units=2**63 - 1, currency="USD")},
             "REQUEST_INVALID", "amount.minor_units"),
            ({"amount": money_pb2.Money(minor_units=1, currency="XXX")},
             "REQUEST_INVALID", "amount.currency"),
            ({"amount": money_pb2.Money(minor_units=1, currency="usd")},
             "REQUEST_INVALID", "amount.currency"),
            ({"purpose": 0}, "REQUEST_INVALID", "purpose"),
            ({"purpose": purpose_pb2.PURPOSE_PAYMENT_RECURRING},
             "REQUEST_INVALID", "charge_once_key"),
            ({"description": f"invoice {NUMBER}"}, "REQUEST_INVALID", "description"),
            ({"metadata": {"note": NUMBER}}, "REQUEST_INVALID", "metadata"),
            ({"return_url": "javascript:alert(1)"}, "REQUEST_INVALID", "return_url"),
        ],
    )  # fmt: skip
    async def test_refuses_wrong_fields(self, site, changes, reason, field):
        token = (await site.vault.TokenizeCard(tokenize(plain()))).card_token.name

        error = await refused(site.payments.CreatePayment, charge(token, **changes))

        named = error.violations[0].field
        assert error.reason == reason
        assert named.startswith(field)
        assert NUMBER not in str(error)
        assert rows(site)["payments"] == 0
        assert site.ledger.payments() == []

    @pytest.mark.parametrize("token", ["", "card_x", NUMBER, "unknown"])
    async def test_does_not_know_a_token_that_is_none(self, site, token):
        named = new_name("card") if token == "unknown" else token

        error = await refused(site.payments.CreatePayment, charge(named))

        assert error.reason == "CARD_TOKEN_NOT_FOUND"
        assert rows(site)["payments"] == 0

    async def test_does_not_know_another_merchants_token(self, site):
        """covers: I9."""
        token = (await site.vault.TokenizeCard(tokenize(plain()))).card_token.name

        error = await refused(
            site.payments.CreatePayment, charge(token, merchant=OTHER)
        )

        assert error.reason == "CARD_TOKEN_NOT_FOUND"
        assert site.ledger.payments() == []

    async def test_refuses_an_unknown_account(self, site):
        token = (await site.vault.TokenizeCard(tokenize(plain()))).card_token.name

        error = await refused(
            site.payments.CreatePayment, charge(token, processor_account="nowhere")
        )

        assert error.reason == "PROCESSOR_ACCOUNT_NOT_FOUND"


class TestOversize:
    async def test_refuses_a_message_that_is_too_long(self, site):
        request = tokenize(plain(), customer_reference="x" * 100_000)

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await site.vault.TokenizeCard(request)

        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


class TestFuzz:
    """Whatever the bytes, a call never ends as INTERNAL and never leaves a payment."""

    @settings(
        max_examples=150,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(data=st.data())
    async def test_never_fails_internally(self, site, data):
        stub, kind = data.draw(
            st.sampled_from(
                [
                    (site.vault.TokenizeCard, vault_service_pb2.TokenizeCardRequest),
                    (site.vault.GetCardToken, vault_service_pb2.GetCardTokenRequest),
                    (
                        site.payments.CreatePayment,
                        payment_service_pb2.CreatePaymentRequest,
                    ),
                    (site.payments.GetPayment, payment_service_pb2.GetPaymentRequest),
                ]
            )
        )
        request = fill(kind(), data)

        call = stub(request)
        code = await call.code()

        assert code not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
        assert site.ledger.payments() == []


TEXTS = st.one_of(
    st.sampled_from(
        ["", SHOP, OTHER, NUMBER, "USD", new_request_id(), new_name("card")]
    ),
    st.text(max_size=40),
)


def values_of(field):
    """Returns what a field of one value may be filled with."""
    by_type = {
        field.TYPE_BYTES: st.binary(max_size=64),
        field.TYPE_STRING: TEXTS,
        field.TYPE_ENUM: st.integers(0, 120),
        field.TYPE_BOOL: st.booleans(),
        field.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    }
    return by_type.get(field.type, st.integers(-(2**63), 2**63 - 1))


def fill(message, data, depth=0):
    """Fills some of a message's fields with values that are nearly right."""
    for field in message.DESCRIPTOR.fields:
        if not data.draw(st.booleans()):
            continue
        if field.is_repeated:
            continue
        if field.cpp_type == field.CPPTYPE_MESSAGE:
            if depth < 3:
                fill(getattr(message, field.name), data, depth + 1)
                getattr(message, field.name).SetInParent()
        else:
            setattr(message, field.name, data.draw(values_of(field)))
    return message
