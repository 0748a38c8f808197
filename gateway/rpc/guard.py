"""The one interceptor: who calls, may they, and what they learn when it fails.

The order is fixed:
  1. the connection is TLS 1.3 and names a caller we know,
  2. the RPC exists and one of the caller's roles may call it,
  3. the gateway has room for one more call,
  4. the bytes are small enough and are the request message of this RPC,
  5. the caller acts for the request's merchant,
  6. the servicer runs,
  7. its answer is the response message of this RPC.

Invariants:
  * Nothing an exception says reaches the wire or the log: only its type and the places
    it passed. An exception's text may quote a card number.
  * Only this module ends an RPC with an error (and health.py, with a fixed one).
  * An RPC without a row in authorization.py is answered like one that does not exist.
  * A merchant the caller does not act for looks like one that does not exist (I9).
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from contextvars import ContextVar
from datetime import timedelta
from inspect import isasyncgenfunction
from time import perf_counter
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from gateway.errors import (
    CallCanceled,
    CallerNotPermitted,
    GatewayError,
    InvariantBroken,
    LimitExceeded,
    MerchantNotFound,
    Reason,
    RequestMalformed,
)
from gateway.rpc.authorization import HEALTH_RPCS, ROLES_BY_RPC
from gateway.rpc.callers import Authenticator, Context, set_current_caller
from gateway.rpc.incidents import report_incident
from gateway.rpc.status import CODE_BY_REASON, make_status
from gateway.words.callers import Caller, Role
from gateway.words.identifiers import read_merchant_id

_log: Final = logging.getLogger(__name__)

Handler = grpc.RpcMethodHandler[Any, Any]

# The largest request of the API is an envelope of 4 KiB beside bounded texts.
REQUEST_BYTES_MAX: Final = 64 * 1024
CALLS_MAX: Final = 1024
_RETRY_WHEN_FULL: Final = timedelta(seconds=1)
# What a person must look at; the caller gets a number to ask about.
_INCIDENTS: Final = frozenset({Reason.INTERNAL, Reason.INTEGRITY_VIOLATION})


class Guard(grpc.aio.ServerInterceptor):
    """Wraps every RPC of one server. Must be its only interceptor.

    Handlers are wrapped once and kept: the servicers of a server never change.
    """

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        roles_by_rpc: Mapping[str, frozenset[Role]] = ROLES_BY_RPC,
        open_rpcs: frozenset[str] = HEALTH_RPCS,
        calls_max: int = CALLS_MAX,
        request_bytes_max: int = REQUEST_BYTES_MAX,
    ) -> None:
        """Makes a guard.

        Args:
            authenticator: Tells who calls.
            roles_by_rpc: Which roles may call which RPC.
            open_rpcs: RPCs without a caller and a merchant: health.
            calls_max: How many calls run at once, health aside.
            request_bytes_max: How large a request message may be.
        """
        self.authenticator: Final = authenticator
        self.calls_max: Final = calls_max
        self.request_bytes_max: Final = request_bytes_max
        self.calls = 0
        self._roles_by_rpc = roles_by_rpc
        self._open_rpcs = open_rpcs
        self._wrapped: dict[str, Handler] = {}
        self._unknown = grpc.stream_stream_rpc_method_handler(
            _UnknownRpc(self).stream_stream
        )

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Returns the wrapped handler of the RPC."""
        method = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is not None:
            return wrapped
        handler = await continuation(handler_call_details)
        roles = self._roles_by_rpc.get(method)
        if handler is None or (roles is None and method not in self._open_rpcs):
            return self._unknown  # not kept: callers choose the names
        wrapped = _wrap(handler, GuardedRpc(self, method, handler, roles))
        self._wrapped[method] = wrapped
        return wrapped


class _Call:
    """What the log says about one call. Never a message, never an exception's text."""

    __slots__ = ("caller", "code", "merchant", "reason", "rpc", "started")

    def __init__(self, rpc: str) -> None:
        self.rpc = rpc
        self.started = perf_counter()
        self.caller: Caller | None = None
        self.merchant = ""
        self.code = grpc.StatusCode.OK
        self.reason = ""

    def judge(self, error: BaseException, context: Context) -> grpc.Status:
        """Returns the status to send; raises the error when nothing can be sent."""
        if isinstance(error, asyncio.CancelledError):
            if _is_cancelled():
                self.code = grpc.StatusCode.CANCELLED
                raise error
            # Something inside was cancelled, not this call. Raised on, it would leave
            # the caller without any answer (grpc/grpc#29248).
            error = CallCanceled()
        elif isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
            raise error
        elif context.done() or _is_transport_gone(error):
            self.code = context.code() or grpc.StatusCode.UNKNOWN
            raise error
        shown = error if isinstance(error, GatewayError) else InvariantBroken()
        incident = ""
        if shown.reason in _INCIDENTS:
            incident = secrets.token_hex(8)
            report_incident(incident, error, self.rpc)
        self.code = CODE_BY_REASON[shown.reason]
        self.reason = shown.reason.value
        return make_status(shown, incident)

    def finish(self, level: int) -> None:
        """Writes the line of this call."""
        if not _log.isEnabledFor(level):
            return
        fields = {
            "rpc": self.rpc,
            "caller": self.caller.spiffe_id if self.caller else "",
            "merchant": self.merchant,
            "code": self.code.name,
            "reason": self.reason,
            "duration_ms": round((perf_counter() - self.started) * 1000, 3),
        }
        _log.log(level, "call", extra=fields)


_streaming_call: Final[ContextVar[_Call]] = ContextVar("streaming_call")


class GuardedRpc:
    """One RPC behind the guard, for each of gRPC's four kinds."""

    def __init__(
        self, guard: Guard, method: str, handler: Handler, roles: frozenset[Role] | None
    ) -> None:
        self._guard = guard
        self._name = method.removeprefix("/")
        self._roles = roles
        self._level = logging.INFO if roles is not None else logging.DEBUG
        self._behaviour: Callable[..., Any] = _behaviour_of(handler)
        self._deserialize = handler.request_deserializer
        self._serialize = handler.response_serializer
        self._response_type = _response_type(method)

    async def unary_unary(self, raw: bytes, context: Context) -> bytes:
        """One request, one answer."""
        call = self._start()
        try:
            self._admit(call, context)
            request = self._read(call, raw)
            response = await self._behaviour(request, context)
            return self._finished(self._write(response), context)
        except BaseException as error:  # noqa: BLE001 - the outermost boundary
            status = call.judge(error, context)
        finally:
            self._end(call)
        # Outside the handler above, so that no traceback holds the first error.
        await context.abort_with_status(status)

    async def unary_stream(self, raw: bytes, context: Context) -> None:
        """One request, many answers."""
        call = self._start()
        try:
            self._admit(call, context)
            await self._stream(self._read(call, raw), context)
            return self._finished(None, context)
        except BaseException as error:  # noqa: BLE001 - the outermost boundary
            status = call.judge(error, context)
        finally:
            self._end(call)
        await context.abort_with_status(status)

    async def stream_unary(
        self, requests: AsyncIterator[Message], context: Context
    ) -> bytes:
        """Many requests, one answer."""
        call = self._start()
        _streaming_call.set(call)
        try:
            self._admit(call, context)
            response = await self._behaviour(requests, context)
            return self._finished(self._write(response), context)
        except BaseException as error:  # noqa: BLE001 - the outermost boundary
            status = call.judge(error, context)
        finally:
            self._end(call)
        await context.abort_with_status(status)

    async def stream_stream(
        self, requests: AsyncIterator[Message], context: Context
    ) -> None:
        """Many requests, many answers."""
        call = self._start()
        _streaming_call.set(call)
        try:
            self._admit(call, context)
            await self._stream(requests, context)
            return self._finished(None, context)
        except BaseException as error:  # noqa: BLE001 - the outermost boundary
            status = call.judge(error, context)
        finally:
            self._end(call)
        await context.abort_with_status(status)

    def read_streamed(self, raw: bytes) -> Message:
        """Reads one message of a stream; each is checked like a single one."""
        return self._read(_streaming_call.get(), raw)

    def write_streamed(self, response: object) -> bytes:
        """Writes one message of a stream."""
        return self._write(response)

    def _start(self) -> _Call:
        self._guard.calls += 1
        return _Call(self._name)

    def _end(self, call: _Call) -> None:
        self._guard.calls -= 1
        call.finish(self._level)

    def _admit(self, call: _Call, context: Context) -> None:
        """Steps 1 to 3."""
        guard = self._guard
        if self._roles is None:
            guard.authenticator.check_connection(context)
            return
        call.caller = guard.authenticator.authenticate(context)
        if self._roles.isdisjoint(call.caller.roles):
            raise CallerNotPermitted
        if guard.calls > guard.calls_max:
            raise LimitExceeded(retry_delay=_RETRY_WHEN_FULL)
        set_current_caller(call.caller)

    def _read(self, call: _Call, raw: bytes) -> Message:
        """Steps 4 and 5."""
        if len(raw) > self._guard.request_bytes_max:
            limit = str(self._guard.request_bytes_max)
            raise LimitExceeded(metadata={"request_bytes_max": limit})
        if self._deserialize is None:
            raise InvariantBroken
        try:
            request: Any = self._deserialize(raw)
        except DecodeError:
            # Not chained: the decoder's text is about the bytes it could not read.
            raise RequestMalformed from None
        if call.caller is not None:
            merchant = read_merchant_id(request.merchant)
            if not call.caller.may_act_for(merchant):
                raise MerchantNotFound
            call.merchant = merchant
        message: Message = request
        return message

    async def _stream(self, request: object, context: Context) -> None:
        """Step 6 and 7 for handlers that write, and for those that yield."""
        if not isasyncgenfunction(self._behaviour):
            await self._behaviour(request, context)
            return
        async with aclosing(self._behaviour(request, context)) as responses:
            async for response in responses:
                await context.write(response)

    def _write(self, response: object) -> bytes:
        """Step 7. gRPC would send any message, and a client would misread it."""
        if type(response) is not self._response_type or self._serialize is None:
            raise InvariantBroken
        return self._serialize(response)

    @staticmethod
    def _finished[T](answer: T, context: Context) -> T: ...


class _UnknownRpc:
    """Answers calls of RPCs that do not exist; to strangers, as if they did."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
