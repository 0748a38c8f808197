"""Payments that wait: for their cardholder, for their bank, or too long."""

from datetime import timedelta

import pytest

from gateway.errors import (
    PaymentNotFound,
    ProcessorAccountNotFound,
    RequestIdReused,
    RequestInProgress,
    StateConflict,
)
from gateway.payments.payment import PaymentState
from gateway.payments.processor import FoundPayment, Pending
from gateway.words.identifiers import PaymentName
from tests.builders.payments import NEEDS_ACTION
from tests.builders.storage import OTHER
from tests.builders.vault import a_form, a_request_id
from tests.fakes.processor import Fault, Gate

State = PaymentState
BACK = "https://shop.example/back"
AGAIN = "https://shop.example/again"
DAY = timedelta(hours=24)


@pytest.fixture
async def waiting(till):
    """Returns a payment that waits for its cardholder."""
    result = await till.charge(
        a_form(number=NEEDS_ACTION), return_url=BACK, charge_once_key="invoice-1"
    )
    assert result.payment.state is State.REQUIRES_ACTION
    return result.payment


async def actions(till, payment):
    """Returns action and outcome of each entry after the charge's own two."""
    entries = (await till.outcomes(payment))[2:]
    return [(entry["action"], entry.get("outcome")) for entry in entries]


class TestConfirm:
    @pytest.mark.parametrize(
        ("succeeded", "state"), [(True, State.CAPTURED), (False, State.DECLINED)]
    )
    async def test_learns_what_the_cardholder_did(
        self, till, waiting, succeeded, state
    ):
        till.authenticate(waiting, succeeded=succeeded)

        confirmed = await till.confirm(waiting)

        assert confirmed.payment.state is state
        assert confirmed.payment == await till.find(waiting)
        assert till.collected(waiting) == (1999 if succeeded else 0)
        assert till.processor.keys("confirm") == []
        assert await actions(till, waiting) == [
            ("confirm", None),
            ("confirm", state.name),
        ]

    async def test_closes_what_was_declined_before_its_key_is_free(self, till, waiting):
        """covers: I6."""
        till.authenticate(waiting, succeeded=False)

        await till.confirm(waiting)

        (booked,) = till.booked(waiting)
        assert booked["status"] == "canceled"
        again = await till.charge(charge_once_key="invoice-1")
        assert again.payment.state is State.CAPTURED

    async def test_gives_a_new_action_to_whoever_asks_for_one(self, till, waiting):
        confirmed = await till.confirm(waiting, return_url=AGAIN)

        assert confirmed.payment.state is State.REQUIRES_ACTION
        assert confirmed.payment.redirect_url != waiting.redirect_url
        assert till.booked(waiting)[0]["return_url"] == AGAIN
        assert confirmed.payment.lease is None

    async def test_only_looks_without_a_return_url(self, till, waiting):
        confirmed = await till.confirm(waiting)

        assert confirmed.payment.state is State.REQUIRES_ACTION
        assert confirmed.payment.redirect_url == waiting.redirect_url
        assert till.processor.keys("confirm") == []

    async def test_keeps_waiting_when_nothing_was_sent(self, till, waiting):
        till.processor.spoil("inquire", *4 * [Fault.UNAVAILABLE])

        confirmed = await till.confirm(waiting, return_url=AGAIN)

        assert confirmed.payment.state is State.REQUIRES_ACTION
        assert (await till.find(waiting)).lease is None

    async def test_is_unknown_when_no_answer_came_and_is_found_out(self, till, waiting):
        """covers: I6."""
        till.processor.spoil("confirm", Fault.LOST_AFTER)

        confirmed = await till.confirm(waiting, return_url=AGAIN)

        assert confirmed.payment.state is State.UNKNOWN
        assert confirmed.payment.holds_charge_once_key
        till.authenticate(waiting)
        await till.settle()
        assert (await till.find(waiting)).state is State.CAPTURED
        assert till.collected() == 1999

    async def test_repeats_itself_for_the_same_request(self, till, waiting):
        request_id = a_request_id()
        first = await till.confirm(waiting, request_id=request_id, return_url=AGAIN)

        second = await till.confirm(waiting, request_id=request_id, return_url=AGAIN)

        assert second.replayed
        assert second.payment == first.payment
        assert len(till.processor.keys("confirm")) == 1

    async def test_refuses_the_same_request_id_with_another_request(
        self, till, waiting
    ):
        request_id = a_request_id()
        await till.confirm(waiting, request_id=request_id)

        with pytest.raises(RequestIdReused):
            await till.confirm(waiting, request_id=request_id, digest=b"e" * 32)

    async def test_returns_a_decided_payment_as_it_is(self, till):
        paid = (await till.charge()).payment

        confirmed = await till.confirm(paid)

        assert confirmed.payment == paid
        assert await actions(till, paid) == []

    async def test_refuses_what_is_not_known_yet(self, till):
        till.processor.spoil("charge", Fault.LOST_BEFORE)
        unknown = (await till.charge()).payment

        with pytest.raises(StateConflict):
            await till.confirm(unknown)

    async def test_is_done_by_one_at_a_time(self, till, waiting):
        import asyncio

        gate = Gate()
        till.processor.spoil("inquire", gate)
        first = asyncio.create_task(till.confirm(waiting))
        await gate.reached.wait()

        with pytest.raises(RequestInProgress):
            await till.confirm(waiting)
        gate.opened.set()

        assert (await first).payment.state is State.REQUIRES_ACTION

    @pytest.mark.parametrize("merchant", [OTHER])
    async def test_knows_no_payment_of_another_merchant(self, till, waiting, merchant):
        """covers: I9."""
        with pytest.raises(PaymentNotFound):
            await till.confirm(waiting, merchant=merchant)
        with pytest.raises((PaymentNotFound, ProcessorAccountNotFound)):
            await till.confirm(PaymentName("pay_x"), merchant=merchant)


class TestPolling:
    async def test_finishes_it_when_the_cardholder_never_returns(self, till, waiting):
        till.authenticate(waiting)

        assert await till.settle() == 1

        assert (await till.find(waiting)).state is State.CAPTURED

    async def test_leaves_it_waiting_and_looks_less_often(self, till, waiting):
        looks = 0
        for _ in range(12):
            looks += await till.settle(timedelta(minutes=1))

        payment = await till.find(waiting)
        assert payment.state is State.REQUIRES_ACTION
        assert 2 <= looks <= 6
        assert payment.lease is None
        assert await actions(till, waiting) == []

    async def test_gives_it_up_after_a_day(self, till, waiting):
        await till.settle(DAY - timedelta(minutes=5))
        assert (await till.find(waiting)).state is State.REQUIRES_ACTION

        await till.settle(timedelta(hours=1))

        assert (await till.find(waiting)).state is State.CANCELED
        assert till.booked(waiting)[0]["status"] == "canceled"
        assert await actions(till, waiting) == [("abandon", "CANCELED")]
        again = await till.charge(charge_once_key="invoice-1")
        assert again.payment.state is State.CAPTURED

    @pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER])
    async def test_keeps_the_key_until_it_is_known_to_be_over(
        self, till, waiting, fault
    ):
        """covers: I6."""
        till.processor.spoil("cancel", fault)
        await till.settle(DAY)

        payment = await till.find(waiting)
        assert payment.state is State.REQUIRES_ACTION
        assert payment.holds_charge_once_key
        await till.settle(timedelta(hours=1))
        assert (await till.find(waiting)).state is State.CANCELED

    async def test_believes_a_cardholder_who_was_faster(self, till, waiting):
        look = Gate()
        till.processor.spoil("cancel", look)
        import asyncio

        settling = asyncio.create_task(till.settle(DAY))
        await look.reached.wait()
        till.authenticate(waiting)
        look.opened.set()
        await settling

        await till.settle(timedelta(hours=1))
        assert (await till.find(waiting)).state is State.CAPTURED
        assert till.collected(waiting) == 1999

    async def test_goes_on_when_the_processor_does_not_say(self, till, waiting):
        till.authenticate(waiting)
        till.processor.spoil("inquire", Fault.LOST_BEFORE)
        await till.settle()
        assert (await till.find(waiting)).state is State.REQUIRES_ACTION

        await till.settle(timedelta(minutes=1))

        assert (await till.find(waiting)).state is State.CAPTURED

    async def test_asks_for_a_person_when_the_object_is_gone(self, till, waiting):
        till.processor.answer("inquire", None, None)
        await till.settle()
        assert (await till.find(waiting)).state is State.REQUIRES_ACTION

        await till.settle(timedelta(minutes=1))

        assert (await till.find(waiting)).state is State.NEEDS_ATTENTION

    async def test_follows_a_bank_that_takes_its_time(self, till):
        till.processor.answer("charge", Pending(processor_object="pay_slow"))
        payment = (await till.charge()).payment
        assert payment.state is State.PENDING
        still = FoundPayment(
            processor_object="pay_slow", outcome=Pending(processor_object="pay_slow")
        )
        till.processor.answer("inquire", still)
        await till.settle(DAY)
        assert (await till.find(payment)).state is State.PENDING

        from tests.payments.records import approved

        done = approved(1999, 1999, named="pay_slow")
        till.processor.answer(
            "inquire", FoundPayment(processor_object="pay_slow", outcome=done)
        )
        await till.settle(timedelta(hours=2))

        assert (await till.find(payment)).state is State.CAPTURED
