"""Work that goes on to its end although whoever asked for it has left.

A caller may hang up between "sent to the processor" and "outcome committed". The work
runs in a task of its own that is held here, and the caller only waits for it.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class KeptTasks(Generic[T]):
    """Holds tasks until they end; the event loop itself holds them only weakly."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[T]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Returns what the work returns; cancelling the caller leaves it running."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Waits until everything has ended."""
        while self._running:
            await asyncio.wait(self._running)

    def _forget(self, task: "asyncio.Task[T]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody may have
