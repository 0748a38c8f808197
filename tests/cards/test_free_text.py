"""Text that we echo refuses card numbers, however they are written. covers: I1."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cards.free_text import read_text, refuse_card_numbers
from gateway.errors import RequestInvalid

NUMBER = "4242424242424242"
PUBLISHED = (
    NUMBER,
    "378282246310005",
    "36227206271667",
    "6205500000000000004",
    "5555555555554444",
    "2223003122003222",
)
SCRIPTS = (0x0660, 0x06F0, 0x0966, 0x09E6, 0x0E50, 0xFF10, 0x1D7CE, 0x1D7F6)
SEPARATORS = (
    "",
    " ",
    ".",
    "-",
    "\u00a0",
    "\u2011",
    "\u2013",
    "\u200b",
    " - ",
    "\ufeff",
)


def in_script(number, zero):
    return number.translate({ord("0") + digit: zero + digit for digit in range(10)})


def groups_of(number, size, separator):
    return separator.join(
        number[start : start + size] for start in range(0, len(number), size)
    )


class TestRefuseCardNumbers:
    @pytest.mark.parametrize("number", PUBLISHED)
    def test_refuses_a_published_number(self, number):
        with pytest.raises(RequestInvalid) as caught:
            refuse_card_numbers("description", f"card {number}, thanks")

        assert caught.value.field == "description"
        assert number not in f"{caught.value!r}{caught.value.description}"

    @pytest.mark.parametrize(
        "text",
        [
            "4242 4242 4242 4242",
            "4242-4242-4242-4242",
            "4242.4242.4242.4242",
            "4242 - 4242 - 4242 - 4242",
            "4242\u00a04242\u00a04242\u00a04242",
            "4242\u20134242\u20134242\u20134242",
            "4\u200b2\u200b4\u200b2\u200b4242\u200b42424242",
            "4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2",
            "3782 822463 10005",
            "order 12 4242 4242 4242 4242",  # other digits before it
            "4242 4242 4242 4242 12/30 123",  # and after it
            "123 4242424242424242 123",
            "x4242424242424242x",
            "4242424242424242=30121010000",  # a magnetic stripe
            "42424242424242421230123",  # with expiry and code behind it
            "a\n4242424242424242",
            "\u2463\u2461" * 8,  # circled
            "\u2779\u2777" * 8,  # black circled: they have a value, but no plain form
            "\u2477\u2475" * 8,  # in parentheses
            "4\ufe0f\u20e32\ufe0f\u20e3" * 8,  # as on keys
            "4\u03322\u0332" * 8,  # underlined
            "4242\u180e4242\u034f4242\u202a4242",  # separated by nothing that shows
            "4242\u31644242\u28004242\U000e00204242",
            "4242,4242,4242,4242",
            "4242 | 4242 | 4242 | 4242",
            "4242\u20224242\u20224242\u20224242",
            "4:2:4:2:4:2:4:2:4:2:4:2:4:2:4:2",
            "3782*822463*10005",
        ],
    )
    def test_refuses_it_in_any_dress(self, text):
        with pytest.raises(RequestInvalid):
            refuse_card_numbers("description", text)

    @given(
        number=st.sampled_from(PUBLISHED),
        zero=st.sampled_from(SCRIPTS),
        separator=st.sampled_from(SEPARATORS),
        size=st.integers(1, 6),
        around=st.tuples(
            st.text("abc ,:#", max_size=9), st.text("xyz ,:#", max_size=9)
        ),
    )
    def test_refuses_every_script_and_separator(
        self, number, zero, separator, size, around
    ):
        shown = groups_of(in_script(number, zero), size, separator)

        with pytest.raises(RequestInvalid):
            refuse_card_numbers("description", around[0] + shown + around[1])

    def test_refuses_digits_that_pass_the_check_though_no_brand_is_known(self):
        with pytest.raises(RequestInvalid):
            refuse_card_numbers("description", "9000000000000001")

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "Subscription",
            "Invoice 4711",
            "4242424242424241",  # the check digit is wrong
            "42424242424",  # eleven digits
            "+49 30 1234567",
            "2026-11-01 2026-11-30",
            "2026-11-01 - 2026-11-30",
            "01.11.2026 - 30.11.2026",
            "01/11/2026-30/11/2026",
            "6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f",
            "10.0.0.1 192.168.100.200",
            "210000000003139471430009017",  # a Swiss payment reference
            "DE02 1203 0000 0000 2020 51",  # an IBAN
            "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12",
            "30.11.2026 14:30:59",
            "2026-11-30T14:30:59.123456+01:00",
            "1,000,000,000,000",
            "3000:1112:26:14",
        ],
    )
    def test_lets_ordinary_text_pass(self, text):
        refuse_card_numbers("description", text)

    @given(st.text(st.characters(exclude_categories=["Nd", "No", "Nl"])))
    def test_never_refuses_text_without_digits(self, text):
        refuse_card_numbers("description", text)

    @given(st.text(max_size=600) | st.text("0123456789 -.", max_size=600))
    def test_never_fails_otherwise(self, text):
        with suppress(RequestInvalid):
            refuse_card_numbers("description", text)

    @pytest.mark.parametrize(
        "text",
        [
            "1 " * 250,
            "0" * 500,
            "1-" * 250,
            "12345678901 x" * 38,
            "\u0661." * 250,
            "1()" * 200,
        ],
    )
    def test_takes_no_longer_for_text_made_to_be_slow(self, text):
        started = time.perf_counter()
        with suppress(RequestInvalid):
            refuse_card_numbers("description", text)

        assert time.perf_counter() - started < 0.1


class TestReadText:
    def test_returns_the_text(self):
        assert (
            read_text("description", "Zoë, Nguyễn 東京 👩‍💻", 500)
            == "Zoë, Nguyễn 東京 👩‍💻"
        )

    @pytest.mark.parametrize(
        "text",
        [
            "x" * 11,
            "a\nb",
            "a\x00",
            "\x1b[2J",
            "\x7f",
            "\x85",
            "\ud800",
            "\u2028",
            NUMBER,
        ],
    )
    def test_refuses_long_text_control_characters_and_card_numbers(self, text):
        with pytest.raises(RequestInvalid) as caught:
            read_text("reason", text, 10)

        assert caught.value.field == "reason"

    def test_counts_characters_not_bytes(self):
        assert read_text("reason", "東" * 10, 10)

    def test_takes_characters_that_are_newer_than_the_tables(self):
        assert read_text("reason", "\U000e1000", 10)
