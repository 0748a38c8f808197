"""Rotating the epoch key while the gateway serves.

The order is fixed:
  1. a new epoch is planned: from now on erasure receipts reckon with it,
  2. the key provider makes its key; new cards use it from then on,
  3. it becomes the current one, and the old one is retiring,
  4. every copy is re-wrapped, in small units, under its own purpose,
  5. a pause, in which calls that began before end,
  6. the old wrapping keys are retired: no copy is stored under them any more,
  7. what came in between 4 and 6 is re-wrapped, with another pause if there was any,
  8. the key provider destroys the old epoch key.

Invariants:
  * Each step may be repeated: a process that was killed begins again where the database
    and the key provider stand.
  * An epoch key is destroyed only when no copy depends on it. A copy that does not open
    stops the rotation.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from gateway.audit.entry import Entry, EntryType
from gateway.audit.ports import AuditUnit
from gateway.errors import StateConflict
from gateway.keys import epoch_schedule
from gateway.keys.hierarchy import KeyHierarchy
from gateway.keys.ports import (
    Epoch,
    EpochState,
    EpochUnit,
    KeyUnit,
    Rewrap,
    RotatableKeyProvider,
    WrappingKeyHolders,
)
from gateway.unit_of_work import Storage
from gateway.words.clock import Clock
from gateway.words.identifiers import GATEWAY, MerchantId

_log: Final = logging.getLogger(__name__)

_LEASE: Final = timedelta(seconds=60)
# Between two notes of progress, each of which is a commit.
_NOTE_EVERY: Final = timedelta(seconds=10)


class RotationStep(StrEnum):
    """A place between two steps, where a crash must be safe."""

    PLANNED = "after the new epoch was planned"
    MADE = "after the key provider made the new key"
    BEGUN = "after the new epoch became the current one"
    MOVED_SOME = "after a unit of copies was re-wrapped"
    MOVED = "after every copy was re-wrapped"
    RETIRED = "after the old wrapping keys were retired"
    DESTROYED = "after the key provider destroyed the old key"
    NOTED = "after the end was committed"


class RotationUnit(EpochUnit, KeyUnit, AuditUnit, Protocol):
    """The slice of the unit of work that a rotation uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationParts:
    """What a rotation works with.

    ``period`` is how old an epoch key may get, None for as old as it likes; ``pause``
    is longer than any call takes. ``instance`` names this process; ``lease`` is how
    long others leave a rotation to it after its last sign of life, zero where no other
    process can have the database.
    """

    provider: RotatableKeyProvider
    storage: Storage[RotationUnit]
    holders: WrappingKeyHolders
    rewraps: Sequence[Rewrap]
    hierarchy: KeyHierarchy
    clock: Clock
    period: timedelta | None
    pause: timedelta
    instance: str
    lease: timedelta = _LEASE
    reached: Callable[[RotationStep], None] = lambda _step: None


class RotateEpoch:
    """Begins, resumes and finishes rotations."""

    def __init__(self, parts: RotationParts) -> None:
        self._parts = parts
        self._noted_at: datetime | None = None
        self._unnoted = 0

    def without_pause(self) -> "RotateEpoch":
        """Returns one that waits for no call: for a gateway that does not serve."""
        return RotateEpoch(replace(self._parts, pause=timedelta(0)))

    async def observe(self) -> Sequence[Epoch]:
        """Returns every epoch, after taking in what the key provider holds.

        The provider is right: a restored database learns which keys exist.
        """
        parts = self._parts
        held = parts.provider.epochs()
        now = parts.clock.now()

        def take_in(unit: RotationUnit) -> Sequence[Epoch]:
            known = {epoch.epoch: epoch for epoch in unit.epochs.all()}
            for name in reversed(held):
                before = known.get(name)
                after = self._see(name, before, is_newest=name == held[0], now=now)
                if after != before:
                    unit.epochs.put(after)
            for name, epoch in known.items():
                gone = name not in held and epoch.state is not EpochState.PLANNED
                if gone and epoch.state is not EpochState.DESTROYED:
                    unit.epochs.put(_destroyed(epoch, now))
                    unit.log.append(_entry(EntryType.EPOCH_KEY_DESTROYED, name, now))
            return unit.epochs.all()

        return await parts.storage.commit(GATEWAY, take_in)

    def _see(
        self, name: str, before: Epoch | None, *, is_newest: bool, now: datetime
    ) -> Epoch:
        parts = self._parts
        if before is None:
            made_at = parts.provider.epoch_made_at(name) or now
            before = Epoch(epoch=name, state=EpochState.CURRENT, made_at=made_at)
        if before.state is EpochState.PLANNED:
            return before
        state = EpochState.CURRENT if is_newest else EpochState.RETIRING
        due = epoch_schedule.due_at(before.made_at, parts.period, before.due_at)
        return replace(before, state=state, due_at=due, destroyed_at=None)

    async def unrecoverable_at(self, now: datetime) -> datetime | None:
        """Returns the time after which no backup opens a card that is erased now."""
        rows = await self._parts.storage.read(GATEWAY, lambda unit: unit.epochs.all())
        return epoch_schedule.unrecoverable_at(rows or await self.observe(), now)

    async def run_due(self) -> bool:
        """Resumes a rotation that was interrupted, or begins one that is due or that
        a person asked for.

        Returns:
            Whether one was finished.

        Raises:
            IntegrityViolation: A copy does not open; nothing was destroyed.
            KeyUnavailable, StorageUnavailable: To be tried again.
        """
        epochs, now = await self.observe(), self._parts.clock.now()
        for epoch in epochs:
            if epoch_schedule.is_overdue(epoch, now):
                _log.error("epoch key overdue", extra={"epoch": epoch.epoch})
        if not _is_open(epochs):
            current = next(e for e in epochs if e.state is EpochState.CURRENT)
            asked_at = self._parts.provider.rotation_asked_at()
            is_asked = asked_at is not None and asked_at > current.made_at
            if not is_asked and (current.due_at is None or current.due_at > now):
                return False
            await self._plan("bailee keys rotate" if is_asked else "gateway")
        return await self._finish()

    async def rotate(self, caller: str) -> str:
        """Rotates now, to the end, and returns the new epoch's id.

        Raises:
            StateConflict: A rotation is under way.
            IntegrityViolation, KeyUnavailable, StorageUnavailable: As ``run_due``; it
                goes on with ``run_due``.
        """
        epoch = await self.begin(caller)
        await self._finish()
        return epoch

    async def begin(self, caller: str) -> str:
        """Plans a rotation that ``run_due`` carries out; returns the new epoch's id.

        Raises:
            StateConflict: A rotation is under way.
        """
        await self.observe()
        return await self._plan(caller)

    async def _plan(self, caller: str) -> str:
        parts = self._parts
        now = parts.clock.now()
        planned = Epoch(
            epoch=f"epoch-{secrets.token_hex(8)}",
            state=EpochState.PLANNED,
            made_at=now,
            due_at=epoch_schedule.due_at(now, parts.period),
        )

        def plan(unit: RotationUnit) -> None:
            if _is_open(unit.epochs.all()):
                raise StateConflict(metadata={"rotation": "one is under way"})
            unit.epochs.put(planned)
            unit.log.append(
                _entry(EntryType.KEY_ROTATION_PLANNED, planned.epoch, now, caller)
            )

        await parts.storage.commit(GATEWAY, plan)
        parts.reached(RotationStep.PLANNED)
        return planned.epoch

    async def _finish(self) -> bool:
        parts = self._parts
        if not await self._take_lease():
            return False
        for epoch in await self._epochs(EpochState.PLANNED):
            await parts.provider.make_epoch(epoch.epoch, epoch.made_at)
            parts.reached(RotationStep.MADE)
            await self._make_current(epoch)
            parts.reached(RotationStep.BEGUN)
        for epoch in await self._epochs(EpochState.RETIRING):
            await self._leave(epoch.epoch)
            await parts.provider.destroy_epoch(epoch.epoch)
            parts.hierarchy.forget()
            parts.reached(RotationStep.DESTROYED)
            await self.observe()
            parts.reached(RotationStep.NOTED)
        return True

    async def _make_current(self, planned: Epoch) -> None:
        now = self._parts.clock.now()

        def begin(unit: RotationUnit) -> None:
            for epoch in unit.epochs.all():
                if epoch.state is EpochState.CURRENT:
                    unit.epochs.put(replace(epoch, state=EpochState.RETIRING))
            unit.epochs.put(replace(planned, state=EpochState.CURRENT))
            unit.log.append(_entry(EntryType.EPOCH_KEY_CREATED, planned.epoch, now))

        await self._parts.storage.commit(GATEWAY, begin)

    async def _leave(self, epoch: str) -> None:
        """Returns when nothing depends on the epoch key any more."""
        parts = self._parts
        await self._move(epoch)
        parts.reached(RotationStep.MOVED)
        await self._pause()
        for merchant in await parts.holders.merchants_with_epoch(epoch):
            await self._retire(merchant, epoch)
        parts.reached(RotationStep.RETIRED)
        while await self._move(epoch):
            await self._pause()

    async def _move(self, epoch: str) -> int:
        async def moved(count: int) -> None:
            self._parts.reached(RotationStep.MOVED_SOME)
            await self._note(epoch, count)

        total = 0
        for rewrap in self._parts.rewraps:
            total += await rewrap.move(epoch, moved)
        await self._note(epoch, 0, at_once=True)
        return total

    async def _retire(self, merchant: MerchantId, epoch: str) -> None:
        now = self._parts.clock.now()

        def retire(unit: RotationUnit) -> None:
            count = unit.keys.retire(epoch, now)
            kind = EntryType.WRAPPING_KEYS_RETIRED
            entry = replace(_entry(kind, epoch, now), merchant=merchant, count=count)
            unit.log.append(entry)

        await self._parts.storage.commit(merchant, retire)

    async def _pause(self) -> None:
        await asyncio.sleep(self._parts.pause.total_seconds())

    async def _epochs(self, state: EpochState) -> list[Epoch]:
        rows = await self._parts.storage.read(GATEWAY, lambda unit: unit.epochs.all())
        return [epoch for epoch in rows if epoch.state is state]

    async def _take_lease(self) -> bool:
        """Returns whether this process may go on: no other one is at it."""
        parts, now = self._parts, self._parts.clock.now()

        def take(unit: RotationUnit) -> bool:
            open_ones = [e for e in unit.epochs.all() if e.state in _OPEN]
            for epoch in open_ones:
                is_live = epoch.lease_until is not None and epoch.lease_until > now
                if is_live and epoch.instance != parts.instance:
                    return False
            for epoch in open_ones:
                unit.epochs.put(self._leased(epoch, now))
            return True

        return await parts.storage.commit(GATEWAY, take)

    async def _note(self, epoch: str, count: int, *, at_once: bool = False) -> None:
        """Commits progress and renews the lease, now and then."""
        now = self._parts.clock.now()
        self._unnoted += count
        recent = self._noted_at is not None and now - self._noted_at < _NOTE_EVERY
        if recent and not at_once:
            return
        self._noted_at, moved, self._unnoted = now, self._unnoted, 0

        def note(unit: RotationUnit) -> None:
            for row in unit.epochs.all():
                if row.epoch == epoch:
                    leased = self._leased(row, now)
                    unit.epochs.put(replace(leased, moved=row.moved + moved))

        await self._parts.storage.commit(GATEWAY, note)

    def _leased(self, epoch: Epoch, now: datetime) -> Epoch:
        lease = self._parts.lease
        until = now + lease + self._parts.pause if lease else now
        return replace(epoch, instance=self._parts.instance, lease_until=until)


_OPEN: Final = frozenset({EpochState.PLANNED, EpochState.RETIRING})


def _is_open(epochs: Sequence[Epoch]) -> bool:
    return any(epoch.state in _OPEN for epoch in epochs)


def _destroyed(epoch: Epoch, now: datetime) -> Epoch:
    return replace(
        epoch,
        state=EpochState.DESTROYED,
        destroyed_at=now,
        instance="",
        lease_until=None,
    )


def _entry(
    kind: EntryType, epoch: str, now: datetime, caller: str = "gateway"
) -> Entry:
    return Entry(type=kind, merchant=GATEWAY, at=now, caller=caller, subject=epoch)
