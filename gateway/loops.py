"""What runs again and again beside the calls: every loop of the gateway, in one place.

Invariants:
  * A loop never ends while the gateway serves: whatever an iteration raises is logged
    by its type, counted, shown in health, and the next iteration runs as planned.
  * A loop whose iterations do not end is shown, too: it is never cut off, because it
    may be between two steps of a payment.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from gateway.errors import GatewayError
from gateway.metrics import Metrics
from gateway.parts import Parts, PartState

_log: Final = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0


Work = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """One of them.

    Attributes:
        name: In health, log lines and metrics.
        work: One iteration.
        every_seconds: The pause between two iterations.
        stuck_after_seconds: Without a finished iteration for so long, it is stuck.
    """

    name: str
    work: Work
    every_seconds: float
    stuck_after_seconds: float


class Loops:
    """Runs loops until closed."""

    def __init__(
        self, loops: Sequence[Loop], *, parts: Parts, metrics: Metrics
    ) -> None:
        self._loops = loops
        self._parts = parts
        self._metrics = metrics
        self._began: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Starts every loop; the first iterations run at once."""
        now = asyncio.get_running_loop().time()
        for loop in self._loops:
            self._began[loop.name] = now
            self._parts.mend(loop.name)
            self._tasks.append(asyncio.create_task(self._keep_running(loop)))
        self._tasks.append(asyncio.create_task(self._watch()))

    async def close(self) -> None:
        """Ends the loops; what an iteration shielded goes on."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _keep_running(self, loop: Loop) -> None:
        while True:
            await self._run(loop)
            await asyncio.sleep(loop.every_seconds)

    async def _run(self, loop: Loop) -> None:
        self._began[loop.name] = asyncio.get_running_loop().time()
        try:
            await loop.work()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            if _is_canceled():
                raise
            self._note_failure(loop, error)
        else:
            self._metrics.loop_ended(loop.name, failed=False)
            self._parts.mend(loop.name)

    def _note_failure(self, loop: Loop, error: BaseException) -> None:
        # Never the text: an exception's message may quote what caused it.
        kind = type(error).__qualname__
        fields: dict[str, object] = {"loop": loop.name, "type": kind}
        if isinstance(error, GatewayError):
            fields |= {"reason": error.reason, "details": error.metadata}
        _log.error("loop failed", extra=fields)
        self._metrics.loop_ended(loop.name, failed=True)
        problem = f"failed with {kind}; tried again in {loop.every_seconds:g} s"
        self._parts.report(loop.name, PartState.DEGRADED, problem)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = asyncio.get_running_loop().time()
            for loop in self._loops:
                if now - self._began[loop.name] <= self._patience(loop):
                    continue
                problem = (
                    f"no iteration ended for {loop.stuck_after_seconds:g} s; restart "
                    "the gateway if it stays so"
                )
                self._parts.report(loop.name, PartState.DEGRADED, problem)

    @staticmethod
    def _patience(loop: Loop) -> float:
        return loop.every_seconds + loop.stuck_after_seconds


def _is_canceled() -> bool:
    """Whether this task itself was canceled, and not something inside it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
