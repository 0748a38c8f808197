"""The suite that whatever lists a processor's payments passes.

Use it as ``ProcessorContract``, with a fixture that yields a ``ProcessorHarness``.
"""

from datetime import timedelta

import pytest

from gateway.words.money import Money
from tests.contract.processor_contract import PRICE, Desk
from tests.contract.processor_harness import Behaviour


class PaymentListerContract:
    """What every PaymentLister does."""

    @pytest.fixture
    async def processor(self, harness):
        made = harness.make_processor()
        yield made
        await made.close()

    @pytest.fixture
    def desk(self, harness, processor):
        return Desk(harness, processor)

    async def listed(self, harness, processor, *, around=timedelta(hours=1)):
        now = harness.now()
        return await processor.list_payments(
            harness.account, now - around, now + around
        )

    async def test_lists_nothing_where_nothing_happened(self, harness, processor):
        assert await self.listed(harness, processor) == []

    async def test_lists_a_charge_with_our_name_and_its_amount(
        self, harness, processor, desk
    ):
        charged = await desk.charge(await desk.store())

        [item] = await self.listed(harness, processor)
        assert item.payment == desk.payment
        assert item.processor_object == charged.processor_object
        assert (item.amount, item.captured, item.refunded) == (PRICE, 1999, 0)
        assert abs(item.created_at - harness.now()) < timedelta(minutes=5)

    async def test_lists_what_was_captured_and_given_back(
        self, harness, processor, desk
    ):
        held = await desk.charge(await desk.store(), capture=False)
        await desk.processor.capture(
            desk.call("capture"), held.processor_object, Money(1500, "USD")
        )
        await desk.processor.refund(
            desk.call("refund"), held.processor_object, Money(400, "USD")
        )

        [item] = await self.listed(harness, processor)
        assert (item.amount, item.captured, item.refunded) == (PRICE, 1500, 400)

    async def test_lists_what_was_declined_as_nothing_collected(
        self, harness, processor, desk
    ):
        await desk.charge(await desk.store(Behaviour.FAILS_WHEN_CHARGED))

        assert [i.captured for i in await self.listed(harness, processor)] == [0]

    async def test_lists_every_payment_however_many_pages_they_are(
        self, harness, processor
    ):
        desk = Desk(harness, processor)
        for number in range(12):
            card = await desk.store(key=f"store-{number}")
            await desk.charge(card, key=f"charge-{number}")

        listed = await self.listed(harness, processor)
        assert len({item.processor_object for item in listed}) == 12

    async def test_lists_nothing_of_another_time(self, harness, processor, desk):
        await desk.charge(await desk.store())
        now = harness.now()

        before = await processor.list_payments(
            harness.account, now - timedelta(days=2), now - timedelta(days=1)
        )
        after = await processor.list_payments(
            harness.account, now + timedelta(days=1), now + timedelta(days=2)
        )
        assert (before, after) == ([], [])
