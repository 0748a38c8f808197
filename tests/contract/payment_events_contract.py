"""The suite for events of payments that the stores of every engine pass."""

import asyncio
from dataclasses import replace

import pytest

from gateway.errors import InvariantBroken
from gateway.payments.payment import MoveStatus, PaymentState
from gateway.payments.payment_event import EventKind, MovedEvent, PaymentEvent, Sums
from gateway.words.money import Money
from tests.builders.rows import (
    MOMENT,
    OTHER_PAYMENT,
    PAYMENT,
    a_move,
    a_payment,
    add_payment,
)
from tests.builders.storage import OTHER, SHOP

EVENT = PaymentEvent(
    payment=PAYMENT,
    kind=EventKind.STATE_CHANGED,
    at=MOMENT,
    previous_state=PaymentState.SUBMITTED,
    state=PaymentState.AUTHORIZED,
    currency="EUR",
    sums=Sums(authorized=5, capturable=4, captured=3, refunded=2, refund_pending=1),
)


class PaymentEventsContract:
    """What every PaymentStore does with events."""

    @pytest.mark.parametrize("kind", EventKind)
    @pytest.mark.parametrize("previous", [None, *PaymentState])
    async def test_returns_the_event_that_was_stored(self, storage, kind, previous):
        event = replace(EVENT, kind=kind, previous_state=previous)

        def work(unit):
            add_payment(unit)
            unit.payments.append_event(event)
            return unit.payments.events(0, 10)

        assert await storage.commit(SHOP, work) == [replace(event, position=1)]

    @pytest.mark.parametrize("status", MoveStatus)
    async def test_keeps_the_moves_status_of_that_moment(self, storage, status):
        move = a_move()
        moved = MovedEvent(name=move.name, status=status, amount=Money(500, "EUR"))

        def work(unit):
            add_payment(unit)
            unit.payments.add_move(move)
            unit.payments.append_event(replace(EVENT, moved=moved))
            unit.payments.save_move(replace(move, status=MoveStatus.FAILED))
            return unit.payments.events(0, 10)

        (event,) = await storage.commit(SHOP, work)

        assert event.moved == moved

    async def test_counts_without_gaps_for_each_merchant(self, storage):
        """covers: I9."""

        def add(unit):
            add_payment(unit)
            for _ in range(3):
                unit.payments.append_event(EVENT)

        def fails(unit):
            unit.payments.append_event(EVENT)
            raise InvariantBroken

        await storage.commit(SHOP, add)
        with pytest.raises(InvariantBroken):
            await storage.commit(SHOP, fails)
        await storage.commit(OTHER, add)
        await asyncio.gather(
            *(
                storage.commit(SHOP, lambda unit: unit.payments.append_event(EVENT))
                for _ in range(20)
            )
        )

        for merchant, count in ((SHOP, 23), (OTHER, 3)):
            events = await storage.read(merchant, lambda u: u.payments.events(0, 100))
            assert [e.position for e in events] == list(range(1, count + 1))

    async def test_reads_on_from_a_position_and_of_one_payment(self, storage):
        def work(unit):
            add_payment(unit)
            add_payment(unit, a_payment(OTHER_PAYMENT))
            for name in (PAYMENT, OTHER_PAYMENT, PAYMENT, PAYMENT):
                unit.payments.append_event(replace(EVENT, payment=name))
            store = unit.payments
            return [
                store.events(1, 2),
                store.events(4, 9),
                store.events(1, 9, PAYMENT),
                store.events(0, 1, OTHER_PAYMENT),
            ]

        found = await storage.commit(SHOP, work)

        assert [[e.position for e in events] for events in found] == [
            [2, 3],
            [],
            [3, 4],
            [2],
        ]

    async def test_refuses_an_event_of_no_payment(self, storage):
        await storage.commit(SHOP, add_payment)

        for merchant, name in ((SHOP, OTHER_PAYMENT), (OTHER, PAYMENT)):
            event = replace(EVENT, payment=name)
            with pytest.raises(InvariantBroken):
                await storage.commit(
                    merchant, lambda unit, e=event: unit.payments.append_event(e)
                )
