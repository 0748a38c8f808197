"""When a card ends."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cards.expiry import Expiry
from gateway.errors import CardExpired, CardInvalid

MOMENT = timedelta(microseconds=1)


class TestExpiry:
    @pytest.mark.parametrize("month", [-1, 0, 13, 2**40])
    def test_refuses_a_month_that_does_not_exist(self, month):
        with pytest.raises(CardInvalid) as caught:
            Expiry(month, 2030)

        assert caught.value.field == "card.expiry_month"

    @pytest.mark.parametrize("year", [-1, 0, 30, 1999, 2100, 10**9])
    def test_refuses_a_year_that_is_not_four_digits_of_this_century(self, year):
        with pytest.raises(CardInvalid) as caught:
            Expiry(1, year)

        assert caught.value.field == "card.expiry_year"

    def test_ends_when_the_month_ends_at_the_last_place_on_earth(self):
        assert Expiry(11, 2026).ends_at == datetime(2026, 12, 1, 12, tzinfo=UTC)
        assert Expiry(12, 2026).ends_at == datetime(2027, 1, 1, 12, tzinfo=UTC)

    def test_is_valid_to_its_last_moment_and_not_a_moment_longer(self):
        expiry = Expiry(2, 2028)

        expiry.check(expiry.ends_at - MOMENT)
        with pytest.raises(CardExpired) as caught:
            expiry.check(expiry.ends_at)
        assert caught.value.field == "card.expiry_year"

    def test_refuses_a_card_that_nobody_issues(self):
        now = datetime(2026, 11, 25, tzinfo=UTC)

        Expiry(12, 2046).check(now)
        with pytest.raises(CardInvalid):
            Expiry(1, 2047).check(now)

    @given(st.integers(1, 12), st.integers(2000, 2098))
    def test_a_later_month_ends_later(self, month, year):
        years, next_month = divmod(month, 12)

        later = Expiry(next_month + 1, year + years)

        assert later.ends_at > Expiry(month, year).ends_at
