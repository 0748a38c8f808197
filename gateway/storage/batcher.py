"""Group commit: units that arrive during a commit share the next one.

One thread owns the writing connection. A lone caller never waits: only when the last
commit was shared does the thread gather, until no unit has arrived for a moment.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import StorageUnavailable
from gateway.words.identifiers import MerchantId

UNITS_MAX: Final = 128
# Measured: waiting until nothing arrived for this long gives larger commits than a
# fixed wait, and costs a lone caller nothing.
_QUIET_SECONDS: Final = 600e-6
_GATHER_SECONDS: Final = 3e-3


@dataclass(slots=True, eq=False)
class QueuedUnit:
    """A unit of work, who waits for it, and what became of it."""

    merchant: MerchantId
    work: Callable[[Any], Any]
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop
    value: Any = None
    error: BaseException | None = None

    def deliver(self) -> None:
        """Tells whoever waits; a caller that left misses the value, not the work."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.value)


CommitUnits = Callable[[Sequence[QueuedUnit]], None]


class Batcher:
    """Runs ``commit_units`` on its own thread with what has been queued."""

    def __init__(self, commit_units: CommitUnits, finish: Callable[[], None]) -> None:
        """Starts the thread.

        Args:
            commit_units: Commits the units and sets each one's value or error.
            finish: Called on the thread when it ends.
        """
        self._commit_units = commit_units
        self._finish = finish
        self._queue: queue.SimpleQueue[QueuedUnit | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="storage", daemon=True)
        self._thread.start()

    async def submit(self, merchant: MerchantId, work: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - the unit's own type
        """Queues a unit and waits for its commit."""
        if self._closed:
            raise StorageUnavailable
        loop = asyncio.get_running_loop()
        unit = QueuedUnit(merchant, work, loop.create_future(), loop)
        self._queue.put(unit)
        return await unit.future

    async def close(self) -> None:
        """Commits what is queued and ends the thread."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        shared = False
        ends = False
        while not ends:
            first = self._queue.get()
            units: list[QueuedUnit] = []
            if first is None:
                ends = True
            else:
                units.append(first)
            ends = self._gather(units, wait=shared) or ends
            shared = len(units) > 1
            if units:
                self._commit(units)
        self._finish()

    def _gather(self, units: list[QueuedUnit], *, wait: bool) -> bool:
        """Adds what is queued; returns whether the end was asked for."""
        ends_at = time.monotonic() + _GATHER_SECONDS
        while len(units) < UNITS_MAX:
            try:
                if wait and time.monotonic() < ends_at:
                    unit = self._queue.get(timeout=_QUIET_SECONDS)
                else:
                    unit = self._queue.get_nowait()
            except queue.Empty:
                return False
            if unit is None:
                return True
            units.append(unit)
        return False

    def _commit(self, units: Sequence[QueuedUnit]) -> None:
        try:
            self._commit_units(units)
        except Exception as error:  # noqa: BLE001 - the worker loop must go on
            for unit in units:
                unit.error = StorageUnavailable()
                unit.error.__cause__ = error
        by_loop: dict[asyncio.AbstractEventLoop, list[QueuedUnit]] = {}
        for unit in units:
            by_loop.setdefault(unit.loop, []).append(unit)
        for loop, group in by_loop.items():
            with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits
                loop.call_soon_threadsafe(_deliver, group)


def _deliver(units: Sequence[QueuedUnit]) -> None:
    for unit in units:
        unit.deliver()
