"""Asking a processor with a deadline and a bounded number of tries.

Tried again is only what is known not to have been executed, with the same key.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from gateway.errors import ProcessorUnavailable
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.payment import Payment
from gateway.payments.processor import ProcessorCall, ProcessorOutcomeUnknown

T = TypeVar("T")

_TRIES: Final = 2
_BACKOFF_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Asking:
    """How long one step may take, its tries together."""

    deadline: timedelta

    def call(
        self, account: ProcessorAccount, payment: Payment, key: str
    ) -> ProcessorCall:
        """Returns what every call carries; metadata holds names of ours only."""
        return ProcessorCall(
            account=account,
            idempotency_key=key,
            deadline=self.deadline,
            metadata={
                "bailee_payment": payment.name,
                "bailee_purpose": payment.purpose.value,
            },
        )

    async def ask(self, send: Callable[[], Awaitable[T]]) -> T:
        """Sends, and sends again while the processor says that nothing was executed.

        Raises:
            ProcessorUnavailable: Nothing was executed, after every try.
            ProcessorOutcomeUnknown: It may have been executed.
            ProcessorRefused: It was not executed and will not be.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + self.deadline.total_seconds()
        tries = 0
        while True:
            tries += 1
            try:
                # Only the sending is under the deadline: a timeout is then always one
                # of a request that may have arrived.
                async with asyncio.timeout_at(ends):
                    return await send()
            except TimeoutError as error:
                raise ProcessorOutcomeUnknown from error
            except ProcessorUnavailable:
                if tries == _TRIES or loop.time() + _BACKOFF_SECONDS >= ends:
                    raise
                await asyncio.sleep(_BACKOFF_SECONDS)
