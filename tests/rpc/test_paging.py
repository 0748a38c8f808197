"""Page tokens: bound to their list, refused when changed."""

import string

import pytest
from bailee.v1 import vault_service_pb2
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import RequestInvalid
from gateway.rpc.paging import (
    PAGE_SIZE_DEFAULT,
    PAGE_SIZE_MAX,
    PageTokens,
    read_page_size,
)
from tests.builders.storage import OTHER, SHOP
from tests.fakes.key_provider import MemoryKeyProvider

RPC = "ListCardTokens"
TOKENS = PageTokens(MemoryKeyProvider())
LAST = "card_bcdfghjklmnpqrstvwxzbcdfghjklmn"


def a_request(**changes):
    values = {"merchant": SHOP, "customer_reference": "customer-1"}
    return vault_service_pb2.ListCardTokensRequest(**values | changes)


def a_token(request=None, rpc=RPC, last=LAST):
    return TOKENS.show(rpc, request or a_request(), last)


def refused(request, rpc=RPC):
    with pytest.raises(RequestInvalid) as caught:
        TOKENS.read(rpc, request)
    return caught.value.field


class TestPageSize:
    @pytest.mark.parametrize(
        ("asked", "given"),
        [
            (0, PAGE_SIZE_DEFAULT),
            (1, 1),
            (PAGE_SIZE_MAX, PAGE_SIZE_MAX),
            (PAGE_SIZE_MAX + 1, PAGE_SIZE_MAX),
            (2**31 - 1, PAGE_SIZE_MAX),
        ],
    )
    def test_is_bounded(self, asked, given):
        assert read_page_size(asked) == given

    @pytest.mark.parametrize("size", [-1, -(2**31)])
    def test_is_refused_when_negative(self, size):
        with pytest.raises(RequestInvalid) as caught:
            read_page_size(size)
        assert caught.value.field == "page_size"


class TestPageToken:
    def test_goes_on_after_the_last_item(self):
        request = a_request(page_token=a_token(), page_size=7)

        assert TOKENS.read(RPC, request) == LAST

    def test_goes_on_in_a_page_of_another_size(self):
        token = a_token(a_request(page_size=3, page_token=a_token()))

        assert TOKENS.read(RPC, a_request(page_token=token)) == LAST

    @pytest.mark.parametrize(
        ("changes", "rpc"),
        [
            ({"merchant": OTHER}, RPC),
            ({"customer_reference": "customer-2"}, RPC),
            ({"customer_reference": ""}, RPC),
            ({"last_four": "4242"}, RPC),
            ({}, "ListPayments"),
        ],
    )
    def test_is_refused_for_another_list(self, changes, rpc):
        """covers: I9."""
        request = a_request(page_token=a_token(), **changes)

        assert refused(request, rpc) == "page_token"

    def test_is_refused_under_another_key(self):
        foreign = PageTokens(MemoryKeyProvider(seed=b"other"))
        token = foreign.show(RPC, a_request(), LAST)

        assert refused(a_request(page_token=token)) == "page_token"

    def test_is_refused_with_any_letter_changed(self):
        token = a_token()
        for place, letter in enumerate(token[:-1]):
            other = "A" if letter != "A" else "B"
            changed = token[:place] + other + token[place + 1 :]
            assert refused(a_request(page_token=changed)) == "page_token"

    @pytest.mark.parametrize(
        "token",
        [
            "A",
            "AAAA",
            "é",
            "=",
            a_token()[:10],
            a_token() * 30,
            "A" * 1025,
            " ",
            "\x00",
        ],
    )
    def test_is_refused_when_it_is_none(self, token):
        assert refused(a_request(page_token=token)) == "page_token"

    @given(st.text(alphabet=string.printable, max_size=80))
    def test_is_refused_whatever_somebody_makes_up(self, text):
        if text:
            assert refused(a_request(page_token=text)) == "page_token"

    def test_is_none_for_no_place(self):
        assert a_token(last="") == ""

    @given(st.text(alphabet=string.printable, min_size=1, max_size=60))
    def test_carries_any_name(self, name):
        token = a_token(last=name)

        assert TOKENS.read(RPC, a_request(page_token=token)) == name
