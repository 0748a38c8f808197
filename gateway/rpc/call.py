"""One call while it is answered: what the log will say, and how a stream is ended.

Invariants:
  * Never a message, never an exception's text: only names, codes and times.
"""

import asyncio
import logging
import secrets
from time import perf_counter
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio

from gateway.errors import CallCanceled, GatewayError, InvariantBroken, Reason
from gateway.metrics import CallMeter
from gateway.rpc.incidents import report_incident
from gateway.rpc.status import CODES, show_error
from gateway.words.callers import Caller

_log: Final = logging.getLogger(__name__)

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

# What a person must look at; the caller gets a number to ask about.
_INCIDENTS: Final = frozenset({Reason.INTERNAL, Reason.INTEGRITY_VIOLATION})


class Stream:
    """What it takes to end a stream from outside."""

    def __init__(self, context: Context) -> None:
        self.context: Final = context
        self._task = asyncio.current_task()
        self._refusal: GatewayError | None = None
        self._is_writing = False

    async def write(self, response: object) -> None:
        """Sends one answer.

        Raises:
            GatewayError: The stream was ended meanwhile.
        """
        self._is_writing = True
        await self.context.write(response)
        self._is_writing = False
        if self._refusal is not None:
            raise self._refusal

    def end(self, refusal: GatewayError) -> None:
        """Ends the stream with this error, wherever its handler waits.

        A write is waited for: gRPC cannot send a status beside a message that was
        given up half-way, and the stream would stay open.
        """
        if self._refusal is not None or self._task is None:
            return
        self._refusal = refusal
        if not self._is_writing:
            self._task.cancel()

    def refusal(self) -> GatewayError | None:
        """Returns the error of ``end`` if that alone canceled the stream."""
        if self._refusal is None or self._task is None:
            return None
        return self._refusal if self._task.uncancel() == 0 else None


class Call:
    """What the log and the metrics say about one call."""

    __slots__ = ("caller", "code", "merchant", "reason", "rpc", "started", "stream")

    def __init__(self, rpc: str) -> None:
        self.rpc = rpc
        self.started = perf_counter()
        self.caller: Caller | None = None
        self.merchant = ""
        self.code = grpc.StatusCode.OK
        self.reason = ""
        self.stream: Stream | None = None

    def judge(self, error: BaseException, context: Context) -> grpc.Status:
        """Returns the status to send; raises the error when nothing can be sent."""
        if isinstance(error, asyncio.CancelledError):
            error = self._judge_cancellation(error)
        elif isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
            raise error
        elif context.done() or _is_connection_gone(error):
            self.code = grpc.StatusCode.CANCELLED
            raise error
        shown = error if isinstance(error, GatewayError) else InvariantBroken()
        incident = ""
        if shown.reason in _INCIDENTS:
            incident = secrets.token_hex(8)
            report_incident(incident, error, self.rpc)
        self.code = CODES[shown.reason]
        self.reason = shown.reason.value
        return show_error(shown, incident)

    def _judge_cancellation(self, error: asyncio.CancelledError) -> GatewayError:
        refusal = self.stream.refusal() if self.stream is not None else None
        if refusal is not None:
            return refusal
        if _is_canceled():
            self.code = grpc.StatusCode.CANCELLED
            raise error
        # Something inside was cancelled, not this call. Raised on, it would leave the
        # caller without any answer (grpc/grpc#29248).
        return CallCanceled()

    def note(self, level: int, meter: CallMeter) -> None:
        """Counts this call and writes its line."""
        code, seconds = self.code.name, perf_counter() - self.started
        meter.count(code, self.reason)
        if self.stream is None:
            meter.time(seconds)
        if not _log.isEnabledFor(level):
            return
        fields = {
            "rpc": self.rpc,
            "caller": self.caller.spiffe_id if self.caller else "",
            "merchant": self.merchant,
            "code": code,
            "reason": self.reason,
            "duration_ms": round(seconds * 1000, 3),
        }
        _log.log(level, "call", extra=fields)


def _is_canceled() -> bool:
    """Whether this task itself was canceled: the caller left, or the loop ends."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _is_connection_gone(error: BaseException) -> bool:
    """Whether gRPC says that nothing can be sent any more, or that it already was."""
    return isinstance(error, grpc.aio.BaseError) and not isinstance(
        error, grpc.aio.UsageError
    )
