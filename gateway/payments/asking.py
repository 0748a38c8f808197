"""Asking a processor with a deadline and a bounded number of tries.

Tried again is only what is known not to have been executed, with the same key. An
adapter that breaks may have sent before it broke: that is an unknown outcome, too.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from gateway.errors import GatewayError, ProcessorUnavailable
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.payment import Payment
from gateway.payments.processor import (
    ProcessorCall,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
)

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)

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
            except (GatewayError, ProcessorOutcomeUnknown, ProcessorRefused):
                raise
            except Exception as error:
                # Whatever it is, it must not lose the payment that is being asked for.
                # Never the text: it may quote the card that was being sent.
                _log.error("the processor's adapter broke", extra=_fault(error))
                raise ProcessorOutcomeUnknown from error


def _fault(error: Exception) -> dict[str, str]:
    """Returns the error's type, and the innermost file and line that it passed."""
    place, trace = "", error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return {"type": type(error).__qualname__, "at": place}
