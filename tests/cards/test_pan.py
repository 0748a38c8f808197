"""The card number: what it refuses, and that nothing shows it."""

import copy
import json
import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cards.pan import Pan
from gateway.cards.security_code import SecurityCode
from gateway.errors import CardInvalid

NUMBER = "4242424242424242"
FULL_WIDTH = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}
ARABIC_INDIC = {ord("0") + digit: 0x0660 + digit for digit in range(10)}
UNIONPAY_WITHOUT_CHECK_DIGIT = "6200000000000001"


class TestPan:
    @pytest.mark.parametrize(
        "digits",
        [
            "",
            "4",
            "42424242424",  # 11
            "42424242424242424242",  # 20
            "4242424242424241",  # Luhn
            "424242424242424",  # 15 digits: no Visa
            "42424242424242",  # 14 digits
            "3782822463100050",  # 16 digits: no American Express
            "4242 4242 4242 4242",
            "4242-4242-4242-4242",
            " 4242424242424242",
            "4242424242424242\n",
            "-4242424242424242",
            "+4242424242424242",
            "4242_4242_4242_4242",
            NUMBER.translate(FULL_WIDTH),
            NUMBER.translate(ARABIC_INDIC),
            "4242424242424²42",  # isdigit() is true of a superscript
            "0x42424242424242",
        ],
    )
    def test_refuses_what_is_no_card_number(self, digits):
        with pytest.raises(CardInvalid) as caught:
            Pan(digits)

        assert caught.value.field == "card.number"

    def test_refuses_a_wrong_check_digit_of_a_brand_that_it_does_not_know(self):
        with pytest.raises(CardInvalid):
            Pan("9000000000000002")

    def test_accepts_a_number_of_a_brand_that_it_does_not_know(self):
        assert Pan("9000000000000001").brand.id == "unknown"

    def test_takes_unionpay_without_a_check_digit_and_says_so(self):
        pan = Pan(UNIONPAY_WITHOUT_CHECK_DIGIT)

        assert pan.brand.id == "unionpay"
        assert not pan.passes_luhn
        assert Pan("6200000000000005").passes_luhn

    @given(st.text(max_size=24) | st.text("0123456789", min_size=8, max_size=24))
    def test_no_error_carries_the_value(self, text):
        try:
            Pan(text)
        except CardInvalid as error:
            shown = "".join(traceback.format_exception_only(error))
            shown += f"{error!r}{error.args}{error.field}{error.metadata}"
            shown += error.description
            if len(text) > 2:
                assert text not in shown

    def test_gives_the_digits_only_on_reveal(self):
        pan = Pan(NUMBER)

        assert pan.reveal() == NUMBER
        assert pan.last_four == "4242"

    def test_shows_no_digit(self):
        pan = Pan(NUMBER)
        shown = f"{pan}{pan!r}{pan!s:>40}{[pan]}{ ({'a': pan}) }" + "%s %r" % (pan, pan)  # noqa: UP031

        assert not any(character.isdigit() for character in shown.replace("40", ""))

    @pytest.mark.parametrize(
        "serialise", [pickle.dumps, json.dumps, copy.copy, copy.deepcopy, vars]
    )
    def test_is_never_serialised(self, serialise):
        with pytest.raises(TypeError):
            serialise(Pan(NUMBER))

    def test_is_not_compared_by_accident(self):
        assert Pan(NUMBER) != Pan(NUMBER)

    def test_a_stored_number_outlives_a_change_of_the_table(self):
        assert Pan.restore("424242424242424").last_four == "2424"


class TestSecurityCode:
    @pytest.mark.parametrize(
        "digits",
        [
            "",
            "1",
            "12",
            "12345",
            "12a",
            "123".translate(FULL_WIDTH),
            "1²3",
            " 123",
            "123\n",
        ],
    )
    def test_refuses_what_is_no_code(self, digits):
        with pytest.raises(CardInvalid) as caught:
            SecurityCode(digits)

        assert caught.value.field == "card.security_code"

    def test_names_the_field_it_came_in(self):
        with pytest.raises(CardInvalid) as caught:
            SecurityCode("", field="security_code")

        assert caught.value.field == "security_code"

    def test_shows_no_digit(self):
        code = SecurityCode("123")

        assert "1" not in f"{code}{code!r}{code!s:>8}{[code]}"
        assert code.reveal() == "123"

    @pytest.mark.parametrize("serialise", [pickle.dumps, copy.deepcopy, vars])
    def test_is_never_serialised(self, serialise):
        with pytest.raises(TypeError):
            serialise(SecurityCode("123"))
