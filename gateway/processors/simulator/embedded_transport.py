"""Reaching a simulator in this process: for the demo, for tests and for benchmarks."""

import asyncio
from datetime import timedelta

from gateway.errors import StorageUnavailable
from gateway.processors.simulator.faults import Delivery, Front, Manner
from gateway.processors.simulator.ledger import Ledger
from gateway.processors.simulator.wire import Answer, NoAnswer, Request


class EmbeddedTransport:
    """Calls a ledger directly, and closes it in the end. See Transport.

    ``front`` plans faults. What was sent is executed even if the caller goes away.
    """

    def __init__(self, ledger: Ledger, front: Front | None = None) -> None:
        self._ledger = ledger
        self.front = front or Front(ledger)
        self._running: set[asyncio.Task[Delivery]] = set()

    async def send(self, request: Request, deadline: timedelta) -> Answer:
        """See Transport.send."""
        answer = self.front.answer_at_once(request)
        if answer is not None:
            return answer
        task = asyncio.create_task(self.front.deliver(request))
        self._running.add(task)
        task.add_done_callback(self._finished)
        try:
            async with asyncio.timeout(deadline.total_seconds()):
                delivery = await asyncio.shield(task)
                if delivery.body_after:
                    await asyncio.sleep(delivery.body_after)
        except (TimeoutError, StorageUnavailable):
            raise NoAnswer from None
        if delivery.manner is not Manner.WHOLE:
            raise NoAnswer
        return delivery.answer

    async def close(self) -> None:
        """See Transport.close. Waits for what is being executed."""
        if self._running:
            await asyncio.wait(self._running)
        self._ledger.close()

    def _finished(self, task: asyncio.Task[Delivery]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody may have
