"""A move is judged by the sums of one moment, not by those of two."""

from datetime import timedelta

import pytest

from gateway.payments.payment import MoveStatus
from tests.fakes.processor import Fault, Look

WINDOW = timedelta(hours=25)
SOON = timedelta(seconds=3)


async def a_lost_refund(till):
    """Returns a payment with a refund that the bank never saw."""
    payment = (await till.charge()).payment
    till.processor.spoil("refund", Fault.LOST_BEFORE)
    refund = (await till.refund(payment, 500)).move
    assert refund.status is MoveStatus.UNKNOWN
    return payment


class TestAnotherRefundMeanwhile:
    @pytest.mark.parametrize("after", [SOON, WINDOW])
    async def test_is_not_taken_for_the_lost_one(self, till, after):
        """covers: I6. Both are of the same amount; the bank has one of them."""
        payment, other = await a_lost_refund(till), till.another()

        async def refund_elsewhere():
            done = await other.refund(payment, 500)
            assert done.move.status is MoveStatus.SUCCEEDED

        till.processor.spoil("refund", Fault.LOST_BEFORE)
        till.processor.spoil("inquire", Look(refund_elsewhere))
        await till.settle(after)

        view = await till.view(payment)
        assert till.refunded() == view.payment.refunded == 500
        assert view.moves[0].status is MoveStatus.UNKNOWN
        assert view.payment.state.name == "CAPTURED"

    async def test_does_not_keep_the_lost_one_from_being_settled(self, till):
        payment, other = await a_lost_refund(till), till.another()

        async def refund_elsewhere():
            await other.refund(payment, 500)

        till.processor.spoil("refund", Fault.LOST_BEFORE)
        till.processor.spoil("inquire", Look(refund_elsewhere))
        await till.settle(SOON)
        await till.settle(timedelta(minutes=1))

        view = await till.view(payment)
        assert [move.status.name for move in view.moves] == ["SUCCEEDED", "SUCCEEDED"]
        assert till.refunded() == view.payment.refunded == 1000
        assert view.payment.refund_pending == 0
