"""Group commit: units that arrive during a commit share the next one.

One thread owns the writing connection. A lone caller never waits: only while calls
come together does the thread gather, until no unit has arrived for a moment.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol

from gateway.errors import StorageUnavailable
from gateway.words.identifiers import MerchantId

UNITS_MAX: Final = 128
# Measured: waiting until nothing arrived for this long gives larger commits than a
# fixed wait, and costs a lone caller nothing.
_QUIET_SECONDS: Final = 150e-6
_GATHER_SECONDS: Final = 3e-3
# What a caller is told when a commit failed; most causes pass or need a person.
_RETRY_DELAY: Final = timedelta(seconds=1)


@dataclass(slots=True, eq=False)
class Queued:
    """Something to do on the storage thread, who waits for it, what became of it."""

    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop
    value: Any = None
    error: BaseException | None = None

    def attempt(self, call: Callable[[], Any]) -> bool:
        """Keeps what the call returns or raises; returns whether it returned."""
        try:
            self.value, self.error = call(), None
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
            self.value, self.error = None, error
        return self.error is None

    def deliver(self) -> None:
        """Tells whoever waits; a caller that left misses the value, not the work."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.value)


@dataclass(slots=True, eq=False, kw_only=True)
class QueuedUnit(Queued):
    """A unit of work of one merchant."""

    merchant: MerchantId
    work: Callable[[Any], Any]


@dataclass(slots=True, eq=False, kw_only=True)
class QueuedTask(Queued):
    """Something that runs between two commits, outside any transaction."""

    call: Callable[[], Any]


CommitUnits = Callable[[Sequence[QueuedUnit]], None]


class CommitEnded(Protocol):
    """Is told of every commit, on the storage thread."""

    def __call__(self, units: int, seconds: float, *, failed: bool) -> None:
        """Notes how many units shared it, and how long it took."""


class Batcher:
    """Runs ``commit_units`` on its own thread with what has been queued.

    ``commit_units`` sets the value or the error of each unit; when it raises, no unit
    was committed.
    """

    def __init__(self, commit_units: CommitUnits) -> None:
        self._commit_units = commit_units
        self.commit_ended: CommitEnded | None = None
        self._queue: queue.SimpleQueue[QueuedUnit | QueuedTask | None] = (
            queue.SimpleQueue()
        )
        self._closing = threading.Lock()
        self._closed = False
        # Daemon: a process that forgot to close must still be able to end.
        self._thread = threading.Thread(target=self._run, name="storage", daemon=True)
        self._thread.start()

    async def submit(self, merchant: MerchantId, work: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - what the work returns
        """Queues a unit and waits for its commit.

        Raises:
            StorageUnavailable: The storage is closed, or the commit did not happen.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        return await self._put(QueuedUnit(future, loop, merchant=merchant, work=work))

    async def run_between_commits(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the call returns
        """Runs a call on the storage thread, outside any transaction.

        Raises:
            StorageUnavailable: The storage is closed.
        """
        loop = asyncio.get_running_loop()
        return await self._put(QueuedTask(loop.create_future(), loop, call=call))

    def _put(self, item: QueuedUnit | QueuedTask) -> "asyncio.Future[Any]":
        with self._closing:
            if self._closed:
                raise StorageUnavailable
            self._queue.put(item)
        return item.future

    def depth(self) -> int:
        """Returns how much is queued."""
        return self._queue.qsize()

    async def close(self) -> None:
        """Commits what is queued and ends the thread."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        item = self._queue.get()
        came_together = False
        while item is not None:
            if isinstance(item, QueuedTask):
                item.attempt(item.call)
                _tell([item])
                item = self._queue.get()
                continue
            units = [item]
            last = self._gather(units, wait=came_together)
            came_together = len(units) > 1
            self._commit(units)
            item = self._queue.get() if last is _NOTHING else last

    def _gather(self, units: list[QueuedUnit], *, wait: bool) -> Any:  # noqa: ANN401 - an item, None or _NOTHING
        """Adds the units that are queued and, if told to, those about to come.

        Returns what else came out of the queue, or ``_NOTHING``.
        """
        ends_at = time.monotonic() + _GATHER_SECONDS
        while len(units) < UNITS_MAX:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                if not wait or time.monotonic() > ends_at:
                    return _NOTHING
                # Sleeping, not waiting on the queue: being woken by each unit would
                # take the interpreter from the thread that makes the next one.
                time.sleep(_QUIET_SECONDS)
                if self._queue.empty():
                    return _NOTHING
                continue
            if not isinstance(item, QueuedUnit):
                return item
            units.append(item)
        return _NOTHING

    def _commit(self, units: Sequence[QueuedUnit]) -> None:
        started, failed = time.monotonic(), False
        try:
            self._commit_units(units)
        except Exception as error:  # noqa: BLE001 - the worker loop must go on
            failed = True
            for unit in units:
                unit.value = None
                unit.error = StorageUnavailable(retry_delay=_RETRY_DELAY)
                unit.error.__cause__ = error
        seconds = time.monotonic() - started
        _tell(units)
        if self.commit_ended is not None:
            self.commit_ended(len(units), seconds, failed=failed)


_NOTHING: Final = object()


def _tell(items: Sequence[Queued]) -> None:
    """Delivers with one call into each event loop, not one for each item."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Queued]] = {}
    for item in items:
        by_loop.setdefault(item.loop, []).append(item)
    for loop, group in by_loop.items():
        with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits
            loop.call_soon_threadsafe(_deliver, group)


def _deliver(items: Sequence[Queued]) -> None:
    for item in items:
        item.deliver()
