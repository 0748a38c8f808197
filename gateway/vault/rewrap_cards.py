"""Moving the wrapped copies of cards' keys to the wrapping keys of a newer epoch.

Invariants:
  * A copy moves to a wrapping key of its own purpose: a purpose that was not granted
    gets no copy (I3). No card is opened.
  * What was erased or replaced meanwhile does not come back (I10).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from gateway.errors import IntegrityViolation
from gateway.keys.hierarchy import KeyHierarchy
from gateway.unit_of_work import Storage
from gateway.vault import envelope
from gateway.vault.ports import (
    CardsUnderEpoch,
    CardUnder,
    RewrapUnit,
    StoredCard,
    WrappedDataKey,
)
from gateway.words.identifiers import CardTokenName, MerchantId

# Some two milliseconds of cryptography between two turns of the event loop.
_CARDS_AT_ONCE: Final = 16

_Move = tuple[CardTokenName, WrappedDataKey, WrappedDataKey]


class RewrapCards:
    """See gateway.keys.ports.Rewrap; for the card and reference keys of cards."""

    def __init__(
        self,
        *,
        storage: Storage[RewrapUnit],
        cards: CardsUnderEpoch,
        hierarchy: KeyHierarchy,
        vault_id: str,
    ) -> None:
        self._storage = storage
        self._cards = cards
        self._hierarchy = hierarchy
        self._vault_id = vault_id

    async def move(self, epoch: str, moved: Callable[[int], Awaitable[None]]) -> int:
        """See Rewrap.move."""
        after, total = 0, 0
        while found := await self._cards.cards_under(
            epoch, after=after, limit=_CARDS_AT_ONCE
        ):
            after = found[-1].number
            for merchant, cards in groupby(found, key=_merchant_of):
                tokens = [card.token for card in cards]
                count = await self._move(epoch, merchant, tokens)
                total += count
                await moved(count)
        return total

    async def _move(
        self, epoch: str, merchant: MerchantId, tokens: Sequence[CardTokenName]
    ) -> int:
        def read(unit: RewrapUnit) -> list[tuple[StoredCard, WrappedDataKey]]:
            found = ((unit.cards.find(token), token) for token in tokens)
            return [
                (card, copy)
                for card, token in found
                if card is not None
                for copy in unit.cards.keys(token)
                if _is_of(unit, copy, epoch)
            ]

        moves: list[_Move] = []
        for card, copy in await self._storage.read(merchant, read):
            fresh = await self._rewrap(merchant, card, copy)
            moves.append((card.token, copy, fresh))

        def store(unit: RewrapUnit) -> int:
            return sum(unit.data_keys.rewrap(*move) for move in moves)

        return await self._storage.commit(merchant, store)

    async def _rewrap(
        self, merchant: MerchantId, card: StoredCard, copy: WrappedDataKey
    ) -> WrappedDataKey:
        """Returns the copy under the newest wrapping key of its purpose.

        Raises:
            IntegrityViolation: It does not open, or its row names another purpose than
                it was wrapped for: moving it would grant that purpose.
        """
        old = await self._hierarchy.wrapping_key_by_id(merchant, copy.wrapping_key_id)
        if old.purpose is not copy.purpose:
            raise IntegrityViolation(metadata={"card_token": card.token})
        newest = await self._hierarchy.wrapping_key(merchant, copy.purpose)
        context = envelope.data_key_context(self._vault_id, merchant, card, copy.kind)
        data_key = old.unwrap(copy.wrapped, context)
        return replace(
            copy,
            wrapping_key_id=newest.key_id,
            wrapped=newest.wrap(data_key, context),
        )


def _is_of(unit: RewrapUnit, copy: WrappedDataKey, epoch: str) -> bool:
    key = unit.keys.find(copy.wrapping_key_id)
    return key is not None and key.epoch == epoch


def _merchant_of(card: CardUnder) -> MerchantId:
    return card.merchant
