"""The gateway's own log: starts, stops, and every minute a leaf over all logs.

The leaf commits to the newest checkpoint of every merchant's log. Whoever sees the
operator log, a public witness for one, sees how many logs there are and nothing of
them; a merchant gets a proof that its own checkpoint is under the leaf. So two readers
of one merchant's log cannot be shown different logs without two operator logs.

Invariants:
  * What is under the leaf is an RFC 6962 tree whose leaves are ``salt || checkpoint``:
    the checkpoint's text as it is signed, after 32 fresh random bytes. Without the salt
    nobody can guess a merchant from it.
  * The salts live in memory until the next leaf, and nowhere else.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.audit.denials import DenialUnit, fold_denials, minute_of
from gateway.audit.entry import Entry, EntryType
from gateway.audit.ports import Receipt
from gateway.audit.tree import EMPTY, find_among, grow, inclusion_path, leaf_hash
from gateway.unit_of_work import Storage
from gateway.words.clock import Clock
from gateway.words.identifiers import GATEWAY, MerchantId

CALLER: Final = "gateway"
_SALT_BYTES: Final = 32


class LogOwners(Protocol):
    """Knows every merchant."""

    async def all(self) -> Sequence[MerchantId]:
        """Returns the merchants, in a fixed order.

        Raises:
            StorageUnavailable: The database did not answer.
        """


@dataclass(frozen=True, slots=True)
class Commitment:
    """Proof that a merchant's checkpoint was committed to in the operator log."""

    checkpoint_text: str
    salt: bytes = field(repr=False)
    index: int
    count: int
    path: Sequence[bytes]
    receipt: Receipt


class OperatorLog:
    """Writes the log of the gateway itself."""

    def __init__(
        self, *, storage: Storage[DenialUnit], owners: LogOwners, clock: Clock
    ) -> None:
        self._storage = storage
        self._owners = owners
        self._clock = clock
        self._newest: dict[MerchantId, Commitment] = {}

    async def note_start(self, instance: str) -> None:
        """Leaves an entry that this process begins to serve."""
        await self._append(EntryType.GATEWAY_STARTED, subject=instance)

    async def note_stop(self, instance: str) -> None:
        """Leaves an entry that this process stopped serving, of its own will."""
        await self._append(EntryType.GATEWAY_STOPPED, subject=instance)

    def commitment(self, merchant: MerchantId) -> Commitment | None:
        """Returns the newest proof for a merchant; None before the first leaf."""
        return self._newest.get(merchant)

    async def commit_checkpoints(self) -> None:
        """Appends the leaf of this minute, and the denials that were only counted.

        Raises:
            StorageUnavailable: The database did not answer.
        """
        merchants = await self._owners.all()
        texts = []
        for merchant in merchants:
            await self._fold(merchant)
            note = await self._storage.read(
                merchant, lambda unit: unit.log.committed().checkpoint()
            )
            texts.append(note.partition("\n\n")[0] + "\n")
        if not texts:
            return
        salts = [os.urandom(_SALT_BYTES) for _ in texts]
        hashes = [
            leaf_hash(salt + text.encode())
            for salt, text in zip(salts, texts, strict=True)
        ]
        growth = grow(EMPTY, hashes)
        root = growth.frontier.root().hex()
        receipt = await self._append(
            EntryType.LOGS_COMMITTED, subject=root, count=len(texts)
        )
        node = find_among(EMPTY, growth.nodes)
        self._newest = {
            merchant: Commitment(
                checkpoint_text=texts[index],
                salt=salts[index],
                index=index,
                count=len(texts),
                path=inclusion_path(index, len(texts), node),
                receipt=receipt,
            )
            for index, merchant in enumerate(merchants)
        }

    async def _fold(self, merchant: MerchantId) -> None:
        now = self._clock.now()
        minute = minute_of(now)
        if await self._storage.read(merchant, lambda unit: unit.denials.before(minute)):
            await self._storage.commit(
                merchant, lambda unit: fold_denials(unit, merchant, now)
            )

    async def _append(
        self, kind: EntryType, *, subject: str, count: int | None = None
    ) -> Receipt:
        entry = Entry(
            type=kind,
            merchant=GATEWAY,
            at=self._clock.now(),
            caller=CALLER,
            subject=subject,
            count=count,
        )
        appended = await self._storage.commit(
            GATEWAY, lambda unit: unit.log.append(entry)
        )
        return appended.receipt()
