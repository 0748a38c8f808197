"""Which parts of the gateway work, told once and seen by health, log and metrics.

A part is degraded when something about it needs a person but calls are still answered,
and down when no call that needs it can be. Every problem says what to do.

Used by the event loop's thread alone.
"""

import asyncio
import logging
from collections.abc import Iterator
from enum import IntEnum
from typing import Final

_log: Final = logging.getLogger(__name__)

STORAGE: Final = "storage"
KEYS: Final = "keys"
PROCESSORS: Final = "processors"
CERTIFICATES: Final = "certificates"
CLOCK: Final = "clock"
RETENTION: Final = "retention"


class PartState(IntEnum):
    """How a part is; the numbers are the metric's."""

    USABLE = 0
    DEGRADED = 1
    DOWN = 2


class Parts:
    """The parts by name; a part that nobody spoke of is usable."""

    def __init__(self) -> None:
        self._states: dict[str, PartState] = {}
        self._problems: dict[str, str] = {}
        self._changed = asyncio.Event()

    def report(self, part: str, state: PartState, problem: str = "") -> None:
        """Notes how a part is; a change is logged.

        Args:
            part: Its name: one of a closed list of ours, never a caller's word.
            state: How it is.
            problem: What is wrong and what to do, in words of ours alone.
        """
        before = self._states.get(part, PartState.USABLE)
        self._states[part] = state
        if state is before and problem == self._problems.get(part, ""):
            return
        self._problems[part] = problem
        fields = {"part": part, "state": state.name.lower(), "problem": problem}
        if state is PartState.USABLE:
            _log.info("part works again", extra=fields)
        else:
            _log.error("part does not work", extra=fields)
        if state is not before:
            self.wake()

    def mend(self, part: str) -> None:
        """Notes that a part works."""
        self.report(part, PartState.USABLE)

    def state(self, part: str) -> PartState:
        """Returns how a part is."""
        return self._states.get(part, PartState.USABLE)

    def states(self) -> Iterator[tuple[str, PartState]]:
        """Yields every part that was ever spoken of."""
        yield from self._states.items()

    def are_up(self) -> bool:
        """Whether no part is down."""
        return PartState.DOWN not in self._states.values()

    async def changed(self) -> None:
        """Waits until the state of a part changes, or somebody calls ``wake``."""
        await self._changed.wait()

    def wake(self) -> None:
        """Ends every wait for a change."""
        self._changed.set()
        self._changed = asyncio.Event()
