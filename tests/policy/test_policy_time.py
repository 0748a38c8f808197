"""A clock that jumps starts nothing. covers: I8."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.policy_time import SLACK, START_MAX, PolicyTime

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def started(mark=NOON, now=NOON):
    return PolicyTime(mark=mark, now=now, monotonic_seconds=0.0)


class TestStart:
    def test_believes_the_clock_the_first_time(self):
        assert started(mark=None, now=NOON + 40 * DAY).mark == NOON + 40 * DAY

    def test_believes_a_day_at_most(self):
        time = started(now=NOON + 40 * DAY)

        assert time.mark == NOON + START_MAX
        assert time.at(NOON + 40 * DAY) <= NOON + START_MAX + SLACK

    def test_never_falls(self):
        time = started(now=NOON - 40 * DAY)

        assert time.mark == time.at(NOON - 40 * DAY) == NOON


class TestAdvance:
    def test_follows_a_clock_that_is_right(self):
        time = started()

        assert time.advance(NOON + timedelta(hours=1), 3600.0) is None
        assert time.mark == NOON + timedelta(hours=1)

    def test_says_so_when_the_clock_is_ahead(self):
        time = started()

        ahead = time.advance(NOON + 40 * DAY, 3600.0)

        assert ahead.clock == NOON + 40 * DAY
        assert ahead.believed == NOON + timedelta(hours=1) + SLACK

    @given(
        st.lists(
            st.tuples(
                st.floats(0, 10_000), st.timedeltas(timedelta(-400), timedelta(400))
            )
        )
    )
    def test_never_runs_away_and_never_falls(self, steps):
        """Whatever the clock says, however often it is asked."""
        time, elapsed, mark = started(), 0.0, NOON
        for seconds, jump in steps:
            elapsed += seconds
            time.advance(NOON + jump, elapsed)

            assert time.mark >= mark
            assert time.mark <= NOON + timedelta(seconds=elapsed) + SLACK
            mark = time.mark

    def test_small_steps_do_not_add_up(self):
        time = started()

        for second in range(1000):
            time.advance(NOON + 400 * DAY, float(second))

        assert time.mark == NOON + timedelta(seconds=999) + SLACK


@pytest.mark.parametrize("jump", [40 * DAY, -40 * DAY])
def test_at_stays_between_mark_and_limit(jump):
    time = started()

    assert NOON <= time.at(NOON + jump) <= NOON + SLACK
