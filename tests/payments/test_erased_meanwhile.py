"""A card that is erased while its payment is between two steps. covers: I10."""

import asyncio

from gateway.payments.payment import PaymentState
from tests.builders.storage import SHOP
from tests.builders.vault import a_delete_command
from tests.fakes.processor import Gate


async def erase(till, token):
    await till.vault.delete_card_token.execute(a_delete_command(token))


async def references_of(till, token):
    return await till.storage.read(SHOP, lambda unit: unit.cards.references(token))


class TestErasedMeanwhile:
    async def test_is_not_handed_on_after_the_erasure(self, till):
        card = await till.vault.tokenize()
        gate = Gate(after=True)
        till.processor.spoil("customer", gate)
        slow = asyncio.create_task(till.charge(card.token, charge_once_key="k"))
        await gate.reached.wait()

        await erase(till, card.token)
        gate.opened.set()
        payment = (await slow).payment

        assert payment.state is PaymentState.FAILED
        assert payment.failure_reason == "CARD_TOKEN_NOT_FOUND"
        assert [name for name, _ in till.processor.calls] == ["customer"]

    async def test_gets_no_reference_and_is_not_charged(self, till):
        card = await till.vault.tokenize()
        gate = Gate(after=True)
        till.processor.spoil("store", gate)
        slow = asyncio.create_task(till.charge(card.token, charge_once_key="k"))
        await gate.reached.wait()

        await erase(till, card.token)
        gate.opened.set()
        payment = (await slow).payment

        assert payment.state is PaymentState.FAILED
        assert till.collected() == 0
        assert await references_of(till, card.token) == []
        paid = (await till.charge(charge_once_key="k")).payment
        assert paid.state is PaymentState.CAPTURED

    async def test_still_records_a_charge_that_was_sent(self, till):
        token = await till.stored_with_reference()
        gate = Gate(after=True)
        till.processor.spoil("charge", gate)
        slow = asyncio.create_task(till.charge(token))
        await gate.reached.wait()

        await erase(till, token)
        gate.opened.set()
        result = await slow

        assert result.payment.state is PaymentState.CAPTURED
        assert await references_of(till, token) == []
        card = await till.vault.find(token)
        assert (card.state.name, card.sealed) == ("ERASED", None)
