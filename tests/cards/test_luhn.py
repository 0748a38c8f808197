"""The check digit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cards.luhn import passes_luhn


def with_check_digit(body):
    """Computes the digit the slow way, from the standard's text."""
    total = 0
    for place, digit in enumerate(reversed(body)):
        number = int(digit) * (2 if place % 2 == 0 else 1)
        total += number - 9 if number > 9 else number
    return body + str(-total % 10)


NUMBERS = st.text("0123456789", min_size=11, max_size=18).map(with_check_digit)


class TestPassesLuhn:
    def test_accepts_the_example_of_the_standard(self):
        assert passes_luhn("49927398716")

    @given(NUMBERS)
    def test_accepts_a_computed_check_digit(self, number):
        assert passes_luhn(number)

    @given(NUMBERS, st.data())
    def test_notices_any_one_changed_digit(self, number, data):
        place = data.draw(st.integers(0, len(number) - 1))
        other = data.draw(
            st.sampled_from("0123456789").filter(lambda d: d != number[place])
        )

        assert not passes_luhn(number[:place] + other + number[place + 1 :])

    @pytest.mark.parametrize("number", ["4242424242424241", "4242424242424224"])
    def test_refuses_a_wrong_digit_and_a_swap(self, number):
        assert not passes_luhn(number)
