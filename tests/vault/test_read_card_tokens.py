"""What tokens show, to their own merchant alone."""

import pytest

from gateway.errors import CardTokenNotFound
from gateway.vault.ports import CardFilter, SealedReference
from gateway.words.identifiers import MerchantId, new_name
from tests.builders.storage import OTHER, SHOP
from tests.builders.vault import an_account


class TestReadCardTokens:
    async def test_returns_the_card_and_the_accounts_that_know_it(self, vault):
        card = await vault.tokenize()
        reference = SealedReference(
            account_id=an_account().account_id, generation=1, sealed=b"sealed"
        )
        await vault.storage.commit(
            SHOP, lambda unit: unit.cards.put_reference(card.token, reference)
        )

        view = await vault.read_card_tokens.get(SHOP, card.token)

        assert view.card == card
        assert view.accounts == [an_account().account_id]

    @pytest.mark.parametrize("merchant", [OTHER, MerchantId("nobody")])
    async def test_another_merchants_token_looks_like_none(self, vault, merchant):
        """covers: I9."""
        card = await vault.tokenize()
        errors = []
        for token in (card.token, new_name("card")):
            with pytest.raises(CardTokenNotFound) as caught:
                await vault.read_card_tokens.get(merchant, token)
            errors.append((str(caught.value), caught.value.metadata))

        assert errors[0] == errors[1]


class TestManyTokens:
    async def test_come_in_the_order_of_their_names(self, vault):
        cards = [await vault.tokenize() for _ in range(3)]
        foreign = await vault.tokenize(merchant=OTHER)
        names = [cards[2].token, None, foreign.token, cards[0].token, cards[2].token]

        views = await vault.read_card_tokens.get_many(SHOP, names)

        shown = [view.card if view else None for view in views]
        assert shown == [cards[2], None, None, cards[0], cards[2]]

    async def test_name_the_accounts_that_know_them(self, vault):
        cards = [await vault.tokenize() for _ in range(2)]
        reference = SealedReference(
            account_id=an_account().account_id, generation=1, sealed=b"sealed"
        )
        await vault.storage.commit(
            SHOP, lambda unit: unit.cards.put_reference(cards[0].token, reference)
        )

        views = await vault.read_card_tokens.get_many(
            SHOP, [card.token for card in cards]
        )

        assert [list(view.accounts) for view in views] == [["simulator"], []]


class TestListOfTokens:
    async def walk(self, vault, size, **filters):
        """Returns every token of a list, page by page, and the pages' lengths."""
        tokens, lengths = [], []
        while True:
            page = await vault.read_card_tokens.list(
                SHOP,
                CardFilter(**filters),
                after=tokens[-1] if tokens else None,
                limit=size,
            )
            tokens += [view.card.token for view in page.views]
            lengths.append(len(page.views))
            if not page.has_more:
                return tokens, lengths

    @pytest.mark.parametrize(
        ("size", "lengths"), [(1, [1] * 6), (4, [4, 2]), (6, [6]), (100, [6])]
    )
    async def test_shows_each_once(self, vault, size, lengths):
        made = [(await vault.tokenize()).token for _ in range(6)]
        await vault.tokenize(merchant=OTHER)

        assert await self.walk(vault, size) == (made[::-1], lengths)

    async def test_shows_what_matches(self, vault):
        mine = await vault.tokenize(customer_reference="customer-7")
        await vault.tokenize(customer_reference="customer-8")

        found = await self.walk(vault, 5, customer_reference="customer-7")

        assert found == ([mine.token], [1])
