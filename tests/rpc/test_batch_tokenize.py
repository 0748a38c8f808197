"""BatchTokenizeCards over gRPC."""

import grpc
import pytest
from bailee import Card, new_request_id
from bailee.v1 import card_pb2, purpose_pb2
from bailee.v1 import vault_service_pb2 as pb

from gateway.rpc.guard import LARGE_REQUEST_BYTES_MAX
from tests.builders.calls import NUMBER, YEAR, plain, refused
from tests.builders.gateway import running
from tests.builders.storage import OTHER, SHOP

RPC = "BatchTokenizeCards"


@pytest.fixture
async def site(tmp_path):
    async with running(tmp_path, accept_plain_cards=True) as made:
        yield made


def an_item(card=None, **changes):
    return pb.TokenizeCardItem(card=card or plain(), **changes)


def batch(items, **changes):
    values = {"merchant": SHOP, "request_id": new_request_id(), "items": items}
    return pb.BatchTokenizeCardsRequest(**values | changes)


def a_card(number=NUMBER):
    return Card(number=number, expiry_month=12, expiry_year=YEAR)


def sealed_together(site, count, **changes):
    request = batch([pb.TokenizeCardItem()] * count, **changes)
    request.sealed_batch.CopyFrom(
        site.sealer.seal_batch(
            [a_card()] * count, merchant=SHOP, rpc=RPC, request_id=request.request_id
        )
    )
    return request


def reasons(answer):
    return [
        result.error.reason or result.tokenized.card_token.last_four
        for result in answer.results
    ]


class TestBatchTokenizeCards:
    async def test_answers_each_item_in_its_place(self, site):
        mandate = purpose_pb2.Mandate(purposes=[purpose_pb2.PURPOSE_MARKETING])
        items = [
            an_item(),
            an_item(plain(number="4242424242424241")),
            an_item(plain(expiry_year=2020)),
            an_item(mandate=mandate),
            an_item(customer_reference=NUMBER),
            an_item(card_pb2.CardInput()),
            an_item(plain(number="5555555555554444"), customer_reference="c-1"),
        ]

        answer = await site.vault.BatchTokenizeCards(batch(items))

        assert reasons(answer) == [
            *("4242", "CARD_INVALID", "CARD_EXPIRED", "REQUEST_INVALID"),
            *("REQUEST_INVALID", "REQUEST_INVALID", "4444"),
        ]
        assert [r.error.field for r in answer.results[1:6]] == [
            *("card.number", "card.expiry_year", "mandate.purposes"),
            *("customer_reference", "card"),
        ]
        assert answer.results[6].tokenized.card_token.customer_reference == "c-1"
        assert NUMBER not in str(answer)

    async def test_takes_a_thousand_cards_in_one_envelope(self, site):
        request = sealed_together(site, 1000)

        answer = await site.vault.BatchTokenizeCards(request)

        tokens = {result.tokenized.card_token.name for result in answer.results}
        assert len(tokens) == 1000
        again = await site.vault.BatchTokenizeCards(request)
        assert [r.tokenized.card_token for r in again.results] == [
            r.tokenized.card_token for r in answer.results
        ]
        assert all(result.tokenized.replayed for result in again.results)

    async def test_takes_an_envelope_for_each_item(self, site):
        request = batch([])
        for place in range(3):
            sealed = site.sealer.seal_card(
                a_card(),
                merchant=SHOP,
                rpc=RPC,
                request_id=request.request_id,
                item=place if place < 2 else 0,
            )
            request.items.add().card.sealed.CopyFrom(sealed)

        answer = await site.vault.BatchTokenizeCards(request)

        assert reasons(answer) == ["4242", "4242", "SEALED_CARD_REJECTED"]

    @pytest.mark.parametrize("count", [0, 1001])
    async def test_refuses_none_and_too_many(self, site, count):
        error = await refused(
            site.vault.BatchTokenizeCards, batch([pb.TokenizeCardItem()] * count)
        )

        assert (error.reason, error.violations[0].field) == ("REQUEST_INVALID", "items")

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"merchant": "nobody"}, "MERCHANT_NOT_FOUND"),
            ({"request_id": "x"}, "REQUEST_INVALID"),
            ({"sealed_batch": card_pb2.SealedBatch(key_id="k")}, "REQUEST_INVALID"),
            (
                {"sealed_batch": card_pb2.SealedBatch(ciphertext=b"k")},
                "REQUEST_INVALID",
            ),
        ],
    )
    async def test_refuses_wrong_fields(self, site, changes, reason):
        error = await refused(
            site.vault.BatchTokenizeCards, batch([pb.TokenizeCardItem()], **changes)
        )

        assert error.reason == reason

    async def test_refuses_a_card_that_comes_twice(self, site):
        request = sealed_together(site, 2)
        request.items[1].card.CopyFrom(plain())

        answer = await site.vault.BatchTokenizeCards(request)

        assert reasons(answer) == ["4242", "REQUEST_INVALID"]

    async def test_takes_a_security_code_out_of_what_tells_requests_apart(self, site):
        """covers: I4."""
        request = batch([an_item(plain(security_code="123"))])
        first = await site.vault.BatchTokenizeCards(request)
        request.items[0].card.plain.security_code = "456"

        again = await site.vault.BatchTokenizeCards(request)

        assert again.results[0].tokenized.replayed
        assert (
            again.results[0].tokenized.card_token
            == first.results[0].tokenized.card_token
        )

    async def test_tells_items_apart_by_all_that_they_share(self, site):
        request = sealed_together(site, 1)
        await site.vault.BatchTokenizeCards(request)
        other = sealed_together(site, 1, request_id=request.request_id)

        answer = await site.vault.BatchTokenizeCards(other)

        assert reasons(answer) == ["REQUEST_ID_REUSED"]

    async def test_merchants_do_not_share_request_ids(self, site):
        """covers: I9."""
        request = batch([an_item()])
        await site.vault.BatchTokenizeCards(request)
        request.merchant = OTHER

        answer = await site.vault.BatchTokenizeCards(request)

        assert not answer.results[0].tokenized.replayed

    async def test_refuses_a_message_that_is_too_long(self, site):
        long = an_item(customer_reference="x" * 4000)
        fits = LARGE_REQUEST_BYTES_MAX // long.ByteSize()

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await site.vault.BatchTokenizeCards(batch([long] * (fits + 1)))

        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
