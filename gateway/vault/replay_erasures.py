"""Erasing again what was erased after a backup was made (I10)."""

import os
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from gateway.audit.entry import Entry, EntryType
from gateway.unit_of_work import Storage
from gateway.vault.ports import VaultUnit
from gateway.words.clock import Clock
from gateway.words.identifiers import CardTokenName, MerchantId
from gateway.words.lifecycles import CardState
from gateway.words.purposes import Purpose, Verb

RESTORE: Final = "bailee restore"
_SALT_BYTES: Final = 16


class ReplayErasures:
    """Works on a restored database before anybody serves it. May be repeated."""

    def __init__(self, *, storage: Storage[VaultUnit], clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    async def execute(
        self, erasures: Iterable[tuple[MerchantId, CardTokenName]]
    ) -> int:
        """Erases those cards that the database still holds; returns how many."""
        count = 0
        for merchant, token in erasures:
            count += await self._erase(merchant, token, self._clock.now())
        return count

    async def _erase(
        self, merchant: MerchantId, token: CardTokenName, now: datetime
    ) -> bool:
        entry = Entry(
            type=EntryType.CARD_ERASED,
            merchant=merchant,
            at=now,
            caller=RESTORE,
            action=Verb.ERASE.value,
            purpose=Purpose.ERASURE,
            card=token,
            card_salt=os.urandom(_SALT_BYTES),
        )

        def erase(unit: VaultUnit) -> bool:
            card = unit.cards.lock(token)
            if card is None or card.state is CardState.ERASED:
                return False
            unit.log.append(entry)
            unit.cards.erase(token, now)
            return True

        return await self._storage.commit(merchant, erase)
