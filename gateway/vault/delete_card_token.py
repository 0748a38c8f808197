"""DeleteCardToken: every wrapped copy of the card's keys is destroyed (I10)."""

import os
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.audit.entry import Entry, EntryType
from gateway.audit.leaf import effective_time
from gateway.audit.ports import Appended, Receipt
from gateway.errors import CardTokenNotFound, RequestIdReused
from gateway.idempotency.claims import Repeated, Reused, claim
from gateway.idempotency.ports import RequestRecord
from gateway.unit_of_work import Storage
from gateway.vault.ports import StoredCard, VaultUnit
from gateway.words.clock import Clock
from gateway.words.identifiers import CardTokenName, MerchantId, RequestId
from gateway.words.purposes import Purpose, Verb

RPC = "DeleteCardToken"
_SALT_BYTES = 16


class PurgeableStorage(Storage[VaultUnit], Protocol):
    """Storage that can remove erased bytes from its files."""

    async def purge(self) -> None:
        """Returns when erased bytes are in no file of the database."""


class BackupHorizon(Protocol):
    """Knows how long backups can open what is erased now."""

    async def unrecoverable_at(self, now: datetime) -> datetime | None:
        """Returns the time after which none can; None if there is no such time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteCardTokenCommand:
    """A request to erase a card."""

    merchant: MerchantId
    caller: str
    request_id: RequestId
    digest: bytes
    token: CardTokenName


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What is left of the card.

    ``unrecoverable_at`` is when no backup opens it either, as the receipt says.
    """

    card: StoredCard
    receipt: Receipt
    replayed: bool
    unrecoverable_at: datetime | None


class DeleteCardToken:
    """Erases a card. Erasing an erased card changes nothing and is not an error."""

    def __init__(
        self, *, storage: PurgeableStorage, backups: BackupHorizon, clock: Clock
    ) -> None:
        self._storage = storage
        self._backups = backups
        self._clock = clock

    async def execute(self, command: DeleteCardTokenCommand) -> Deleted:
        """Returns the emptied card.

        Raises:
            CardTokenNotFound: No such token for this merchant.
            RequestIdReused: The request id came before with another request.
        """
        now = self._clock.now()
        entry = Entry(
            type=EntryType.CARD_ERASED,
            merchant=command.merchant,
            at=now,
            caller=command.caller,
            request_id=command.request_id,
            action=Verb.ERASE.value,
            purpose=Purpose.ERASURE,
            card=command.token,
            card_salt=os.urandom(_SALT_BYTES),
            effective_at=await self._backups.unrecoverable_at(now),
        )

        def erase(unit: VaultUnit) -> Appended | Repeated | Reused:
            earlier = claim(unit.requests, RPC, command.request_id, command.digest)
            if earlier is not None:
                return earlier
            if unit.cards.lock(command.token) is None:
                raise CardTokenNotFound
            appended = unit.log.append(entry)
            unit.cards.erase(command.token, now)
            unit.requests.add(
                RequestRecord(
                    rpc=RPC,
                    request_id=command.request_id,
                    digest=command.digest,
                    resource=command.token,
                    entry_index=appended.index,
                    created_at=now,
                )
            )
            return appended

        done = await self._storage.commit(command.merchant, erase)
        if isinstance(done, Reused):
            raise RequestIdReused
        await self._storage.purge()
        receipt = None if isinstance(done, Repeated) else done.receipt()
        return await self._describe(command, done, receipt)

    async def _describe(
        self,
        command: DeleteCardTokenCommand,
        done: Appended | Repeated,
        receipt: Receipt | None,
    ) -> Deleted:
        index = done.record.entry_index if isinstance(done, Repeated) else done.index

        def read(unit: VaultUnit) -> tuple[StoredCard | None, Receipt]:
            card = unit.cards.find(command.token)
            return card, receipt or unit.log.receipt(index)

        card, shown = await self._storage.read(command.merchant, read)
        if card is None:
            raise CardTokenNotFound
        return Deleted(
            card=card,
            receipt=shown,
            replayed=isinstance(done, Repeated),
            unrecoverable_at=effective_time(shown.entry),
        )
