"""Leases: who works on a payment, and until when."""

from datetime import timedelta

import pytest

from gateway.payments.leases import is_due, is_live, new_lease
from tests.builders.storage import NOW

LONG = timedelta(seconds=20)
TICK = timedelta(milliseconds=1)


class TestLease:
    def test_lasts_as_long_as_it_says(self):
        lease = new_lease("one", NOW, LONG)

        assert is_live(lease, NOW + LONG - TICK)
        assert not is_live(lease, NOW + LONG)
        assert not is_live(None, NOW)

    def test_is_kept_in_whole_milliseconds_as_storage_does(self):
        lease = new_lease("one", NOW + timedelta(microseconds=1999), LONG)

        assert lease.until == NOW + LONG + TICK

    @pytest.mark.parametrize(
        ("lease_ends", "check_at", "due"),
        [
            (None, None, True),
            (timedelta(0), None, True),
            (TICK, None, False),
            (None, TICK, False),
            (None, timedelta(0), True),
            (TICK, timedelta(0), False),
        ],
    )
    def test_makes_work_due_when_it_ended_and_the_time_has_come(
        self, lease_ends, check_at, due
    ):
        lease = None
        if lease_ends is not None:
            lease = new_lease("one", NOW, lease_ends)
        next_check = None if check_at is None else NOW + check_at

        assert is_due(lease, next_check, NOW) is due
