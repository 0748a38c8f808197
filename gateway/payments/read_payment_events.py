"""ListPaymentEvents and WatchPaymentEvents: what happened, by cursor or as a stream.

A stream asks the database again and again: events may come from another process, and a
look costs some 20 microseconds.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from typing import Final

from gateway.errors import LimitExceeded, PaymentNotFound
from gateway.payments.payment_event import PaymentEvent
from gateway.payments.ports import PaymentUnit
from gateway.unit_of_work import Storage
from gateway.words.identifiers import MerchantId, PaymentName

_BATCH: Final = 100
_WATCHERS_MAX: Final = 100
_RETRY_WHEN_FULL: Final = timedelta(seconds=30)


class ReadPaymentEvents:
    """Reads the events of one merchant.

    Args:
        storage: Where they are.
        poll: How long a stream waits before it looks again.
        draining: Set when the server stops: streams then end.
    """

    def __init__(
        self,
        *,
        storage: Storage[PaymentUnit],
        poll: timedelta,
        draining: asyncio.Event,
    ) -> None:
        self._storage = storage
        self._poll_seconds = poll.total_seconds()
        self._draining = draining
        self._watchers = 0

    async def list_events(
        self,
        merchant: MerchantId,
        after: int,
        limit: int,
        payment: PaymentName | None = None,
    ) -> Sequence[PaymentEvent]:
        """Returns events after a position, oldest first: of one payment, or of all.

        Raises:
            PaymentNotFound: No such payment for this merchant.
        """

        def read(unit: PaymentUnit) -> Sequence[PaymentEvent]:
            if payment is not None and unit.payments.find(payment) is None:
                raise PaymentNotFound
            return unit.payments.events(after, limit, payment)

        return await self._storage.read(merchant, read)

    async def watch(
        self, merchant: MerchantId, after: int
    ) -> AsyncGenerator[PaymentEvent]:
        """Yields events after a position, and waits for more until the server stops.

        Raises:
            LimitExceeded: Too many streams are open.
            StorageUnavailable: The database did not answer; resume at the last event.
        """
        if self._watchers >= _WATCHERS_MAX:
            raise LimitExceeded(retry_delay=_RETRY_WHEN_FULL)
        self._watchers += 1
        try:
            while not self._draining.is_set():
                events = await self.list_events(merchant, after, _BATCH)
                for event in events:
                    yield event
                    after = event.position
                if len(events) < _BATCH:
                    await self._wait()
        finally:
            self._watchers -= 1

    async def _wait(self) -> None:
        """Waits until it is time to look again, or the server stops."""
        try:
            async with asyncio.timeout(self._poll_seconds):
                await self._draining.wait()
        except TimeoutError:
            return
