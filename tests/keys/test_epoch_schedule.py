"""When an epoch is due, and what an erasure receipt may promise. covers: I10."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.keys.epoch_schedule import (
    FINISH_WITHIN,
    due_at,
    is_overdue,
    unrecoverable_at,
)
from gateway.keys.ports import Epoch, EpochState

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
MONTH = timedelta(days=30)
times = st.datetimes(timezones=st.just(UTC), min_value=datetime(2020, 1, 1))  # noqa: DTZ001


def an_epoch(state=EpochState.CURRENT, **changes):
    values = {"epoch": "e", "state": state, "made_at": NOW, "due_at": NOW + MONTH}
    return Epoch(**values | changes)


class TestDueAt:
    def test_is_a_period_after_it_was_made(self):
        assert due_at(NOW, MONTH) == NOW + MONTH

    def test_is_never_without_a_period(self):
        assert due_at(NOW, None) is None

    def test_a_longer_period_does_not_break_a_promise(self):
        promised = NOW + MONTH

        assert due_at(NOW, MONTH * 12, promised) == promised
        assert due_at(NOW, None, promised) == promised
        assert due_at(NOW, timedelta(days=7), promised) == NOW + timedelta(days=7)


class TestUnrecoverableAt:
    def test_counts_the_time_that_a_rotation_may_take(self):
        assert unrecoverable_at([an_epoch()], NOW) == NOW + MONTH + FINISH_WITHIN

    def test_reckons_with_the_epoch_that_lasts_longest(self):
        """A backup of tomorrow holds the card under the epoch that is planned today."""
        planned = an_epoch(EpochState.PLANNED, due_at=NOW + MONTH * 2)
        retiring = an_epoch(EpochState.RETIRING)

        date = unrecoverable_at([planned, retiring], NOW)

        assert date == NOW + MONTH * 2 + FINISH_WITHIN

    def test_a_rotation_that_is_late_is_not_promised_for_the_past(self):
        later = NOW + MONTH * 2

        assert unrecoverable_at([an_epoch()], later) == later + FINISH_WITHIN

    def test_promises_nothing_while_an_epoch_has_no_date(self):
        assert unrecoverable_at([], NOW) is None
        assert unrecoverable_at([an_epoch(), an_epoch(due_at=None)], NOW) is None

    def test_destroyed_epochs_do_not_count(self):
        gone = an_epoch(EpochState.DESTROYED, due_at=None)

        assert unrecoverable_at([an_epoch(), gone], NOW) is not None
        assert unrecoverable_at([gone], NOW) is None

    @given(st.lists(times, min_size=1), times)
    def test_is_never_before_an_epoch_may_end(self, dates, now):
        promised = unrecoverable_at([an_epoch(due_at=date) for date in dates], now)

        assert all(promised >= date + FINISH_WITHIN for date in [*dates, now])


class TestIsOverdue:
    def test_once_the_promised_date_has_passed(self):
        last = NOW + MONTH + FINISH_WITHIN

        assert not is_overdue(an_epoch(), last)
        assert is_overdue(an_epoch(), last + timedelta(seconds=1))

    def test_not_when_it_is_destroyed_or_has_no_date(self):
        long_after = NOW + MONTH * 12

        assert not is_overdue(an_epoch(EpochState.DESTROYED), long_after)
        assert not is_overdue(an_epoch(due_at=None), long_after)
