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

_TRIES: Final = 3
_BACKOFF_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Asking:
    """How long a processor may take."""

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
        for attempt in range(1, _TRIES + 1):
            try:
                async with asyncio.timeout(self.deadline.total_seconds()):
                    return await send()
            except TimeoutError as error:
                raise ProcessorOutcomeUnknown from error
            except ProcessorUnavailable:
                if attempt == _TRIES:
                    raise
                await asyncio.sleep(_BACKOFF_SECONDS * attempt)
        raise ProcessorUnavailable  # not reached: the last try raises
