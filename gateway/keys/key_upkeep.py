"""What must be done about keys while a gateway serves: one turn of a loop."""

import asyncio

from gateway.audit.entry import Entry, EntryType
from gateway.keys.ports import EpochUnit, RotatableKeyProvider
from gateway.keys.rotate_epoch import RotateEpoch
from gateway.unit_of_work import Storage
from gateway.words.clock import Clock
from gateway.words.identifiers import GATEWAY


class KeyUpkeep:
    """Makes the daily sealing key, and rotates the epoch key when it is due."""

    def __init__(
        self,
        *,
        provider: RotatableKeyProvider,
        rotation: RotateEpoch,
        storage: Storage[EpochUnit],
        clock: Clock,
    ) -> None:
        self._provider = provider
        self._rotation = rotation
        self._storage = storage
        self._clock = clock

    async def run_once(self) -> None:
        """Does what is due now.

        Raises:
            IntegrityViolation: A copy does not open, so the rotation stands still.
            KeyUnavailable, StorageUnavailable: To be tried again.
        """
        await asyncio.to_thread(self._provider.refresh)
        await self._renew_sealing_key()
        await self._rotation.run_due()

    async def _renew_sealing_key(self) -> None:
        now = self._clock.now()
        if not self._provider.needs_sealing_key(now):
            return
        made = await asyncio.to_thread(self._provider.rotate_sealing_key, now)
        entry = Entry(
            type=EntryType.SEALING_KEY_CREATED,
            merchant=GATEWAY,
            at=now,
            caller="gateway",
            subject=made.key_id,
            effective_at=made.expires_at,
        )
        await self._storage.commit(GATEWAY, lambda unit: unit.log.append(entry))
