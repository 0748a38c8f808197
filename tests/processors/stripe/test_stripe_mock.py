"""Stripe's own mock accepts what we send: it checks against Stripe's specification.

It keeps no state and answers with examples, so only acceptance is judged here. Its
newest specification (2026-08-26) is two months older than our version and closes no
nested enumeration: what was withdrawn since, strict_params.py catches.
"""

from contextlib import suppress
from datetime import UTC, datetime

import aiohttp
import pytest

from gateway.payments.processor import (
    CredentialReference,
    ProcessorOutcomeUnknown,
)
from gateway.processors.stripe.processor import StripeProcessor
from gateway.processors.stripe.transport import STRIPE_VERSION
from gateway.words.money import Money
from gateway.words.purposes import PAYMENT_PURPOSES
from tests.contract.processor_harness import (
    a_call,
    a_card,
    a_payment_name,
    an_account,
    an_order,
)
from tests.processors.stripe import cards
from tests.processors.stripe.stand_in import always
from tests.processors.stripe.tools import Passage, running_stripe_mock

pytestmark = pytest.mark.process

ACCOUNT = an_account("stripe")
KEY = "sk_test_123"
PRICE = Money(1999, "USD")
REFERENCE = CredentialReference(payment_method="pm_123", customer="cus_123")


@pytest.fixture(scope="module")
def mock_address():
    with running_stripe_mock() as address:
        yield address


@pytest.fixture
async def passage(mock_address):
    passage = Passage(mock_address)
    async with passage.open() as passage.address:
        yield passage


@pytest.fixture
async def processor(passage):
    processor = StripeProcessor(credentials=always(KEY), address=passage.address)
    yield processor
    await processor.close()


def call():
    return a_call(ACCOUNT, a_payment_name())


class TestStripeMock:
    async def test_accepts_a_customer_and_a_card(self, processor, passage):
        customer = await processor.create_customer(call())
        card = a_card(cards.VISA)

        await processor.store_card(call(), customer, card.opened, card.security_code)
        await processor.store_card(call(), customer, card.opened, None)

        assert [status for _, _, status, _ in passage.exchanges] == [200, 200, 200]

    @pytest.mark.parametrize("purpose", sorted(PAYMENT_PURPOSES))
    @pytest.mark.parametrize("stores", [True, False])
    async def test_accepts_every_kind_of_charge(
        self, processor, passage, purpose, stores
    ):
        for changes in ({}, {"capture": False}, {"return_url": "https://a.example/"}):
            order = an_order(
                REFERENCE,
                a_payment_name(),
                purpose=purpose,
                stores_credential=stores,
                off_session_later=stores,
                statement_descriptor_suffix="INVOICE 7",
                **changes,
            )
            await processor.charge(call(), order)

        assert {status for _, _, status, _ in passage.exchanges} == {200}

    async def test_accepts_moves_and_inquiries(self, processor, passage):
        with suppress(ProcessorOutcomeUnknown):  # the example is of another state
            await processor.capture(call(), "pi_123", PRICE)
        with suppress(ProcessorOutcomeUnknown):
            await processor.cancel(call(), "pi_123")
        await processor.refund(call(), "pi_123", PRICE)
        await processor.inquire(call(), "pi_123")
        since = datetime(2026, 1, 1, tzinfo=UTC)
        await processor.find(call(), a_payment_name(), "cus_123", since)
        await processor.find(call(), a_payment_name(), "", since)

        assert [status for _, _, status, _ in passage.exchanges] == [200] * 6

    @pytest.mark.parametrize(
        "mistake",
        [
            {"paymnet_method": "pm_123"},
            {"capture_method": "manuel"},
            {"amount": "19.99"},
        ],
    )
    async def test_would_refuse_a_mistake(self, mock_address, mistake):
        """The control: without it the tests above could not fail."""
        form = {"amount": "1999", "currency": "usd"} | mistake
        headers = {"Authorization": f"Bearer {KEY}", "Stripe-Version": STRIPE_VERSION}

        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{mock_address}/v1/payment_intents", data=form, headers=headers
            ) as response,
        ):
            assert response.status == 400
