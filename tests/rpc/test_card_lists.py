"""BatchGetCardTokens and ListCardTokens over gRPC."""

import pytest
from bailee.v1 import card_pb2, vault_service_pb2

from gateway.words.identifiers import new_name
from tests.builders.calls import NUMBER, plain, refused, tokenize
from tests.builders.gateway import running
from tests.builders.storage import OTHER, SHOP


@pytest.fixture
async def site(tmp_path):
    async with running(tmp_path, accept_plain_cards=True) as made:
        yield made


async def a_token(site, **changes):
    answer = await site.vault.TokenizeCard(tokenize(plain(), **changes))
    return answer.card_token.name


def batch(names, merchant=SHOP):
    return vault_service_pb2.BatchGetCardTokensRequest(
        merchant=merchant, card_tokens=names
    )


def listing(**fields):
    values = {"merchant": SHOP}
    return vault_service_pb2.ListCardTokensRequest(**values | fields)


class TestBatchGetCardTokens:
    async def test_answers_each_name_in_its_place(self, site):
        token, foreign = await a_token(site), await a_token(site, merchant=OTHER)
        names = [new_name("card"), token, "card_x", foreign, NUMBER, "", token]

        answer = await site.vault.BatchGetCardTokens(batch(names))

        kinds = [result.WhichOneof("result") for result in answer.results]
        assert kinds == [
            *("error", "card_token", "error", "error", "error", "error"),
            "card_token",
        ]
        errors = {
            result.error.SerializeToString(deterministic=True)
            for result in answer.results
            if result.HasField("error")
        }
        assert len(errors) == 1  # another merchant's looks like none (I9)
        assert answer.results[0].error.reason == "CARD_TOKEN_NOT_FOUND"
        assert answer.results[0].error.code == 5
        single = await site.vault.GetCardToken(
            vault_service_pb2.GetCardTokenRequest(merchant=SHOP, card_token=token)
        )
        assert answer.results[1].card_token == single.card_token
        assert NUMBER not in str(answer)

    async def test_takes_a_thousand(self, site):
        token = await a_token(site)

        answer = await site.vault.BatchGetCardTokens(batch([token] * 1000))

        assert {result.card_token.name for result in answer.results} == {token}
        assert len(answer.results) == 1000

    @pytest.mark.parametrize("names", [[], ["card_x"] * 1001])
    async def test_refuses_none_and_too_many(self, site, names):
        error = await refused(site.vault.BatchGetCardTokens, batch(names))

        assert error.reason == "REQUEST_INVALID"
        assert error.violations[0].field == "card_tokens"

    async def test_does_not_know_another_merchant(self, site):
        error = await refused(
            site.vault.BatchGetCardTokens, batch(["card_x"], merchant="nobody")
        )

        assert error.reason == "MERCHANT_NOT_FOUND"


class TestListCardTokens:
    async def test_pages_through_all_of_a_customer(self, site):
        made = [await a_token(site, customer_reference="c-1") for _ in range(5)]
        await a_token(site, customer_reference="c-2")
        await a_token(site, customer_reference="c-1", merchant=OTHER)
        seen, pages, token = [], 0, ""
        while pages == 0 or token:
            answer = await site.vault.ListCardTokens(
                listing(customer_reference="c-1", page_size=2, page_token=token)
            )
            seen += [card.name for card in answer.card_tokens]
            pages, token = pages + 1, answer.next_page_token
            await a_token(site, customer_reference="c-1")  # shifts nothing

        assert (seen, pages) == (made[::-1], 3)

    async def test_filters_by_state_and_digits(self, site):
        kept, gone = await a_token(site), await a_token(site)
        await site.vault.DeleteCardToken(
            vault_service_pb2.DeleteCardTokenRequest(
                merchant=SHOP, request_id=tokenize(None).request_id, card_token=gone
            )
        )

        async def names(**filters):
            answer = await site.vault.ListCardTokens(listing(**filters))
            return [card.name for card in answer.card_tokens]

        assert await names() == [gone, kept]
        assert await names(state=card_pb2.CardToken.STATE_ACTIVE) == [kept]
        assert await names(state=card_pb2.CardToken.STATE_ERASED) == [gone]
        assert await names(last_four="4242") == [kept]
        assert await names(last_four="0000") == []

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"page_size": -1}, "page_size"),
            ({"page_token": "x"}, "page_token"),
            ({"state": 99}, "state"),
            ({"last_four": "424"}, "last_four"),
            ({"last_four": "42424"}, "last_four"),
            ({"last_four": "４２４２"}, "last_four"),
            ({"last_four": NUMBER}, "last_four"),
            ({"customer_reference": NUMBER}, "customer_reference"),
            ({"customer_reference": "x" * 256}, "customer_reference"),
        ],
    )
    async def test_refuses_wrong_fields(self, site, fields, field):
        error = await refused(site.vault.ListCardTokens, listing(**fields))

        assert (error.reason, error.violations[0].field) == ("REQUEST_INVALID", field)
        assert NUMBER not in str(error)

    async def test_refuses_a_page_of_another_merchant_or_filter(self, site):
        """covers: I9."""
        for _ in range(2):
            await a_token(site)
        answer = await site.vault.ListCardTokens(listing(page_size=1))
        token = answer.next_page_token
        assert token
        for fields in ({"merchant": OTHER}, {"last_four": "4242"}):
            error = await refused(
                site.vault.ListCardTokens, listing(page_token=token, **fields)
            )
            assert error.violations[0].field == "page_token"
