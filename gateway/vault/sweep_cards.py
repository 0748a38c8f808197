"""Erasing cards that may not be kept any longer.

Invariants:
  * Only policy's time counts: a clock that jumps ahead sweeps nothing early.
  * At most one card in a hundred goes in a day by itself; when more are due, nothing
    goes until a person has looked: a wrong clock or policy must not empty a vault.
  * A card that was used meanwhile stays: it is looked at again in the unit that erases.
  * Legal hold keeps payments and log entries; no hold keeps the keys of a card.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from gateway.audit.entry import Entry, EntryType
from gateway.policy.in_force import policy_in_force
from gateway.policy.policy_time import PolicyTime
from gateway.unit_of_work import Storage
from gateway.vault.delete_card_token import BackupHorizon
from gateway.vault.ports import VaultUnit
from gateway.vault.retention import retain_until
from gateway.words.clock import Clock
from gateway.words.identifiers import GATEWAY, CardTokenName, MerchantId
from gateway.words.lifecycles import CardState
from gateway.words.purposes import Purpose, Verb

CALLER: Final = "bailee retention"
RULE: Final = "retention-ended"
_SALT_BYTES: Final = 16
_PAGE: Final = 500
_DAY: Final = timedelta(days=1)
# One in a hundred, but one at least: a small vault must be swept, too.
_SHARE: Final = 100


class CardNumber(NamedTuple):
    """A card by its place in the database, whose it is, and its token."""

    place: int
    merchant: MerchantId
    token: CardTokenName


class CardsByNeed(Protocol):
    """Finds cards of every merchant."""

    async def cards_not_needed(
        self, since: datetime, *, after: int, limit: int
    ) -> Sequence[CardNumber]:
        """Returns active cards, by place, that were not needed since a time.

        ``after`` is the last place of the page before, or 0.
        """

    async def count_active_cards(self) -> int:
        """Returns how many cards can be used."""


class SweepStore(Protocol):
    """What sweeps took, in units of the GATEWAY scope."""

    def add(self, at: datetime, cards: int) -> None:
        """Notes a sweep of so many cards."""

    def cards_since(self, since: datetime) -> int:
        """Returns how many cards the sweeps since a time took."""


class SweepUnit(VaultUnit, Protocol):
    """The slice of the unit of work that sweeps use."""

    @property
    def sweeps(self) -> SweepStore:
        """What sweeps took."""


class SweepingStorage(Storage[SweepUnit], Protocol):
    """Storage that notes sweeps and can remove erased bytes from its files."""

    async def purge(self) -> None:
        """Returns when erased bytes are in no file of the database."""


class DueCard(NamedTuple):
    """A card that may not be kept any longer, and since when."""

    card: CardNumber
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What a look at every card found, and what was done.

    Attributes:
        due: Cards that may not be kept any longer.
        overdue: How many of them were due more than a day ago.
        erased: How many of them went.
        active: How many cards there were.
        asks: More were due than may go in a day: a person must confirm.
    """

    due: tuple[DueCard, ...]
    overdue: int
    erased: int
    active: int
    asks: bool


class SweepCards:
    """Looks at every card and erases what is due."""

    def __init__(
        self,
        *,
        storage: SweepingStorage,
        cards: CardsByNeed,
        backups: BackupHorizon,
        policy_time: PolicyTime,
        clock: Clock,
    ) -> None:
        self._storage = storage
        self._cards = cards
        self._backups = backups
        self._policy_time = policy_time
        self._clock = clock

    async def look(self) -> Sweep:
        """Returns what is due; changes nothing.

        Raises:
            StorageUnavailable: The database did not answer.
        """
        now = self._policy_time.at(self._clock.now())
        active = await self._cards.count_active_cards()
        due = await self._find_due(now)
        swept = await self._storage.read(
            GATEWAY, lambda unit: unit.sweeps.cards_since(now - _DAY)
        )
        asks = swept + len(due) > max(1, active // _SHARE)
        return Sweep(
            due=tuple(due),
            overdue=sum(1 for item in due if item.since <= now - _DAY),
            erased=0,
            active=active,
            asks=bool(due) and asks,
        )

    async def run(self, *, confirmed: int | None = None) -> Sweep:
        """Erases what is due, unless it is too much for one day.

        Args:
            confirmed: A person looked and saw so many: if as many are due, they go.

        Raises:
            StorageUnavailable: Some may be erased already; run again.
        """
        found = await self.look()
        if not found.due or (found.asks and confirmed != len(found.due)):
            return found
        # Noted first: a crash must not give the rest of the day a fresh allowance.
        at, count = self._policy_time.at(self._clock.now()), len(found.due)
        await self._storage.commit(GATEWAY, lambda unit: unit.sweeps.add(at, count))
        erased = 0
        for item in found.due:
            erased += await self._erase(item.card)
        await self._storage.purge()
        return replace(found, erased=erased, asks=False)

    async def _find_due(self, now: datetime) -> list[DueCard]:
        due: list[DueCard] = []
        after = 0
        while page := await self._cards.cards_not_needed(now, after=after, limit=_PAGE):
            after = page[-1].place
            due.extend(await self._due_of(page, now))
        return due

    async def _due_of(self, page: Sequence[CardNumber], now: datetime) -> list[DueCard]:
        """Returns those of a page whose time is over under their merchant's policy."""
        due = []
        for merchant in dict.fromkeys(card.merchant for card in page):
            theirs = {card.token: card for card in page if card.merchant == merchant}

            def read(
                unit: VaultUnit, tokens: Sequence[CardTokenName] = tuple(theirs)
            ) -> Mapping[CardTokenName, datetime]:
                permissions = policy_in_force(unit).permissions
                found = unit.cards.find_many(tokens)
                return {
                    token: retain_until(card, permissions)
                    for token, card in found.items()
                }

            ends = await self._storage.read(merchant, read)
            due += [
                DueCard(theirs[token], end) for token, end in ends.items() if end <= now
            ]
        return due

    async def _erase(self, card: CardNumber) -> bool:
        now = self._clock.now()
        policy_now = self._policy_time.at(now)
        entry = Entry(
            type=EntryType.CARD_ERASED,
            merchant=card.merchant,
            at=now,
            caller=CALLER,
            action=Verb.ERASE.value,
            purpose=Purpose.ERASURE,
            rule=RULE,
            card=card.token,
            card_salt=os.urandom(_SALT_BYTES),
            effective_at=await self._backups.unrecoverable_at(now),
        )

        def erase(unit: VaultUnit) -> bool:
            stored = unit.cards.lock(card.token)
            if stored is None or stored.state is not CardState.ACTIVE:
                return False
            permissions = policy_in_force(unit).permissions
            if retain_until(stored, permissions) > policy_now:
                return False
            unit.log.append(entry)
            unit.cards.erase(card.token, now)
            return True

        return await self._storage.commit(card.merchant, erase)
