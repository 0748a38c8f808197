"""Moving policy's high-water mark on while the gateway runs."""

import time
from typing import Final

from gateway.policy.policy_time import ClockAhead, ClockUnit, PolicyTime
from gateway.unit_of_work import Storage
from gateway.words.clock import Clock
from gateway.words.identifiers import GATEWAY

INTERVAL_SECONDS: Final = 60.0


class KeepPolicyTime:
    """Advances the mark and stores it; run it every ``INTERVAL_SECONDS``."""

    def __init__(
        self, *, storage: Storage[ClockUnit], clock: Clock, policy_time: PolicyTime
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._policy_time = policy_time

    async def run_once(self) -> ClockAhead | None:
        """Stores the new mark; returns what is wrong with the clock, if it is ahead.

        Raises:
            StorageUnavailable: The mark could not be stored; it will be next time.
        """
        ahead = self._policy_time.advance(self._clock.now(), time.monotonic())
        mark = self._policy_time.mark
        await self._storage.commit(GATEWAY, lambda unit: unit.high_water.put(mark))
        return ahead
