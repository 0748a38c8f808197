"""GetPayment.refresh: what the processor says now, and what was done elsewhere."""

import pytest

from gateway.payments.payment import MoveKind, MoveOrigin, MoveStatus, PaymentState
from gateway.payments.payment_event import EventKind
from gateway.processors.simulator.wire import Operation, Request
from gateway.words.money import Money
from tests.builders.payments import NEEDS_ACTION
from tests.builders.storage import SHOP
from tests.builders.vault import a_form
from tests.fakes.processor import Fault, Look

State = PaymentState
BACK = "https://shop.example/back"


def elsewhere(till, operation, **body):
    """Does something at the bank, past the gateway."""
    target = body.pop("target", "")
    key = f"dashboard-{operation}-{body.get('amount')}"
    request = Request(operation=operation, target=target, key=key, body=body)
    answer = till.ledger.handle(request)
    assert answer.status == 200, answer


def refund_elsewhere(till, payment, amount):
    elsewhere(till, Operation.REFUND, payment=payment.processor_object, amount=amount)


async def entries(till, payment):
    return await till.outcomes(payment)


class TestRefresh:
    async def test_finds_what_the_cardholder_did(self, till):
        waits = (
            await till.charge(a_form(number=NEEDS_ACTION), return_url=BACK)
        ).payment
        till.authenticate(waits)

        assert await till.refresh(waits)

        assert (await till.find(waits)).state is State.CAPTURED

    async def test_finds_what_was_lost(self, till):
        till.processor.spoil("charge", Fault.LOST_AFTER)
        till.processor.spoil("find", Fault.LOST_BEFORE)
        payment = (await till.charge()).payment

        # Its object is not known: the resolver searches for it.
        assert not await till.refresh(payment)
        assert (await till.find(payment)).state is State.UNKNOWN

    @pytest.mark.parametrize("number", [None, NEEDS_ACTION])
    async def test_writes_nothing_when_nothing_is_new(self, till, number):
        form = a_form(number=number) if number else None
        payment = (await till.charge(form, return_url=BACK)).payment
        await till.refund(payment, 10) if number is None else None
        before = await till.find(payment), await entries(till, payment)

        assert await till.refresh(payment)

        assert (await till.find(payment), await entries(till, payment)) == before

    async def test_says_so_when_the_processor_did_not_answer(self, till):
        payment = (await till.charge()).payment
        refund_elsewhere(till, payment, 100)
        till.processor.spoil("inquire", Fault.LOST_BEFORE)

        assert not await till.refresh(payment)
        assert (await till.find(payment)).refunded == 0

    async def test_follows_an_authorization_that_was_given_up(self, till):
        payment = await till.authorize(charge_once_key="k")
        elsewhere(till, Operation.CANCEL, target=payment.processor_object)

        assert await till.refresh(payment)

        assert (await till.find(payment)).state is State.CANCELED
        assert (await till.charge(charge_once_key="k")).payment.state is State.CAPTURED


class TestElsewhere:
    async def test_a_refund_becomes_a_resource(self, till):
        payment = (await till.charge()).payment
        await till.refund(payment, 99)
        refund_elsewhere(till, payment, 400)

        assert await till.refresh(payment)
        assert await till.refresh(payment)

        view = await till.view(payment)
        own, external = view.moves
        assert view.payment.refunded == 499 == till.refunded(payment)
        assert own.origin is MoveOrigin.PLATFORM
        assert (external.kind, external.origin, external.status, external.amount) == (
            MoveKind.REFUND,
            MoveOrigin.EXTERNAL,
            MoveStatus.SUCCEEDED,
            Money(400, "USD"),
        )
        *_, last = await entries(till, payment)
        assert (last["action"], last["rule"], last["caller"]) == (
            "refund",
            "external",
            "processor",
        )

    async def test_leaves_no_more_to_refund_than_there_is(self, till):
        """covers: I6."""
        payment = (await till.charge()).payment
        refund_elsewhere(till, payment, 1900)
        await till.refresh(payment)

        rest = await till.refund(payment)

        assert rest.move.amount == Money(99, "USD")
        assert till.refunded(payment) == till.collected(payment) == 1999

    async def test_a_capture_becomes_a_resource(self, till):
        payment = await till.authorize()
        target = payment.processor_object
        elsewhere(till, Operation.CAPTURE, target=target, amount=500)
        refund_elsewhere(till, payment, 200)

        assert await till.refresh(payment)

        view = await till.view(payment)
        assert (view.payment.state, view.payment.captured) == (State.CAPTURED, 500)
        assert (view.payment.capturable, view.payment.refunded) == (0, 200)
        assert [move.origin for move in view.moves] == 2 * [MoveOrigin.EXTERNAL]
        events = await till.storage.read(
            SHOP, lambda unit: unit.payments.events(0, 99, payment.name)
        )
        assert [event.kind for event in events[-2:]] == [
            EventKind.CAPTURE_CHANGED,
            EventKind.REFUND_CHANGED,
        ]

    async def test_is_not_seen_while_a_refund_of_ours_is_on_its_way(self, till):
        """Of two refunds nobody could tell which one the sums are made of."""
        payment = (await till.charge()).payment
        till.processor.spoil("refund", Fault.LOST_AFTER)
        await till.refund(payment, 300)

        assert await till.refresh(payment)

        view = await till.view(payment)
        assert [move.status for move in view.moves] == [MoveStatus.UNKNOWN]
        assert view.payment.refunded == 0

    async def test_is_not_seen_when_ours_changed_meanwhile(self, till):
        payment = (await till.charge()).payment

        async def refund():
            await till.refund(payment, 300)

        till.processor.spoil("inquire", Look(refund))

        assert await till.refresh(payment)

        view = await till.view(payment)
        assert [move.origin for move in view.moves] == [MoveOrigin.PLATFORM]
        assert view.payment.refunded == 300 == till.refunded(payment)
