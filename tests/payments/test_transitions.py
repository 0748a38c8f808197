"""The whole table: every state with every event, and every guard's facts."""

from dataclasses import replace
from itertools import product

import pytest

from gateway.errors import StateConflict
from gateway.payments.payment import (
    FREES_CHARGE_ONCE_KEY,
    MOVE_TRANSITIONS,
    MoveStatus,
    PaymentState,
)
from gateway.payments.transitions import (
    GUARDS,
    TRANSITIONS,
    Event,
    Facts,
    advance,
    find_row,
)
from tests.payments.records import a_payment

S, E = PaymentState, Event

# Written out by hand, so that no change of the table goes unseen: for state and event
# the next state for each item of FACTS.


def always(state):
    return dict.fromkeys(range(5), state)


ANSWERS = {
    E.ACTION_REQUIRED: always(S.REQUIRES_ACTION),
    E.ACCEPTED: always(S.PENDING),
    E.APPROVED: {
        0: S.AUTHORIZED,
        1: S.CAPTURED,
        2: S.AUTHORIZED,
        3: S.CAPTURED,
        4: S.AUTHORIZED,
    },
    E.DECLINED: always(S.DECLINED),
    E.CANCELED: always(S.CANCELED),
    E.UNDECIDABLE: always(S.NEEDS_ATTENTION),
}
ASKED = ANSWERS | {E.FAILED: always(S.FAILED), E.LOST: always(S.UNKNOWN)}
WAITING = ANSWERS | {
    E.CANCEL_SUCCEEDED: always(S.CANCELED),
    E.LOST: always(S.UNKNOWN),
}
CAPTURE = always(S.CAPTURED) | {4: S.PARTIALLY_CAPTURED}
RESERVED = {
    E.CAPTURE_SUCCEEDED: CAPTURE,
    E.LAPSED: always(S.EXPIRED),
    E.UNDECIDABLE: always(S.NEEDS_ATTENTION),
}
OVER = {
    E.LATE_SUCCESS: always(S.NEEDS_ATTENTION),
    E.UNDECIDABLE: always(S.NEEDS_ATTENTION),
}
EXPECTED = {
    S.SUBMITTED: ASKED,
    S.UNKNOWN: ASKED,
    S.REQUIRES_ACTION: WAITING,
    S.PENDING: WAITING,
    S.AUTHORIZED: RESERVED
    | {E.CANCEL_SUCCEEDED: always(S.CANCELED), E.CANCELED: always(S.CANCELED)},
    S.PARTIALLY_CAPTURED: RESERVED | {E.REFUND_ASKED: always(S.PARTIALLY_CAPTURED)},
    S.CAPTURED: {
        E.REFUND_ASKED: always(S.CAPTURED),
        E.UNDECIDABLE: always(S.NEEDS_ATTENTION),
    },
    S.DECLINED: OVER,
    S.CANCELED: OVER,
    S.EXPIRED: OVER | {E.REFUND_ASKED: {1: S.EXPIRED, 3: S.EXPIRED}},
    S.FAILED: {
        E.LATE_SUCCESS: {
            0: S.AUTHORIZED,
            1: S.CAPTURED,
            2: S.NEEDS_ATTENTION,
            3: S.NEEDS_ATTENTION,
            4: S.AUTHORIZED,
        },
        E.UNDECIDABLE: always(S.NEEDS_ATTENTION),
    },
    S.NEEDS_ATTENTION: {
        event: always(S.NEEDS_ATTENTION)
        for event in (
            E.APPROVED,
            E.CAPTURE_SUCCEEDED,
            E.CANCEL_SUCCEEDED,
            E.UNDECIDABLE,
        )
    },
}
FACTS = (
    Facts(),
    Facts(collected=True),
    Facts(key_taken=True),
    Facts(key_taken=True, collected=True),
    Facts(more_captures=True),
)


@pytest.mark.parametrize(("state", "event"), list(product(PaymentState, Event)))
class TestTable:
    def test_takes_every_state_where_the_table_says(self, state, event):
        for number, facts in enumerate(FACTS):
            expected = EXPECTED[state].get(event, {}).get(number)
            payment = replace(a_payment(), state=state)
            if expected is None:
                with pytest.raises(StateConflict) as caught:
                    advance(payment, event, facts)
                assert caught.value.metadata["state"] == state.name
            else:
                assert advance(payment, event, facts).state is expected

    def test_has_at_most_one_row_for_the_same_facts(self, state, event):
        for values in product((False, True), repeat=3):
            names = ("collected", "key_taken", "more_captures")
            facts = Facts(**dict(zip(names, values, strict=True)))
            rows = [
                row
                for row in TRANSITIONS
                if (row.state, row.event) == (state, event) and GUARDS[row.guard](facts)
            ]
            assert len(rows) <= 1
            assert find_row(state, event, facts) == (rows[0] if rows else None)


class TestAdvance:
    def test_changes_the_named_fields_alone(self):
        payment = a_payment()

        after = advance(payment, Event.FAILED, failure_reason="X")

        expected = replace(payment, state=PaymentState.FAILED, failure_reason="X")
        assert after == expected

    def test_leaves_a_success_only_for_a_person_or_a_refund(self):
        """Nothing that was collected may be forgotten by an event."""
        reached = {row.next for row in TRANSITIONS if row.state is S.CAPTURED}

        assert reached == {S.CAPTURED, S.NEEDS_ATTENTION}

    def test_reaches_every_state_from_submitted(self):
        reached, border = {S.SUBMITTED}, {S.SUBMITTED}
        while border:
            border = {r.next for r in TRANSITIONS if r.state in border} - reached
            reached |= border

        assert reached == set(PaymentState)


class TestChargeOnceKey:
    @pytest.mark.parametrize("state", PaymentState)
    def test_is_held_unless_nothing_can_have_been_collected(self, state):
        """covers: I6."""
        payment = replace(a_payment(), state=state)
        free = {S.DECLINED, S.FAILED, S.CANCELED, S.EXPIRED}

        assert payment.holds_charge_once_key == (state not in free)
        assert free - {S.EXPIRED} == FREES_CHARGE_ONCE_KEY

    def test_is_held_by_an_expired_payment_that_collected_a_part(self):
        expired = replace(a_payment(), state=S.EXPIRED, captured=1)

        assert expired.holds_charge_once_key


class TestMoves:
    def test_go_only_where_the_table_says(self):
        s = MoveStatus
        open_next = {s.UNKNOWN, s.PENDING, s.SUCCEEDED, s.FAILED}

        assert {status: set(after) for status, after in MOVE_TRANSITIONS.items()} == {
            s.SUBMITTED: open_next,
            s.UNKNOWN: open_next,
            s.PENDING: {s.SUCCEEDED, s.FAILED},
            s.FAILED: {s.SUCCEEDED},
            s.SUCCEEDED: set(),
        }
