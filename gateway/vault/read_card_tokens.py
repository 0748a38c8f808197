"""GetCardToken: what a token shows. Nothing here opens a card."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import CardTokenNotFound
from gateway.unit_of_work import Storage
from gateway.vault.ports import StoredCard, VaultUnit
from gateway.words.identifiers import CardTokenName, MerchantId, ProcessorAccountId


@dataclass(frozen=True, slots=True)
class CardView:
    """A card's row and the processor accounts that hold a reference to it."""

    card: StoredCard
    accounts: Sequence[ProcessorAccountId]


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
