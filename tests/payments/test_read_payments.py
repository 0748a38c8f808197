"""GetPayment: nobody ever loses a payment."""

import pytest

from gateway.errors import PaymentNotFound
from gateway.words.identifiers import PaymentName, new_name
from tests.builders.payments import DECLINED
from tests.builders.storage import OTHER, SHOP
from tests.builders.vault import a_form, a_request_id
from tests.fakes.processor import Fault


class TestReadPayments:
    async def test_finds_a_payment_by_any_name_it_has(self, till):
        request_id = a_request_id()
        payment = (
            await till.charge(request_id=request_id, charge_once_key="k")
        ).payment
        refund = (await till.refund(payment, 100)).move
        read = till.reading

        views = [
            await read.by_name(SHOP, payment.name),
            await read.by_request_id(SHOP, request_id),
            await read.by_charge_once_key(SHOP, "k"),
            await read.by_processor_object(SHOP, payment.processor_object),
        ]

        for view in views:
            assert view.payment == await till.find(payment)
            assert view.moves == [refund]

    async def test_finds_the_newest_of_a_key_that_was_freed(self, till):
        await till.charge(a_form(number=DECLINED), charge_once_key="k")
        second = (await till.charge(charge_once_key="k")).payment

        view = await till.reading.by_charge_once_key(SHOP, "k")

        assert view.payment == second

    async def test_finds_a_payment_with_an_unknown_outcome(self, till):
        """covers: I6."""
        request_id = a_request_id()
        till.processor.spoil("charge", Fault.LOST_BEFORE)
        payment = (await till.charge(request_id=request_id)).payment

        view = await till.reading.by_request_id(SHOP, request_id)

        assert view.payment == payment

    async def test_knows_only_the_merchants_own_payments(self, till):
        """covers: I9."""
        request_id = a_request_id()
        payment = (
            await till.charge(request_id=request_id, charge_once_key="k")
        ).payment
        read = till.reading

        for finding in (
            read.by_name(OTHER, payment.name),
            read.by_request_id(OTHER, request_id),
            read.by_charge_once_key(OTHER, "k"),
            read.by_processor_object(OTHER, payment.processor_object),
            read.by_name(SHOP, PaymentName(new_name("pay"))),
            read.by_request_id(SHOP, a_request_id()),
            read.by_charge_once_key(SHOP, "another"),
            read.by_processor_object(SHOP, "pi_another"),
        ):
            with pytest.raises(PaymentNotFound):
                await finding
