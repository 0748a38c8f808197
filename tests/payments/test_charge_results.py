"""What each kind of result means in each state. covers: I6."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from gateway.payments.charge_results import (
    Failed,
    Undecidable,
    Unknown,
    apply_result,
    check_against,
    event_of,
    next_wait,
)
from gateway.payments.payment import Lease, PaymentState, Step
from gateway.payments.transitions import Event, Facts, find_row
from tests.builders.storage import NOW
from tests.payments.records import (
    DECLINE,
    OBJECT,
    a_payment,
    action_required,
    approved,
    canceled,
    declined,
    pending,
)

S, E = PaymentState, Event
OTHER = "pi_other"
RESULTS = {
    "approved": approved(),
    "reserved": approved(captured=0),
    "declined": declined(),
    "action": action_required(),
    "pending": pending(),
    "canceled": canceled(),
    "failed": Failed("X"),
    "unknown": Unknown(),
    "undecidable": Undecidable(),
}
ANSWERS = {
    "approved": E.APPROVED,
    "reserved": E.APPROVED,
    "declined": E.DECLINED,
    "action": E.ACTION_REQUIRED,
    "pending": E.ACCEPTED,
    "canceled": E.CANCELED,
    "undecidable": E.UNDECIDABLE,
}
LATE = {
    "approved": E.LATE_SUCCESS,
    "reserved": E.LATE_SUCCESS,
    "action": E.UNDECIDABLE,
    "pending": E.UNDECIDABLE,
    "undecidable": E.UNDECIDABLE,
}
ASKED = ANSWERS | {"failed": E.FAILED, "unknown": E.LOST}
EXPECTED = {
    S.SUBMITTED: ASKED,
    S.UNKNOWN: ASKED,
    S.REQUIRES_ACTION: ANSWERS | {"unknown": E.LOST},
    S.PENDING: ANSWERS | {"unknown": E.LOST},
    S.AUTHORIZED: {"canceled": E.CANCELED, "undecidable": E.UNDECIDABLE},
    S.PARTIALLY_CAPTURED: {"undecidable": E.UNDECIDABLE},
    S.CAPTURED: {"undecidable": E.UNDECIDABLE},
    S.DECLINED: LATE,
    S.FAILED: LATE,
    S.CANCELED: LATE,
    S.EXPIRED: LATE,
    S.NEEDS_ATTENTION: {
        "approved": E.APPROVED,
        "reserved": E.APPROVED,
        "undecidable": E.UNDECIDABLE,
    },
}


class TestEventOf:
    @pytest.mark.parametrize(("state", "kind"), list(product(PaymentState, RESULTS)))
    def test_says_what_a_result_means_in_each_state(self, state, kind):
        payment = replace(a_payment(), state=state)

        event = event_of(payment, RESULTS[kind])

        assert event == EXPECTED[state].get(kind)
        if event is not None:
            assert find_row(state, event, Facts()) is not None

    @pytest.mark.parametrize("state", [S.DECLINED, S.CANCELED, S.EXPIRED, S.FAILED])
    @pytest.mark.parametrize("kind", ["reserved", "declined", "action", "pending"])
    def test_hears_an_old_answer_about_the_same_object_as_nothing_new(
        self, state, kind
    ):
        known = replace(
            a_payment(), state=state, processor_object=OBJECT, authorized=1000
        )

        assert event_of(known, RESULTS[kind]) is None

    def test_hears_a_success_of_a_declined_object_as_a_late_success(self):
        """The same object, confirmed again by somebody else."""
        known = replace(a_payment(), state=S.DECLINED, processor_object=OBJECT)

        assert event_of(known, approved()) is E.LATE_SUCCESS

    @pytest.mark.parametrize(
        "state", [S.AUTHORIZED, S.CAPTURED, S.PARTIALLY_CAPTURED, S.NEEDS_ATTENTION]
    )
    def test_hears_a_repeated_success_as_nothing_new(self, state):
        known = replace(
            a_payment(), state=state, processor_object=OBJECT, authorized=1000
        )

        assert event_of(known, approved()) is None


class TestCheckAgainst:
    @pytest.mark.parametrize("result", [approved(), approved(captured=0), declined()])
    def test_takes_what_fits(self, result):
        assert check_against(a_payment(), result) is result

    @pytest.mark.parametrize(
        "result",
        [
            approved(currency="EUR"),
            approved(authorized=999, captured=999),
            approved(authorized=1001, captured=1001),
            approved(captured=500),
            approved(captured=1001),
        ],
    )
    def test_finds_amounts_that_are_not_ours_undecidable(self, result):
        assert check_against(a_payment(), result) == Undecidable(OBJECT)

    @pytest.mark.parametrize("state", [S.AUTHORIZED, S.PARTIALLY_CAPTURED, S.CAPTURED])
    def test_finds_a_second_approved_object_undecidable(self, state):
        """Two objects took money for one payment; a person gives one back."""
        payment = a_payment(state=state, authorized=1000, processor_object=OBJECT)
        second = replace(approved(), processor_object=OTHER)

        seen = check_against(payment, second)
        after = apply_result(payment, seen, NOW)

        assert after.state is S.NEEDS_ATTENTION
        assert (after.processor_object, after.authorized) == (OBJECT, 1000)

    def test_finds_more_refunded_than_collected_undecidable(self):
        assert check_against(a_payment(), approved(), 1001) == Undecidable(OBJECT)
        assert check_against(a_payment(), approved(), 1000) == approved()


class TestApplyResult:
    def test_writes_down_a_charge(self):
        leased = a_payment(lease=Lease(instance="one", until=NOW), next_check_at=NOW)

        after = apply_result(leased, approved(), NOW, refunded=10)

        assert (after.state, after.step) == (S.CAPTURED, Step.DONE)
        amounts = (after.authorized, after.captured, after.capturable, after.refunded)
        assert amounts == (1000, 1000, 0, 10)
        assert after.processor_object == OBJECT
        assert (after.lease, after.next_check_at) == (None, None)

    def test_writes_down_a_reservation(self):
        ends = NOW + timedelta(days=7)

        after = apply_result(
            a_payment(), replace(approved(captured=0), capture_before=ends), NOW
        )

        assert after.state is S.AUTHORIZED
        assert (after.authorized, after.captured, after.capturable) == (1000, 0, 1000)
        assert after.capture_before == ends

    def test_writes_down_a_decline(self):
        after = apply_result(a_payment(), declined(), NOW)

        assert (after.state, after.decline) == (S.DECLINED, DECLINE)
        assert after.step is Step.DONE

    def test_writes_down_what_the_cardholder_must_do(self):
        after = apply_result(a_payment(), action_required(), NOW)

        assert after.state is S.REQUIRES_ACTION
        assert after.redirect_url == "https://bank.example/act"

    def test_writes_down_pending_canceled_and_failed(self):
        assert apply_result(a_payment(), pending(), NOW).state is S.PENDING
        assert apply_result(a_payment(), canceled(), NOW).state is S.CANCELED
        failed = apply_result(a_payment(), Failed("NOT_EXECUTED"), NOW)
        assert (failed.state, failed.failure_reason) == (S.FAILED, "NOT_EXECUTED")

    def test_keeps_the_object_and_plans_the_next_look_when_no_answer_came(self):
        after = apply_result(a_payment(), Unknown(OBJECT, 1), NOW)

        assert (after.state, after.step) == (S.UNKNOWN, Step.CHARGE)
        assert (after.processor_object, after.absent_inquiries) == (OBJECT, 1)
        assert after.next_check_at == NOW + timedelta(seconds=2)
        again = apply_result(after, Unknown(), NOW)
        assert (again.processor_object, again.absent_inquiries) == (OBJECT, 1)

    def test_forgets_the_failure_when_a_success_comes_late(self):
        failed = a_payment(state=S.FAILED, failure_reason="NOT_EXECUTED")

        after = apply_result(failed, approved(), NOW)

        assert (after.state, after.failure_reason) == (S.CAPTURED, "")
        taken = apply_result(failed, approved(), NOW, key_taken=True)
        assert (taken.state, taken.captured) == (S.NEEDS_ATTENTION, 1000)

    def test_changes_nothing_that_says_nothing_new(self):
        captured = a_payment(state=S.CAPTURED)

        assert apply_result(captured, Unknown(), NOW) is captured


class TestNextWait:
    @pytest.mark.parametrize(
        ("age", "wait"),
        [
            (timedelta(0), timedelta(seconds=2)),
            (timedelta(minutes=1), timedelta(seconds=30)),
            (timedelta(days=3), timedelta(hours=1)),
        ],
    )
    def test_grows_with_the_payments_age(self, age, wait):
        assert next_wait(a_payment(), NOW + age) == wait
