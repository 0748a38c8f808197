"""CapturePayment, CancelPayment, RefundPayment."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.errors import (
    AlreadyCharged,
    PaymentNotFound,
    RequestIdReused,
    RequestInvalid,
    StateConflict,
    StorageUnavailable,
)
from gateway.payments.boundaries import Boundary
from gateway.payments.payment import MoveKind, MoveStatus, PaymentState
from gateway.payments.processor import MoveOutcome, MoveState, ProcessorRefused
from gateway.words.identifiers import PaymentName, new_name
from gateway.words.lifecycles import MerchantState
from gateway.words.money import Money
from tests.builders.payments import DECLINED, NEEDS_ACTION, a_move
from tests.builders.storage import OTHER, SHOP
from tests.builders.vault import a_delete_command, a_form
from tests.fakes.processor import Fault

MOVED = [Boundary.MOVE_SUBMITTED, Boundary.MOVED, Boundary.MOVE_COMMITTED]
BACK = "https://shop.example/back"


@pytest.fixture(params=["capture", "cancel", "refund"])
def kind(request):
    return request.param


async def ready(till, kind):
    """Returns a payment that the move fits."""
    return (await till.charge(capture_automatically=kind == "refund")).payment


def move(till, kind, payment, **changes):
    return getattr(till, kind)(payment, **changes)


class TestEveryMove:
    async def test_commits_intent_then_asks_then_commits_the_outcome(self, till, kind):
        payment = await ready(till, kind)
        till.processor.calls.clear()
        till.reached.clear()

        result = await move(till, kind, payment)

        assert result.move.status is MoveStatus.SUCCEEDED
        assert till.processor.calls == [(kind, result.move.name)]
        assert till.reached == MOVED
        intent, outcome = (await till.outcomes(payment))[-2:]
        assert (intent["type"], intent["action"]) == ("payment.intent", kind)
        assert (outcome["type"], outcome["action"]) == ("payment.outcome", kind)
        assert outcome["outcome"] == "SUCCEEDED"
        assert (intent["card_opened"], outcome["card_opened"]) == (False, False)
        assert result.receipt.entry.decode() != ""
        assert (await till.view(payment)).moves == [result.move]

    async def test_opens_no_card_and_asks_no_policy(self, till, kind):
        """Money owed back is never blocked."""
        payment = await ready(till, kind)
        await _deactivate(till)
        await till.vault.delete_card_token.execute(a_delete_command(payment.card))
        till.vault.provider.is_reachable = False

        result = await move(till, kind, payment)

        assert result.move.status is MoveStatus.SUCCEEDED
        assert till.processor.keys("store") == [f"{payment.name}-method"]

    async def test_repeated_returns_the_same_move(self, till, kind):
        """covers: I6."""
        payment = await ready(till, kind)
        command = a_move(payment)
        mover = {
            "capture": till.capturing,
            "cancel": till.canceling,
            "refund": till.refunding,
        }[kind]
        first = await mover.execute(command)

        again = await mover.execute(command)

        assert (again.replayed, again.move) == (True, first.move)
        assert again.receipt.entry == first.receipt.entry
        assert len(till.processor.keys(kind)) == 1
        with pytest.raises(RequestIdReused):
            await mover.execute(replace(command, digest=b"o" * 32))

    @pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER])
    async def test_is_unknown_when_no_answer_comes(self, till, kind, fault):
        payment = await ready(till, kind)
        till.processor.spoil(kind, fault)

        result = await move(till, kind, payment)

        assert result.move.status is MoveStatus.UNKNOWN
        assert result.payment.state is payment.state
        assert len(till.processor.keys(kind)) == 1

    async def test_fails_when_the_processor_is_unavailable(self, till, kind):
        payment = await ready(till, kind)
        till.processor.spoil(kind, Fault.UNAVAILABLE, Fault.UNAVAILABLE)

        result = await move(till, kind, payment)

        assert result.move.status is MoveStatus.FAILED
        assert result.move.failure_reason == "PROCESSOR_UNAVAILABLE"
        assert (await move(till, kind, payment)).move.status is MoveStatus.SUCCEEDED

    async def test_fails_when_the_processor_refuses(self, till, kind):
        payment = await ready(till, kind)
        till.processor.spoil(kind, ProcessorRefused("REQUEST_REFUSED"))

        result = await move(till, kind, payment)

        assert result.move.status is MoveStatus.FAILED
        assert result.move.failure_reason == "REQUEST_REFUSED"
        assert result.payment.state is payment.state

    async def test_is_unknown_when_its_key_came_with_another_body(self, till, kind):
        payment = await ready(till, kind)
        till.processor.spoil(kind, ProcessorRefused("IDEMPOTENCY_MISMATCH"))

        assert (await move(till, kind, payment)).move.status is MoveStatus.UNKNOWN

    async def test_may_be_accepted_and_not_done(self, till, kind):
        payment = await ready(till, kind)
        till.processor.answer(kind, MoveOutcome(state=MoveState.PENDING))

        result = await move(till, kind, payment)

        assert result.move.status is MoveStatus.PENDING
        assert result.payment.state is payment.state

    async def test_knows_only_the_merchants_own_payments(self, till, kind):
        """covers: I9."""
        payment = await ready(till, kind)

        for name, merchant in (
            (payment.name, OTHER),
            (PaymentName(new_name("pay")), SHOP),
        ):
            with pytest.raises(PaymentNotFound):
                await move(till, kind, name, merchant=merchant)

    @pytest.mark.parametrize(
        "state", [PaymentState.UNKNOWN, PaymentState.DECLINED, PaymentState.FAILED]
    )
    async def test_refuses_a_payment_without_money(self, till, kind, state):
        spoilt = {
            PaymentState.UNKNOWN: [Fault.LOST_AFTER],
            PaymentState.FAILED: [Fault.UNAVAILABLE, Fault.UNAVAILABLE],
            PaymentState.DECLINED: [],
        }[state]
        till.processor.spoil("charge", *spoilt)
        number = DECLINED if state is PaymentState.DECLINED else "4242424242424242"
        payment = (await till.charge(a_form(number=number))).payment
        before = await till.vault.log_types()

        with pytest.raises(StateConflict) as caught:
            await move(till, kind, payment)

        assert caught.value.metadata == {"payment": payment.name, "state": state.name}
        assert await till.vault.log_types() == before
        assert till.processor.keys(kind) in ([], [f"{payment.name}-release"])

    async def test_gives_its_name_when_the_outcome_is_not_recorded(
        self, till, kind, monkeypatch
    ):
        payment = await ready(till, kind)
        commit = till.storage.commit

        async def fails(merchant, work):
            if till.processor.keys(kind):
                raise StorageUnavailable
            return await commit(merchant, work)

        monkeypatch.setattr(till.storage, "commit", fails)
        result = await move(till, kind, payment)
        monkeypatch.undo()

        assert result.move.status is MoveStatus.UNKNOWN
        assert b"payment.intent" in result.receipt.entry
        await till.settle()
        (stored,) = (await till.view(payment)).moves
        assert (stored.name, stored.status) == (result.move.name, MoveStatus.SUCCEEDED)


class TestCapture:
    async def test_collects_all(self, till):
        payment = await till.authorize()

        after = (await till.capture(payment)).payment

        assert after.state is PaymentState.CAPTURED
        assert (after.captured, after.capturable, after.authorized) == (1999, 0, 1999)
        assert after.capture_before is None
        assert till.collected(payment) == 1999

    async def test_collects_a_part_and_releases_the_rest(self, till):
        payment = await till.authorize()

        after = (await till.capture(payment, 500)).payment

        assert after.state is PaymentState.CAPTURED
        assert (after.captured, after.capturable) == (500, 0)
        assert till.collected(payment) == 500
        with pytest.raises(StateConflict):
            await till.capture(payment, 1)

    async def test_refuses_more_than_was_authorized(self, till):
        """covers: I6."""
        payment = await till.authorize()

        with pytest.raises(StateConflict) as caught:
            await till.capture(payment, 2000)

        assert caught.value.metadata["capturable"] == "1999"
        assert till.collected() == 0

    @pytest.mark.parametrize(
        ("amount", "field"),
        [
            (Money(100, "EUR"), "amount.currency"),
            (Money(0, "USD"), "amount.minor_units"),
        ],
    )
    async def test_refuses_another_currency_and_nothing(self, till, amount, field):
        payment = await till.authorize()

        with pytest.raises(RequestInvalid) as caught:
            await till.capturing.execute(replace(a_move(payment), amount=amount))
        assert caught.value.field == field

    async def test_refuses_a_part_where_the_processor_takes_all_or_none(self, till):
        till.processor.capabilities = replace(
            till.processor.capabilities, partial_capture=False
        )
        payment = await till.authorize()

        with pytest.raises(RequestInvalid):
            await till.capture(payment, 500)
        assert (await till.capture(payment, 1999)).payment.captured == 1999

    async def test_refuses_a_second_capture(self, till):
        payment = await till.authorize()
        await till.capture(payment)

        with pytest.raises(StateConflict):
            await till.capture(payment)
        assert till.collected() == 1999

    async def test_finds_a_lapsed_reservation_expired_and_frees_the_key(self, till):
        payment = await till.authorize(charge_once_key="k")
        till.clock.move(timedelta(days=7))

        with pytest.raises(StateConflict) as caught:
            await till.capture(payment)

        assert caught.value.metadata["state"] == "EXPIRED"
        stored = await till.find(payment)
        assert (stored.state, stored.capturable) == (PaymentState.EXPIRED, 0)
        assert (await till.outcomes(payment))[-1]["outcome"] == "EXPIRED"
        assert till.processor.keys("capture") == []
        assert (await till.charge(charge_once_key="k")).payment.captured == 1999

    async def test_does_not_expire_what_an_undecided_capture_may_have_taken(self, till):
        """covers: I6."""
        payment = await till.authorize(charge_once_key="k")
        till.processor.spoil("capture", Fault.LOST_AFTER)
        await till.capture(payment)
        till.clock.move(timedelta(days=7))

        with pytest.raises(StateConflict) as caught:
            await till.capture(payment)

        assert caught.value.metadata["state"] == "AUTHORIZED"
        with pytest.raises(AlreadyCharged):
            await till.charge(charge_once_key="k")


class TestCancel:
    async def test_releases_the_reservation_and_the_key(self, till):
        payment = await till.authorize(charge_once_key="k")

        after = (await till.cancel(payment)).payment

        assert after.state is PaymentState.CANCELED
        assert (after.capturable, after.capture_before) == (0, None)
        assert till.booked(payment)[0]["status"] == "canceled"
        assert (await till.charge(charge_once_key="k")).payment.captured == 1999

    async def test_ends_a_payment_that_waits_for_the_cardholder(self, till):
        waiting = (
            await till.charge(a_form(number=NEEDS_ACTION), return_url=BACK)
        ).payment

        assert (await till.cancel(waiting)).payment.state is PaymentState.CANCELED

    async def test_refuses_what_was_collected(self, till):
        payment = (await till.charge()).payment

        with pytest.raises(StateConflict):
            await till.cancel(payment)
        assert till.collected() == 1999

    async def test_refuses_a_payment_that_is_still_being_asked_for(self, till):
        token = await till.stored_with_reference()
        till.processor.spoil("charge", Fault.LOST_BEFORE)
        payment = (await till.charge(token)).payment

        with pytest.raises(StateConflict):
            await till.cancel(payment)

    async def test_refuses_a_capture_afterwards(self, till):
        payment = await till.authorize()
        await till.cancel(payment)

        with pytest.raises(StateConflict):
            await till.capture(payment)


class TestRefund:
    async def test_gives_all_back_and_then_nothing_more(self, till):
        payment = (await till.charge()).payment

        result = await till.refund(payment, reason="wrong size")

        assert result.payment.state is PaymentState.CAPTURED
        assert (result.payment.refunded, result.payment.refundable) == (1999, 0)
        assert (result.move.kind, result.move.reason) == (MoveKind.REFUND, "wrong size")
        assert result.move.processor_object
        with pytest.raises(StateConflict):
            await till.refund(payment)
        assert till.refunded() == 1999

    async def test_gives_back_in_parts_and_then_the_rest(self, till):
        payment = (await till.charge()).payment

        await till.refund(payment, 500)
        result = await till.refund(payment)

        assert result.move.amount == Money(1499, "USD")
        assert till.refunded() == 1999

    async def test_refuses_more_than_was_collected(self, till):
        """covers: I6."""
        payment = await till.authorize()
        await till.capture(payment, 1000)

        with pytest.raises(StateConflict) as caught:
            await till.refund(payment, 1001)

        assert caught.value.metadata["refundable"] == "1000"
        assert till.refunded() == 0

    async def test_refuses_a_part_where_the_processor_takes_all_or_none(self, till):
        till.processor.capabilities = replace(
            till.processor.capabilities, partial_refund=False
        )
        payment = (await till.charge()).payment

        with pytest.raises(RequestInvalid):
            await till.refund(payment, 500)

    async def test_keeps_a_pending_sum_reserved(self, till):
        payment = (await till.charge()).payment
        till.processor.answer("refund", MoveOutcome(state=MoveState.PENDING))

        after = (await till.refund(payment, 1500)).payment

        assert (after.refunded, after.refund_pending, after.refundable) == (
            0,
            1500,
            499,
        )

    async def test_does_not_name_the_processors_object_in_the_log(self, till):
        payment = (await till.charge()).payment

        result = await till.refund(payment)

        outcome = (await till.outcomes(payment))[-1]
        assert len(outcome["object"]) == 64
        assert result.move.processor_object not in str(outcome)


async def _deactivate(till):
    """Deactivates the merchant, as MerchantService will."""
    await till.storage.commit(
        SHOP,
        lambda unit: unit.payments._connection.execute(
            "UPDATE merchants SET state = ?", (MerchantState.DEACTIVATED.value,)
        ),
    )
