"""Events: every change has one, in order, and a stream of them ends when it must."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.errors import LimitExceeded, PaymentNotFound
from gateway.payments.payment import MoveKind, MoveStatus, PaymentState
from gateway.payments.payment_event import (
    MOVE_EVENTS,
    EventKind,
    changed_event,
    moved_event,
)
from gateway.payments.read_payment_events import ReadPaymentEvents
from gateway.payments.transitions import Event
from gateway.words.identifiers import PaymentName
from tests.builders.payments import DECLINED
from tests.builders.storage import OTHER, SHOP
from tests.builders.vault import a_form
from tests.fakes.processor import Fault
from tests.payments.records import a_payment, a_refund

Kind, State, Status = EventKind, PaymentState, MoveStatus
POLL = timedelta(milliseconds=20)


def a_reader(till, draining=None):
    return ReadPaymentEvents(
        storage=till.storage, poll=POLL, draining=draining or asyncio.Event()
    )


async def story(till, payment=None, after=0):
    """Returns kind, state before, state after and the move's status of each event."""
    name = None if payment is None else payment.name
    events = await a_reader(till).list_events(SHOP, after, 100, name)
    return [
        (
            event.kind,
            event.previous_state,
            event.state,
            event.moved and event.moved.status,
        )
        for event in events
    ]


class TestEvents:
    async def test_tell_of_a_charge(self, till):
        payment = (await till.charge()).payment

        assert await story(till, payment) == [
            (Kind.CREATED, None, State.SUBMITTED, None),
            (Kind.STATE_CHANGED, State.SUBMITTED, State.CAPTURED, None),
        ]

    async def test_tell_of_a_decline(self, till):
        payment = (await till.charge(a_form(number=DECLINED))).payment

        assert (await story(till, payment))[-1] == (
            Kind.STATE_CHANGED,
            State.SUBMITTED,
            State.DECLINED,
            None,
        )

    async def test_tell_of_a_capture_and_refunds(self, till):
        payment = await till.authorize()
        await till.capture(payment, 1000)
        await till.refund(payment, 400)

        assert (await story(till, payment))[2:] == [
            (
                Kind.CAPTURE_CHANGED,
                State.AUTHORIZED,
                State.AUTHORIZED,
                Status.SUBMITTED,
            ),
            (Kind.CAPTURE_CHANGED, State.AUTHORIZED, State.CAPTURED, Status.SUCCEEDED),
            (Kind.REFUND_CHANGED, State.CAPTURED, State.CAPTURED, Status.SUBMITTED),
            (Kind.REFUND_CHANGED, State.CAPTURED, State.CAPTURED, Status.SUCCEEDED),
        ]

    async def test_tell_of_an_answer_that_was_lost_and_found(self, till):
        till.processor.spoil("charge", Fault.LOST_AFTER)
        payment = (await till.charge()).payment

        await till.settle()

        assert [step[2] for step in await story(till, payment)] == [
            State.SUBMITTED,
            State.UNKNOWN,
            State.CAPTURED,
        ]

    async def test_carry_the_sums_of_their_moment(self, till):
        payment = await till.authorize()
        await till.capture(payment, 1000)
        await till.refund(payment, 400)

        events = await a_reader(till).list_events(SHOP, 0, 100)

        assert [
            (event.sums.authorized, event.sums.captured, event.sums.refund_pending)
            for event in events
        ] == [
            (0, 0, 0),
            (1999, 0, 0),
            (1999, 0, 0),
            (1999, 1000, 0),
            (1999, 1000, 400),
            (1999, 1000, 0),
        ]

    async def test_are_each_merchants_own(self, till):
        """covers: I9."""
        payment = (await till.charge()).payment

        assert await a_reader(till).list_events(OTHER, 0, 100) == []
        with pytest.raises(PaymentNotFound):
            await a_reader(till).list_events(OTHER, 0, 100, payment.name)
        with pytest.raises(PaymentNotFound):
            await a_reader(till).list_events(SHOP, 0, 100, PaymentName("pay_x"))

    async def test_go_on_after_a_position(self, till):
        first = (await till.charge()).payment
        events = await a_reader(till).list_events(SHOP, 0, 100)
        await till.charge()

        later = await a_reader(till).list_events(SHOP, events[-1].position, 1)

        assert len(later) == 1
        assert later[0].payment != first.name


class TestWatch:
    async def test_sends_what_was_and_what_comes(self, till):
        await till.charge()
        seen = []
        draining = asyncio.Event()

        async def watch():
            async with aclosing(a_reader(till, draining).watch(SHOP, 1)) as events:
                async for event in events:
                    seen.append(event)
                    if len(seen) == 3:
                        return

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0.05)
        assert [event.state for event in seen] == [State.CAPTURED]
        await till.charge()
        async with asyncio.timeout(5):
            await watching

        assert [event.position for event in seen] == [2, 3, 4]

    async def test_ends_when_the_server_stops(self, till):
        draining = asyncio.Event()
        reader = a_reader(till, draining)

        async def watch():
            return [event async for event in reader.watch(SHOP, 0)]

        watching = asyncio.create_task(watch())
        await till.charge()
        await asyncio.sleep(0.05)
        draining.set()

        async with asyncio.timeout(5):
            assert len(await watching) == 2

    async def test_has_a_limit_and_gives_places_back(self, till):
        draining = asyncio.Event()
        reader = a_reader(till, draining)
        await till.charge()
        open_streams = [reader.watch(SHOP, 0) for _ in range(100)]
        for stream in open_streams:
            await anext(stream)

        with pytest.raises(LimitExceeded):
            await anext(reader.watch(SHOP, 0))
        await open_streams[0].aclose()
        last = reader.watch(SHOP, 0)

        assert (await anext(last)).position == 1
        for stream in (last, *open_streams):
            await stream.aclose()


class TestChangedEvent:
    def test_is_none_for_what_nobody_can_see(self):
        payment = a_payment()

        assert changed_event(payment, replace(payment, customer="cus_1")) is None

    def test_is_there_when_only_a_sum_changed(self):
        payment = a_payment(state=State.CAPTURED, captured=1000)

        event = changed_event(payment, replace(payment, refunded=10))

        assert event.kind is Kind.STATE_CHANGED
        assert event.sums.refunded == 10

    def test_names_a_late_success(self):
        before = a_payment(state=State.FAILED)
        after = replace(before, state=State.CAPTURED)

        assert (
            changed_event(before, after, Event.LATE_SUCCESS).kind is Kind.LATE_SUCCESS
        )
        assert changed_event(before, after).kind is Kind.STATE_CHANGED

    @pytest.mark.parametrize("kind", MoveKind)
    def test_of_a_move_names_its_kind(self, kind):
        payment = a_payment(state=State.CAPTURED)

        event = moved_event(payment, payment, a_refund(kind=kind))

        assert event.kind is MOVE_EVENTS[kind]
        assert event.moved.name == "ref_x"
