"""AcceptClock: a person says that the machine's clock is right."""

import time
from datetime import datetime

from gateway.audit.entry import Entry, EntryType
from gateway.policy.policy_time import ClockUnit, PolicyTime
from gateway.unit_of_work import Storage
from gateway.words.clock import Clock
from gateway.words.identifiers import GATEWAY, RequestId


class AcceptClock:
    """Moves policy's high-water mark to the machine's clock, and records who did."""

    def __init__(
        self, *, storage: Storage[ClockUnit], clock: Clock, policy_time: PolicyTime
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._policy_time = policy_time

    async def execute(
        self, *, caller: str, request_id: RequestId
    ) -> tuple[datetime, datetime]:
        """Returns the mark before and after; it never falls.

        Raises:
            StorageUnavailable: Nothing was done.
        """
        now = self._clock.now()
        before = self._policy_time.mark
        mark = max(before, now)
        entry = Entry(
            type=EntryType.CLOCK_ACCEPTED,
            merchant=GATEWAY,
            at=now,
            caller=caller,
            request_id=request_id,
            effective_at=mark,
        )

        def accept(unit: ClockUnit) -> None:
            unit.high_water.put(mark)
            unit.log.append(entry)

        await self._storage.commit(GATEWAY, accept)
        self._policy_time.accept(mark, time.monotonic())
        return before, mark
