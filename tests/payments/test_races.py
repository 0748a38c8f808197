"""Calls that run beside each other, callers that leave, workers that come too late."""

import asyncio
from datetime import timedelta

import pytest

from gateway.errors import AlreadyCharged, RequestInProgress, StateConflict
from gateway.payments.boundaries import Boundary
from gateway.payments.payment import MoveStatus, PaymentState
from gateway.payments.processor import ProcessorRefused
from tests.builders.payments import DEADLINE, LEASE, a_charge, a_move
from tests.builders.storage import SHOP
from tests.builders.vault import a_form
from tests.fakes.processor import Fault, Gate

A_SECOND = timedelta(seconds=1)


async def all_of(*calls):
    return await asyncio.gather(*calls, return_exceptions=True)


async def until_settled(till):
    for part in (till.create, till.capturing, till.canceling, till.refunding):
        await part.drain()


class TestSameRequest:
    async def test_twenty_at_once_charge_once(self, till):
        """covers: I6."""
        command = a_charge(a_form())

        results = await all_of(*(till.create.execute(command) for _ in range(20)))

        done = [r for r in results if not isinstance(r, RequestInProgress)]
        assert {result.payment.name for result in done} == {done[0].payment.name}
        assert till.collected() == 1999
        assert len(till.booked()) == 1

    async def test_two_processes_charge_once(self, till):
        """covers: I6."""
        command, other = a_charge(a_form()), till.another()

        await all_of(till.create.execute(command), other.create.execute(command))

        assert till.collected() == 1999

    async def test_in_flight_names_the_payment_and_says_when_to_ask_again(self, till):
        gate = Gate()
        till.processor.spoil("charge", gate)
        command = a_charge(a_form())
        first = asyncio.create_task(till.create.execute(command))
        await gate.reached.wait()

        with pytest.raises(RequestInProgress) as caught:
            await till.create.execute(command)

        assert caught.value.retry_delay == A_SECOND
        gate.opened.set()
        payment = (await first).payment
        assert caught.value.metadata == {"payment": payment.name}
        assert (await till.create.execute(command)).payment == payment

    async def test_of_a_refund_gives_back_once(self, till):
        payment = (await till.charge()).payment
        command = a_move(payment, 100)

        await all_of(*(till.refunding.execute(command) for _ in range(20)))

        assert till.refunded() == 100
        assert (await till.find(payment)).refunded == 100
        assert (await till.refunding.execute(command)).replayed


class TestSameKey:
    async def test_twenty_at_once_charge_once(self, till):
        """covers: I6."""
        results = await all_of(
            *(till.charge(a_form(), charge_once_key="invoice-1") for _ in range(20))
        )

        paid = [r for r in results if not isinstance(r, AlreadyCharged)]
        assert len(paid) == 1
        assert paid[0].payment.state is PaymentState.CAPTURED
        assert till.collected() == 1999


class TestCallerThatLeaves:
    @pytest.mark.parametrize("operation", ["customer", "store", "charge"])
    @pytest.mark.parametrize("after", [True, False])
    async def test_does_not_stop_a_payment(self, till, operation, after):
        """covers: I6."""
        gate = Gate(after=after)
        till.processor.spoil(operation, gate)
        command = a_charge(a_form())
        call = asyncio.create_task(till.create.execute(command))
        await gate.reached.wait()

        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        gate.opened.set()
        await till.create.drain()

        again = await till.create.execute(command)
        assert (again.replayed, again.payment.state) == (True, PaymentState.CAPTURED)
        assert till.collected() == 1999

    async def test_does_not_stop_a_refund(self, till):
        payment = (await till.charge()).payment
        gate = Gate(after=True)
        till.processor.spoil("refund", gate)
        call = asyncio.create_task(till.refund(payment, 100))
        await gate.reached.wait()

        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        gate.opened.set()
        await till.refunding.drain()

        assert (await till.find(payment)).refunded == 100


class TestSums:
    async def test_refunds_at_once_stay_within_what_was_collected(self, till):
        """covers: I6."""
        payment = (await till.charge()).payment

        results = await all_of(*(till.refund(payment, 500) for _ in range(10)))

        refused = [r for r in results if isinstance(r, StateConflict)]
        assert (len(results), len(refused)) == (10, 7)
        stored = await till.find(payment)
        assert (stored.refunded, stored.refund_pending) == (1500, 0)
        assert till.refunded() == 1500

    async def test_an_unknown_refund_keeps_its_sum_reserved(self, till):
        payment = (await till.charge()).payment
        till.processor.spoil("refund", Fault.LOST_AFTER)
        await till.refund(payment, 1500)

        with pytest.raises(StateConflict) as caught:
            await till.refund(payment, 500)

        assert caught.value.metadata["refundable"] == "499"

    async def test_a_failed_refund_gives_its_sum_back(self, till):
        payment = (await till.charge()).payment
        till.processor.spoil("refund", ProcessorRefused("X"))
        await till.refund(payment, 1500)

        assert (await till.refund(payment, 1999)).payment.refunded == 1999

    async def test_captures_at_once_collect_once(self, till):
        payment = await till.authorize()

        results = await all_of(*(till.capture(payment, 1000) for _ in range(10)))

        done = [r for r in results if not isinstance(r, StateConflict)]
        assert len(done) == 1
        assert till.collected() == 1000
        assert (await till.find(payment)).captured == 1000

    async def test_a_capture_and_a_cancel_at_once_do_not_both_happen(self, till):
        payment = await till.authorize()

        results = await all_of(till.capture(payment), till.cancel(payment))

        assert sum(isinstance(r, StateConflict) for r in results) == 1
        stored = await till.find(payment)
        assert stored.captured == till.collected()

    async def test_an_undecided_capture_refuses_a_second_move(self, till):
        payment = await till.authorize()
        till.processor.spoil("capture", Fault.LOST_AFTER)
        first = (await till.capture(payment, 1000)).move

        for again in (till.capture(payment, 999), till.cancel(payment)):
            with pytest.raises(StateConflict) as caught:
                await again
            assert caught.value.metadata["move"] == first.name
            assert caught.value.metadata["move_state"] == "UNKNOWN"


class TestWorkerThatComesTooLate:
    """A worker that was stopped for longer than its lease must not do harm."""

    @pytest.mark.parametrize("operation", ["customer", "store"])
    async def test_sends_no_charge_after_the_payment_was_given_up(
        self, till, operation
    ):
        """covers: I6. The key is free by then and may pay somewhere else."""
        gate = Gate(after=True)
        till.processor.spoil(operation, gate)
        slow = asyncio.create_task(till.charge(charge_once_key="invoice-1"))
        await gate.reached.wait()

        other = till.another()
        await other.settle()
        paid = (await other.charge(charge_once_key="invoice-1")).payment
        gate.opened.set()
        result = await slow

        assert result.payment.state is PaymentState.FAILED
        assert result.payment.failure_reason == "NOT_EXECUTED"
        assert b"FAILED" in result.receipt.entry
        assert till.processor.keys("charge") == []
        assert till.collected() == till.collected(paid) == 1999

    async def test_charges_once_beside_the_resolver(self, till):
        """covers: I6. Both use the same key, so the bank executes once."""
        token = await till.stored_with_reference()
        gate = Gate()
        till.processor.spoil("charge", gate)
        slow = asyncio.create_task(till.charge(token))
        await gate.reached.wait()

        await till.another().settle()
        gate.opened.set()
        result = await slow

        assert result.payment.state is PaymentState.CAPTURED
        assert till.collected(result.payment) == 1999

    @pytest.mark.parametrize(
        "faults",
        [
            [Fault.UNAVAILABLE, Fault.UNAVAILABLE],
            [ProcessorRefused("X")],
            [Fault.LOST_BEFORE],
        ],
    )
    async def test_cannot_give_up_what_the_resolver_is_sending(self, till, faults):
        """covers: I6."""
        token = await till.stored_with_reference()
        first, other = Gate(), till.another()
        till.processor.spoil("charge", first)
        slow = asyncio.create_task(till.charge(token, charge_once_key="invoice-1"))
        await first.reached.wait()
        second = Gate()
        other.processor.spoil("charge", second)
        resolving = asyncio.create_task(other.settle())
        await second.reached.wait()

        # The slow worker hears a failure of its own while the resolver sends.
        till.processor.spoil("charge", *faults[1:])
        first.open_with(faults[0])
        result = await slow

        assert result.payment.state is PaymentState.SUBMITTED
        with pytest.raises(AlreadyCharged):
            await till.charge(token, charge_once_key="invoice-1")
        second.opened.set()
        await resolving
        assert (await till.find(result.payment)).state is PaymentState.CAPTURED
        assert till.collected(result.payment) == 1999

    async def test_stops_when_another_worker_holds_the_payment(self, till):
        """covers: I6. Also while that one has not decided anything yet."""
        gate = Gate(after=True)
        till.processor.spoil("store", gate)
        slow = asyncio.create_task(till.charge())
        await gate.reached.wait()
        till.clock.move(LEASE + A_SECOND)
        ((_, name),) = await till.storage.unsettled(till.clock.now(), 10)
        resolver, now = till.another().resolver, till.clock.now()
        await till.storage.commit(SHOP, lambda unit: resolver._take(unit, name, now))

        gate.opened.set()
        result = await slow

        assert result.payment.state is PaymentState.SUBMITTED
        assert result.payment.lease.instance == "two"
        assert till.processor.keys("charge") == []

    async def test_holds_a_lease_as_long_as_its_charge_may_take(self, till):
        token = await till.stored_with_reference()
        gate = Gate()
        till.processor.spoil("charge", gate)

        def open_slowly(boundary):
            if boundary is Boundary.OPENED:
                till.clock.move(LEASE - A_SECOND)

        till.create._steps._reached = open_slowly
        slow = asyncio.create_task(till.charge(token))
        await gate.reached.wait()

        assert await till.another().settle(after=DEADLINE) == 0
        gate.opened.set()
        assert (await slow).payment.state is PaymentState.CAPTURED

    async def test_renews_its_lease_before_a_late_charge(self, till):
        gate = Gate(after=True)
        till.processor.spoil("store", gate)
        slow = asyncio.create_task(till.charge())
        await gate.reached.wait()
        till.clock.move(LEASE - A_SECOND)
        gate.opened.set()
        await slow

        assert await till.settle(after=A_SECOND) == 0
        assert till.collected() == 1999

    async def test_cannot_give_up_a_refund_that_the_resolver_is_sending(self, till):
        """covers: I6. Its sum would be free, and gone all the same."""
        payment = (await till.charge()).payment
        first, second, other = Gate(), Gate(), till.another()
        till.processor.spoil("refund", first, Fault.UNAVAILABLE)
        slow = asyncio.create_task(till.refund(payment, 1500))
        await first.reached.wait()
        other.processor.spoil("refund", second)
        resolving = asyncio.create_task(other.settle())
        await second.reached.wait()

        first.open_with(Fault.UNAVAILABLE)
        result = await slow

        assert result.move.status is MoveStatus.SUBMITTED
        with pytest.raises(StateConflict):
            await till.refund(payment, 500)
        second.opened.set()
        await resolving
        assert (await till.find(payment)).refunded == till.refunded() == 1500

    async def test_settles_a_refund_once(self, till):
        """covers: I6. Both hear of the same refund; the sum is counted once."""
        payment = (await till.charge()).payment
        gate = Gate(after=True)
        till.processor.spoil("refund", gate)
        slow = asyncio.create_task(till.refund(payment, 700))
        await gate.reached.wait()

        await till.another().settle()
        gate.opened.set()
        result = await slow

        assert result.move.status is MoveStatus.SUCCEEDED
        stored = await till.find(payment)
        assert (stored.refunded, stored.refund_pending) == (700, 0)
        assert till.refunded() == 700


class TestDrain:
    async def test_waits_for_payments_on_their_way(self, till):
        gate = Gate()
        till.processor.spoil("charge", gate)
        call = asyncio.create_task(till.charge())
        await gate.reached.wait()
        draining = asyncio.create_task(till.create.drain())
        await asyncio.sleep(0)
        assert not draining.done()

        gate.opened.set()
        await draining

        assert (await call).payment.state is PaymentState.CAPTURED
        await until_settled(till)
