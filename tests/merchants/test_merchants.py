"""MerchantService: merchants over gRPC, on a real database. covers: I9."""

import grpc
import pytest
from bailee.client import new_request_id
from bailee.errors import from_rpc_error
from bailee.v1 import merchant_pb2
from bailee.v1 import merchant_service_pb2 as pb

from gateway.audit.checkpoint import origin_of
from gateway.audit.verify import verify_log
from gateway.words.callers import Caller, Role
from tests.builders.gateway import running
from tests.builders.merchants import (
    LIVE,
    PLATFORM,
    TEST,
    create_merchant,
    entries_of,
    update_merchant,
)
from tests.builders.storage import OTHER, SHOP, VAULT


@pytest.fixture
async def site(tmp_path):
    async with running(tmp_path) as made:
        made.who.caller = PLATFORM
        yield made


async def refused(call, request):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(request)
    return from_rpc_error(caught.value, "")


class TestCreateMerchant:
    async def test_makes_a_merchant_with_a_log_of_its_own(self, site):
        request = create_merchant(
            "hats",
            display_name="Hats & Co",
            environment=LIVE,
            settings=merchant_pb2.MerchantSettings(show_bin=True),
        )
        made = (await site.merchants.CreateMerchant(request)).merchant

        shown = await site.merchants.GetMerchant(pb.GetMerchantRequest(merchant="hats"))
        assert shown.merchant == made
        assert (made.name, made.display_name) == ("hats", "Hats & Co")
        assert made.state == merchant_pb2.Merchant.STATE_ACTIVE
        assert made.environment == LIVE
        assert made.settings.show_bin
        assert made.log_origin == origin_of(VAULT, "hats", 1)
        types = [entry["type"] for entry in entries_of(site.storage, "hats")]
        assert types == ["log.started", "merchant.created"]

    async def test_gives_a_log_that_verifies(self, site):
        await site.merchants.CreateMerchant(create_merchant("hats"))

        log = site.storage.stored_log("hats")
        key = site.keys.log_public_key
        assert verify_log(log, origin=log.origin, public_key=key).size == 2

    async def test_answers_the_same_request_with_the_same_merchant(self, site):
        request = create_merchant("hats")
        first = await site.merchants.CreateMerchant(request)
        again = await site.merchants.CreateMerchant(request)
        request.display_name = "Other"
        error = await refused(site.merchants.CreateMerchant, request)

        assert (first.replayed, again.replayed) == (False, True)
        assert again.merchant == first.merchant
        assert error.reason == "REQUEST_ID_REUSED"
        assert len(entries_of(site.storage, "hats")) == 2

    async def test_refuses_an_id_that_is_taken(self, site):
        before = entries_of(site.storage)

        error = await refused(site.merchants.CreateMerchant, create_merchant(SHOP))

        assert error.reason == "STATE_CONFLICT"
        assert entries_of(site.storage) == before

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"merchant": "X"}, "merchant"),
            ({"merchant": "gateway"}, "merchant"),
            ({"request_id": "1"}, "request_id"),
            ({"environment": 0}, "environment"),
            ({"environment": 9}, "environment"),
            ({"display_name": "4242424242424242"}, "display_name"),
            ({"display_name": "x" * 101}, "display_name"),
            (
                {
                    "settings": merchant_pb2.MerchantSettings(
                        show_bin=True, show_fingerprint=True
                    )
                },
                "settings.show_fingerprint",
            ),
        ],
    )
    async def test_refuses_wrong_fields(self, site, changes, field):
        values = {"merchant": "hats"} | changes

        error = await refused(site.merchants.CreateMerchant, create_merchant(**values))

        assert error.reason == "REQUEST_INVALID"
        assert error.violations[0].field == field

    async def test_takes_no_merchant_the_caller_does_not_act_for(self, site):
        site.who.caller = Caller("spiffe://v/p", frozenset(Role), frozenset({SHOP}))

        error = await refused(site.merchants.CreateMerchant, create_merchant("hats"))

        assert error.reason == "MERCHANT_NOT_FOUND"


class TestUpdateMerchant:
    async def test_changes_what_is_sent_and_nothing_else(self, site):
        await site.merchants.UpdateMerchant(
            update_merchant(display_name="Shop", show_fingerprint=True)
        )
        done = await site.merchants.UpdateMerchant(update_merchant(display_name=""))

        assert done.merchant.display_name == ""
        assert done.merchant.settings.show_fingerprint
        assert not done.merchant.settings.show_bin
        assert entries_of(site.storage)[-1]["outcome"] == "SHOWS_FINGERPRINT"

    @pytest.mark.parametrize("first", ["show_bin", "show_fingerprint"])
    async def test_never_shows_both_however_they_are_switched_on(self, site, first):
        second = {"show_bin", "show_fingerprint"} - {first}
        await site.merchants.UpdateMerchant(update_merchant(**{first: True}))

        error = await refused(
            site.merchants.UpdateMerchant,
            update_merchant(**dict.fromkeys(second, True)),
        )

        assert error.reason == "REQUEST_INVALID"
        both = {first: False} | dict.fromkeys(second, True)
        done = await site.merchants.UpdateMerchant(update_merchant(**both))
        assert getattr(done.merchant.settings, *second)

    async def test_does_not_know_a_merchant_that_was_never_made(self, site):
        error = await refused(
            site.merchants.UpdateMerchant, update_merchant(merchant="nobody")
        )

        assert error.reason == "MERCHANT_NOT_FOUND"


class TestListMerchants:
    async def names(self, site, **changes):
        """Returns the names of every page, a list a page."""
        pages, token = [], ""
        while True:
            answer = await site.merchants.ListMerchants(
                pb.ListMerchantsRequest(page_token=token, **changes)
            )
            pages.append([merchant.name for merchant in answer.merchants])
            token = answer.next_page_token
            if not token:
                return pages

    async def test_lists_every_merchant_in_pages(self, site):
        for name in ("aaa", "bbb", "zzz"):
            await site.merchants.CreateMerchant(create_merchant(name))

        pages = await self.names(site, page_size=2)

        assert pages == [["aaa", "bbb"], [OTHER, SHOP], ["zzz"]]
        assert await self.names(site) == [["aaa", "bbb", OTHER, SHOP, "zzz"]]

    async def test_shows_only_those_the_caller_acts_for(self, site):
        """covers: I9."""
        for name in ("aaa", "bbb"):
            await site.merchants.CreateMerchant(create_merchant(name))
        some = frozenset({SHOP, "bbb", "nobody"})
        site.who.caller = Caller("spiffe://v/p", frozenset(Role), some)

        assert await self.names(site) == [["bbb", SHOP]]
        assert await self.names(site, page_size=1) == [["bbb"], [SHOP]]

    async def test_refuses_a_made_up_page_token(self, site):
        request = pb.ListMerchantsRequest(page_token="aGF0cw==")

        error = await refused(site.merchants.ListMerchants, request)

        assert error.violations[0].field == "page_token"


class TestThousandsOfMerchants:
    async def test_one_platform_caller_serves_them_without_a_list(self, site):
        """Its row names no merchant, so that a new one needs no change of it."""
        made = [f"tenant-{number:04}" for number in range(1000)]
        for name in made:
            await site.merchants.CreateMerchant(create_merchant(name))

        assert site.who.caller.merchants is None
        names = await TestListMerchants().names(site, page_size=200)
        assert [name for page in names for name in page] == [OTHER, SHOP, *made]
        request = update_merchant(
            merchant="tenant-0999", request_id=new_request_id(), display_name="Last"
        )
        done = await site.merchants.UpdateMerchant(request)
        assert (done.merchant.display_name, done.merchant.environment) == ("Last", TEST)
