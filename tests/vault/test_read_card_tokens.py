"""GetCardToken shows what a token is, to its own merchant alone."""

import pytest

from gateway.errors import CardTokenNotFound
from gateway.vault.ports import SealedReference
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
