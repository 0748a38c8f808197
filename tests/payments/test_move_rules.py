"""What captures, cancels and refunds may do to a payment, as pure rules. covers: I6."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.errors import RequestInvalid, StateConflict
from gateway.payments.cancel_payment import (
    compare_cancel,
    reserve_cancel,
    settle_cancel,
)
from gateway.payments.capture_payment import (
    compare_capture,
    lapse,
    reserve_capture,
    settle_capture,
)
from gateway.payments.move_rules import Sums, Wish
from gateway.payments.payment import MoveKind, MoveStatus, PaymentState
from gateway.payments.processor import Capabilities, FoundPayment
from gateway.payments.refund_payment import (
    compare_refund,
    reserve_refund,
    settle_refund,
)
from gateway.words.money import Money
from tests.builders.storage import NOW
from tests.payments.records import (
    OBJECT,
    a_payment,
    a_refund,
    action_required,
    approved,
    canceled,
    declined,
    pending,
)

S, M = PaymentState, MoveStatus
ENDS = NOW + timedelta(days=7)
AUTHORIZED = a_payment(
    state=S.AUTHORIZED, authorized=1000, capturable=1000, capture_before=ENDS
)
CAPTURED = a_payment(state=S.CAPTURED, authorized=1000, captured=1000)
ANY = Capabilities(
    customers=True,
    partial_capture=True,
    multiple_captures=False,
    partial_refund=True,
    idempotency_window=timedelta(hours=24),
    find_by_creation_time=True,
)


def wish(minor_units=None, currency="USD", **changes):
    amount = None if minor_units is None else Money(minor_units, currency)
    return Wish(amount=amount, capabilities=replace(ANY, **changes), now=NOW)


def a_move(kind, status=M.SUBMITTED, minor_units=1000):
    return a_refund(minor_units, status, kind=kind)


def found(outcome=None, refunded=0, currency="USD"):
    amount = None if refunded is None else Money(refunded, currency)
    return FoundPayment(
        processor_object=OBJECT, outcome=outcome or approved(), refunded=amount
    )


class TestCapture:
    @pytest.mark.parametrize(("asked", "taken"), [(None, 1000), (1, 1), (1000, 1000)])
    def test_takes_up_to_what_is_capturable(self, asked, taken):
        payment, amount = reserve_capture(AUTHORIZED, wish(asked))

        assert (payment, amount) == (AUTHORIZED, Money(taken, "USD"))

    def test_refuses_what_the_payment_does_not_hold(self):
        for payment, asked in (
            (AUTHORIZED, 1001),
            (replace(AUTHORIZED, capturable=0), None),
            (CAPTURED, 1),
        ):
            with pytest.raises(StateConflict):
                reserve_capture(payment, wish(asked))

    @pytest.mark.parametrize(
        "asked", [wish(0), wish(10, "EUR"), wish(10, partial_capture=False)]
    )
    def test_refuses_a_wrong_wish(self, asked):
        with pytest.raises(RequestInvalid):
            reserve_capture(AUTHORIZED, asked)

    def test_collects_and_releases_the_rest(self):
        after = settle_capture(
            AUTHORIZED,
            a_move(MoveKind.CAPTURE),
            a_move(MoveKind.CAPTURE, M.SUCCEEDED, 400),
        )

        assert (after.state, after.captured, after.capturable) == (S.CAPTURED, 400, 0)

    @pytest.mark.parametrize("status", [M.FAILED, M.PENDING, M.UNKNOWN])
    def test_changes_nothing_before_it_succeeds(self, status):
        before = a_move(MoveKind.CAPTURE)
        after = settle_capture(AUTHORIZED, before, replace(before, status=status))

        assert after is AUTHORIZED

    @pytest.mark.parametrize("state", [S.CANCELED, S.EXPIRED, S.NEEDS_ATTENTION])
    def test_that_comes_after_the_end_needs_a_person(self, state):
        before = a_move(MoveKind.CAPTURE)
        after = settle_capture(
            replace(AUTHORIZED, state=state),
            before,
            replace(before, status=M.SUCCEEDED),
        )

        assert (after.state, after.captured) == (S.NEEDS_ATTENTION, 1000)

    @pytest.mark.parametrize(
        ("outcome", "sums"),
        [
            (approved(captured=600), Sums.EXECUTED),
            (approved(captured=0), Sums.NOT_EXECUTED),
            (approved(captured=599), Sums.UNCLEAR),
            (canceled(), Sums.IMPOSSIBLE),
            (pending(), Sums.UNCLEAR),
        ],
    )
    def test_is_read_from_what_the_processor_collected(self, outcome, sums):
        move = a_move(MoveKind.CAPTURE, minor_units=600)

        assert compare_capture(AUTHORIZED, [move], move, found(outcome)) is sums

    def test_lapses_when_its_time_has_come(self):
        assert lapse(AUTHORIZED, ENDS - timedelta(milliseconds=1)) is None
        assert lapse(AUTHORIZED, ENDS).state is S.EXPIRED
        assert lapse(replace(AUTHORIZED, capture_before=None), ENDS) is None
        assert lapse(replace(AUTHORIZED, state=S.CANCELED), ENDS) is None


class TestCancel:
    @pytest.mark.parametrize("state", PaymentState)
    def test_gives_up_what_is_not_collected_and_not_in_doubt(self, state):
        payment = replace(AUTHORIZED, state=state)
        if state in (S.AUTHORIZED, S.REQUIRES_ACTION, S.PENDING):
            assert reserve_cancel(payment, wish()) == (payment, payment.amount)
        else:
            with pytest.raises(StateConflict):
                reserve_cancel(payment, wish())

    @pytest.mark.parametrize(
        ("state", "after"),
        [
            (S.AUTHORIZED, S.CANCELED),
            (S.CANCELED, S.CANCELED),
            (S.CAPTURED, S.NEEDS_ATTENTION),
        ],
    )
    def test_releases_or_needs_a_person(self, state, after):
        move = a_move(MoveKind.CANCEL, M.SUCCEEDED)

        settled = settle_cancel(replace(AUTHORIZED, state=state), move, move)

        assert settled.state is after

    def test_changes_nothing_when_it_fails(self):
        move = a_move(MoveKind.CANCEL, M.FAILED)

        assert settle_cancel(AUTHORIZED, move, move) is AUTHORIZED

    @pytest.mark.parametrize(
        ("outcome", "sums"),
        [
            (canceled(), Sums.EXECUTED),
            (approved(captured=0), Sums.NOT_EXECUTED),
            (action_required(), Sums.NOT_EXECUTED),
            (approved(), Sums.IMPOSSIBLE),
            (declined(), Sums.UNCLEAR),
        ],
    )
    def test_is_read_from_the_processors_record(self, outcome, sums):
        move = a_move(MoveKind.CANCEL)

        assert compare_cancel(AUTHORIZED, [move], move, found(outcome)) is sums


class TestRefund:
    def test_reserves_the_sum(self):
        payment, amount = reserve_refund(CAPTURED, wish(400))

        assert (payment.refund_pending, payment.refundable) == (400, 600)
        assert amount == Money(400, "USD")
        assert reserve_refund(payment, wish())[1] == Money(600, "USD")

    def test_refuses_what_was_not_collected(self):
        given_back = replace(CAPTURED, refunded=700, refund_pending=300)
        for payment, asked in (
            (CAPTURED, 1001),
            (given_back, None),
            (given_back, 1),
            (AUTHORIZED, 1),
            (a_payment(state=S.EXPIRED), 1),
        ):
            with pytest.raises(StateConflict):
                reserve_refund(payment, wish(asked))

    @pytest.mark.parametrize(
        "asked", [wish(0), wish(10, "EUR"), wish(10, partial_refund=False)]
    )
    def test_refuses_a_wrong_wish(self, asked):
        with pytest.raises(RequestInvalid):
            reserve_refund(CAPTURED, asked)

    @pytest.mark.parametrize(
        ("before", "after", "refunded", "waiting"),
        [
            (M.SUBMITTED, M.SUCCEEDED, 400, 0),
            (M.SUBMITTED, M.FAILED, 0, 0),
            (M.SUBMITTED, M.PENDING, 0, 400),
            (M.SUBMITTED, M.UNKNOWN, 0, 400),
            (M.UNKNOWN, M.UNKNOWN, 0, 400),
            (M.PENDING, M.SUCCEEDED, 400, 0),
            (M.PENDING, M.FAILED, 0, 0),
        ],
    )
    def test_counts_the_sum_once(self, before, after, refunded, waiting):
        payment = replace(CAPTURED, refund_pending=400)

        settled = settle_refund(payment, a_refund(400, before), a_refund(400, after))

        assert (settled.refunded, settled.refund_pending) == (refunded, waiting)

    def test_that_succeeds_after_it_failed_is_counted(self):
        settled = settle_refund(
            CAPTURED, a_refund(400, M.FAILED), a_refund(400, M.SUCCEEDED)
        )

        assert (settled.refunded, settled.refund_pending) == (400, 0)
        assert settled.state is S.CAPTURED

    def test_that_goes_beyond_the_collected_sum_needs_a_person(self):
        settled = settle_refund(
            replace(CAPTURED, refunded=700),
            a_refund(400, M.FAILED),
            a_refund(400, M.SUCCEEDED),
        )

        assert (settled.refunded, settled.state) == (1100, S.NEEDS_ATTENTION)

    @pytest.mark.parametrize(
        ("others", "gone", "sums"),
        [
            ([], 0, Sums.NOT_EXECUTED),
            ([], 400, Sums.EXECUTED),
            ([], 399, Sums.UNCLEAR),
            ([a_refund(400, M.UNKNOWN)], 800, Sums.EXECUTED),
            ([a_refund(400, M.UNKNOWN)], 400, Sums.UNCLEAR),
            ([a_refund(400, M.UNKNOWN)], 0, Sums.NOT_EXECUTED),
            ([a_refund(300, M.SUCCEEDED)], 400, Sums.EXECUTED),
            ([a_refund(300, M.FAILED)], 400, Sums.EXECUTED),
            ([a_refund(300, M.FAILED)], 700, Sums.UNCLEAR),
            ([a_move(MoveKind.CAPTURE, M.SUCCEEDED)], 400, Sums.EXECUTED),
        ],
    )
    def test_is_read_from_the_sum_of_all_that_are_open(self, others, gone, sums):
        payment = replace(CAPTURED, refunded=100)
        move = a_refund(400, M.UNKNOWN)

        read = compare_refund(payment, [*others, move], move, found(None, 100 + gone))

        assert read is sums

    @pytest.mark.parametrize("record", [found(refunded=None), found(currency="EUR")])
    def test_is_unclear_when_the_processor_does_not_say(self, record):
        move = a_refund()

        assert compare_refund(CAPTURED, [move], move, record) is Sums.UNCLEAR
