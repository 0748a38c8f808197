"""A stand-in that we did not write takes the happy path through the real SDK.

The passage between makes up for where it lags behind; the adapter has no mode for it.
"""

import pytest

from gateway.payments.processor import Approved, MoveState
from gateway.processors.stripe.processor import StripeProcessor
from gateway.words.money import Money
from gateway.words.purposes import Purpose
from tests.contract.processor_harness import (
    a_call,
    a_card,
    a_payment_name,
    an_account,
    an_order,
)
from tests.processors.stripe import cards
from tests.processors.stripe.localstripe import localstripe_passage
from tests.processors.stripe.stand_in import always
from tests.processors.stripe.tools import running_localstripe

pytestmark = pytest.mark.process

ACCOUNT = an_account("stripe")
PRICE = Money(1999, "USD")


@pytest.fixture(scope="module")
def localstripe():
    with running_localstripe() as address:
        yield address


@pytest.fixture
async def passage(localstripe):
    passage = localstripe_passage(localstripe)
    async with passage.open() as passage.address:
        yield passage


@pytest.fixture
async def processor(passage):
    processor = StripeProcessor(
        credentials=always("sk_test_12345"), address=passage.address
    )
    yield processor
    await processor.close()


def call():
    return a_call(ACCOUNT, a_payment_name())


async def store(processor):
    customer = await processor.create_customer(call())
    card = a_card(cards.VISA)
    return await processor.store_card(call(), customer, card.opened, card.security_code)


class TestLocalstripe:
    async def test_charges_and_refunds(self, processor):
        reference = await store(processor)

        charge = await processor.charge(call(), an_order(reference, a_payment_name()))
        refund = await processor.refund(
            call(), charge.processor_object, Money(500, "USD")
        )

        assert isinstance(charge, Approved)
        assert (charge.authorized, charge.captured) == (PRICE, PRICE)
        assert refund.state is MoveState.SUCCEEDED
        found = await processor.inquire(call(), charge.processor_object)
        assert found.refunded == Money(500, "USD")

    async def test_authorizes_and_captures(self, processor):
        order = an_order(await store(processor), a_payment_name(), capture=False)

        charge = await processor.charge(call(), order)
        captured = await processor.capture(call(), charge.processor_object, PRICE)

        assert (charge.authorized, charge.captured) == (PRICE, Money(0, "USD"))
        assert captured.state is MoveState.SUCCEEDED

    async def test_cancels_an_authorization(self, processor):
        order = an_order(await store(processor), a_payment_name(), capture=False)

        charge = await processor.charge(call(), order)
        canceled = await processor.cancel(call(), charge.processor_object)

        assert canceled.state is MoveState.SUCCEEDED

    async def test_charges_a_kept_card_again(self, processor, passage):
        reference = await store(processor)
        order = an_order(
            reference,
            a_payment_name(),
            purpose=Purpose.RECURRING,
            stores_credential=True,
            off_session_later=True,
        )

        for _ in range(2):
            assert isinstance(await processor.charge(call(), order), Approved)

        assert any(path.endswith("/attach") for _, path, _, _ in passage.exchanges)
