"""Page tokens: good for one merchant, one list and one set of filters."""

import base64

import pytest
from bailee.v1 import payment_service_pb2 as pb
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import RequestInvalid
from gateway.rpc.paging import PAGE_SIZE_MAX, PageTokens, read_page_size


class Keys:
    """The part of a key provider that page tokens use."""

    def __init__(self, seed=b"k"):
        self.seed = seed

    def mac_key(self, label):
        return (self.seed + label.encode()).ljust(32, b".")


TOKENS = PageTokens(Keys())
POSITION = "1790000000000000.42"


def asking(**changes):
    return pb.ListPaymentsRequest(**{"merchant": "shop"} | changes)


def a_token(**changes):
    return TOKENS.show("ListPayments", asking(**changes), POSITION)


class TestPageTokens:
    def test_hold_a_position(self):
        again = asking(page_token=a_token(), page_size=3)

        assert TOKENS.read("ListPayments", again) == POSITION
        assert PageTokens(Keys()).read("ListPayments", again) == POSITION

    def test_are_empty_at_the_end_and_at_the_beginning(self):
        assert TOKENS.show("ListPayments", asking(), "") == ""
        assert TOKENS.read("ListPayments", asking()) == ""

    @pytest.mark.parametrize(
        "other",
        [
            {"merchant": "other"},
            {"merchant_reference": "invoice-1"},
            {"state": 6},
            {"last_four": "4242"},
        ],
    )
    def test_are_refused_with_other_fields(self, other):
        """covers: I9."""
        with pytest.raises(RequestInvalid) as caught:
            TOKENS.read("ListPayments", asking(page_token=a_token(), **other))

        assert caught.value.field == "page_token"

    def test_are_refused_by_another_list_and_another_gateway(self):
        request = asking(page_token=a_token())

        with pytest.raises(RequestInvalid):
            TOKENS.read("ListRefunds", request)
        with pytest.raises(RequestInvalid):
            PageTokens(Keys(b"o")).read("ListPayments", request)

    def test_are_refused_with_any_bit_changed(self):
        content = base64.urlsafe_b64decode(a_token())
        for place in range(len(content) * 8):
            damaged = bytearray(content)
            damaged[place // 8] ^= 1 << place % 8
            token = base64.urlsafe_b64encode(bytes(damaged)).decode()
            with pytest.raises(RequestInvalid):
                TOKENS.read("ListPayments", asking(page_token=token))

    @given(st.text(min_size=1, max_size=600))
    def test_are_refused_when_made_up(self, text):
        with pytest.raises(RequestInvalid) as caught:
            TOKENS.read("ListPayments", asking(page_token=text))

        assert text not in caught.value.description or len(text) < 3


class TestPageSize:
    @pytest.mark.parametrize(("asked", "size"), [(0, 50), (1, 1), (1000, 1000)])
    def test_is_what_was_asked_for(self, asked, size):
        assert read_page_size(asked) == size

    def test_has_a_limit(self):
        assert read_page_size(2**31 - 1) == PAGE_SIZE_MAX

    def test_is_not_negative(self):
        with pytest.raises(RequestInvalid):
            read_page_size(-1)
