"""DeactivateMerchant stops new uses for good, and blocks no money that is owed."""

import asyncio

import grpc
import pytest
from bailee.client import new_request_id
from bailee.errors import from_rpc_error
from bailee.v1 import (
    card_pb2,
    merchant_pb2,
    money_pb2,
    payment_service_pb2,
    purpose_pb2,
    vault_service_pb2,
)

from gateway.audit.denials import ENTRIES_EACH_MINUTE
from gateway.words.clock import SystemClock
from tests.builders.gateway import running
from tests.builders.merchants import deactivate_merchant, entries_of, update_merchant
from tests.builders.storage import OTHER, SHOP

YEAR = SystemClock().now().year + 3


@pytest.fixture
async def site(tmp_path):
    async with running(tmp_path, accept_plain_cards=True) as made:
        yield made


def a_card():
    plain = card_pb2.PlainCard(
        number="4242424242424242", expiry_month=12, expiry_year=YEAR
    )
    return card_pb2.CardInput(plain=plain)


def tokenize(merchant=SHOP):
    return vault_service_pb2.TokenizeCardRequest(
        merchant=merchant, request_id=new_request_id(), card=a_card()
    )


def charge(token, merchant=SHOP, **changes):
    return payment_service_pb2.CreatePaymentRequest(
        merchant=merchant,
        request_id=new_request_id(),
        card_token=token,
        amount=money_pb2.Money(minor_units=100, currency="USD"),
        purpose=purpose_pb2.PURPOSE_PAYMENT_CUSTOMER_INITIATED,
        **changes,
    )


async def refused(call, request):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(request)
    return from_rpc_error(caught.value, "")


async def a_token(site, merchant=SHOP):
    answer = await site.vault.TokenizeCard(tokenize(merchant))
    return answer.card_token.name


class TestDeactivateMerchant:
    async def test_stops_new_cards_and_payments(self, site):
        token = await a_token(site)
        done = await site.merchants.DeactivateMerchant(deactivate_merchant())

        for call, request in (
            (site.vault.TokenizeCard, tokenize()),
            (site.payments.CreatePayment, charge(token)),
        ):
            error = await refused(call, request)
            assert error.reason == "POLICY_DENIED"
            assert error.metadata["rule"] == "merchant-deactivated"
        assert done.merchant.state == merchant_pb2.Merchant.STATE_DEACTIVATED
        assert done.merchant.HasField("deactivate_time")
        assert site.ledger.payments() == []
        types = [entry["type"] for entry in entries_of(site.storage)]
        assert types[-3:] == ["merchant.deactivated", "use.denied", "use.denied"]

    async def test_blocks_no_money_that_is_owed_and_no_erasure(self, site):
        token = await a_token(site)
        pay = site.payments
        first = (await pay.CreatePayment(charge(token))).payment.name
        manual = {"capture_method": payment_service_pb2.CAPTURE_METHOD_MANUAL}
        second, third = [
            (await pay.CreatePayment(charge(token, **manual))).payment.name
            for _ in range(2)
        ]
        await site.merchants.DeactivateMerchant(deactivate_merchant())

        common = {"merchant": SHOP}
        mutation = {**common, "request_id": ""}
        for call, request in (
            (pay.RefundPayment, payment_service_pb2.RefundPaymentRequest),
            (pay.CapturePayment, payment_service_pb2.CapturePaymentRequest),
            (pay.CancelPayment, payment_service_pb2.CancelPaymentRequest),
        ):
            name = {
                pay.RefundPayment: first,
                pay.CapturePayment: second,
                pay.CancelPayment: third,
            }[call]
            mutation["request_id"] = new_request_id()
            await call(request(payment=name, **mutation))
        found = await pay.GetPayment(
            payment_service_pb2.GetPaymentRequest(payment=first, **common)
        )
        erased = await site.vault.DeleteCardToken(
            vault_service_pb2.DeleteCardTokenRequest(
                card_token=token, merchant=SHOP, request_id=new_request_id()
            )
        )
        assert found.payment.refunded.minor_units == 100
        assert erased.card_token.state == card_pb2.CardToken.STATE_ERASED

    async def test_is_for_good(self, site):
        await site.merchants.DeactivateMerchant(deactivate_merchant())

        again = await refused(site.merchants.DeactivateMerchant, deactivate_merchant())
        await site.merchants.UpdateMerchant(update_merchant(display_name="Closed"))

        assert again.reason == "STATE_CONFLICT"
        assert (await refused(site.vault.TokenizeCard, tokenize())).reason == (
            "POLICY_DENIED"
        )

    async def test_leaves_other_merchants_alone(self, site):
        token = await a_token(site, OTHER)
        await site.merchants.DeactivateMerchant(deactivate_merchant())

        answer = await site.payments.CreatePayment(charge(token, OTHER))

        assert answer.payment.captured.minor_units == 100

    @pytest.mark.parametrize("typed", ["", "SHOP", "other", "shop "])
    async def test_wants_the_id_typed_again(self, site, typed):
        error = await refused(
            site.merchants.DeactivateMerchant, deactivate_merchant(confirmation=typed)
        )

        assert error.violations[0].field == "confirmation"
        assert (await a_token(site)).startswith("card_")

    async def test_beats_uses_that_commit_after_it(self, site):
        """Whatever a call had looked up before: the order of the log decides."""
        token = await a_token(site)
        calls = [site.payments.CreatePayment(charge(token)) for _ in range(20)]
        calls.insert(10, site.merchants.DeactivateMerchant(deactivate_merchant()))

        await asyncio.gather(*calls, return_exceptions=True)

        types = [entry["type"] for entry in entries_of(site.storage)]
        at = types.index("merchant.deactivated")
        assert "use.intent" not in types[at:]
        assert types.count("use.intent") == len(site.ledger.payments())
        # Of one minute's denials, ten are entries of their own.
        denied = 20 - types.count("use.intent")
        assert types.count("use.denied") == min(denied, ENTRIES_EACH_MINUTE)
