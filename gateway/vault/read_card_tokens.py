"""GetCardToken, BatchGetCardTokens, ListCardTokens: what tokens show.

Nothing here opens a card.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import CardTokenNotFound
from gateway.unit_of_work import Storage
from gateway.vault.ports import CardFilter, StoredCard, VaultUnit
from gateway.words.identifiers import CardTokenName, MerchantId, ProcessorAccountId


@dataclass(frozen=True, slots=True)
class CardView:
    """A card's row and the processor accounts that hold a reference to it."""

    card: StoredCard
    accounts: Sequence[ProcessorAccountId]


@dataclass(frozen=True, slots=True)
class CardPage:
    """Some of a list, and whether more follow."""

    views: Sequence[CardView]
    has_more: bool


class ReadCardTokens:
    """Describes tokens."""

    def __init__(self, *, storage: Storage[VaultUnit]) -> None:
        self._storage = storage

    async def get(self, merchant: MerchantId, token: CardTokenName) -> CardView:
        """Returns the token as it is now.

        Raises:
            CardTokenNotFound: No such token for this merchant.
        """

        def read(unit: VaultUnit) -> CardView | None:
            card = unit.cards.find(token)
            if card is None:
                return None
            references = unit.cards.references(token)
            return CardView(card, [reference.account_id for reference in references])

        found = await self._storage.read(merchant, read)
        if found is None:
            raise CardTokenNotFound
        return found

    async def get_many(
        self, merchant: MerchantId, tokens: Sequence[CardTokenName | None]
    ) -> Sequence[CardView | None]:
        """Returns each token in its place; None where the merchant has no such token.

        A name that cannot be a token's may be given as None.
        """

        def read(unit: VaultUnit) -> Sequence[CardView | None]:
            named = {token for token in tokens if token is not None}
            cards, holders = unit.cards.find_many(named), unit.cards.holders(named)
            views = {
                token: CardView(card, holders.get(token, ()))
                for token, card in cards.items()
            }
            return [None if token is None else views.get(token) for token in tokens]

        return await self._storage.read(merchant, read)

    async def list(
        self,
        merchant: MerchantId,
        wanted: CardFilter,
        *,
        after: CardTokenName | None,
        limit: int,
    ) -> CardPage:
        """Returns tokens that match, the newest first."""

        def read(unit: VaultUnit) -> CardPage:
            # One more than is shown says whether another page follows.
            found = unit.cards.list(wanted, after, limit + 1)
            shown = found[:limit]
            holders = unit.cards.holders([card.token for card in shown])
            views = [CardView(card, holders.get(card.token, ())) for card in shown]
            return CardPage(views, has_more=len(found) > limit)

        return await self._storage.read(merchant, read)
