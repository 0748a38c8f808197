"""The one interceptor: who calls, may they, and what they learn when it fails.

The order is fixed:
  1. the connection is TLS 1.3 and names a caller we know,
  2. the RPC exists, and one of the caller's roles may call it,
  3. the gateway has room for one more call,
  4. the bytes are small enough and are the request message of this RPC,
  5. the caller acts for the request's merchant,
  6. the servicer runs,
  7. its answer is the response message of this RPC.

Invariants:
  * Nothing an exception says reaches the wire or the log: only its type and the places
    it passed. An exception's text may quote a card number.
  * Only this module ends an RPC with an error; servicers raise.
  * An RPC without a row in authorization.py is answered like one that does not exist.
  * A merchant the caller does not act for looks like one that does not exist (I9).
  * A stream ends when its caller would not be let in any more; see check_streams.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from contextvars import ContextVar
from datetime import timedelta
from inspect import isasyncgenfunction
from typing import TYPE_CHECKING, Any, Final, Never, TypeAlias

import grpc
import grpc.aio
from google.protobuf import descriptor_pool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from gateway.errors import (
    CallerNotPermitted,
    GatewayError,
    InvariantBroken,
    LimitExceeded,
    MerchantNotFound,
    RequestMalformed,
    RpcNotFound,
)
from gateway.metrics import Metrics
from gateway.rpc.authorization import (
    NAME_NO_MERCHANT,
    OPEN_TO_EVERY_CALLER,
    ROLES,
)
from gateway.rpc.call import Call, Context, Stream
from gateway.rpc.callers import Authenticator, set_caller
from gateway.words.callers import Role
from gateway.words.identifiers import MerchantId, read_merchant_id

if TYPE_CHECKING:
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
else:  # gRPC's class takes no types when it runs
    Handler = grpc.RpcMethodHandler

# The largest request of the API is an envelope of 4 KiB beside bounded texts.
REQUEST_BYTES_MAX: Final = 64 * 1024
# But for batches of such envelopes.
LARGE_REQUESTS: Final = frozenset({"/bailee.v1.VaultService/BatchTokenizeCards"})
LARGE_REQUEST_BYTES_MAX: Final = 2 * 1024 * 1024
CALLS_MAX: Final = 1024
_RETRY_WHEN_FULL: Final = timedelta(seconds=1)


class Guard(grpc.aio.ServerInterceptor):
    """Wraps every RPC of one server; its only interceptor.

    Handlers are wrapped once and kept: the servicers of a server never change.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        *,
        metrics: Metrics,
        roles: Mapping[str, frozenset[Role]] = ROLES,
        open_rpcs: frozenset[str] = OPEN_TO_EVERY_CALLER,
        calls_max: int = CALLS_MAX,
        request_bytes_max: int = REQUEST_BYTES_MAX,
    ) -> None:
        """Makes a guard.

        Args:
            authenticator: Tells who calls.
            metrics: Counts calls.
            roles: Which roles may call which RPC.
            open_rpcs: RPCs that need no role and name no merchant: health.
            calls_max: How many calls run at once, health aside.
            request_bytes_max: How large a request message may be.
        """
        self.authenticator: Final = authenticator
        self.metrics: Final = metrics
        self.streams: Final[set[Call]] = set()
        self.calls_max: Final = calls_max
        self.request_bytes_max: Final = request_bytes_max
        self.calls = 0
        self._roles = roles
        self._open_rpcs = open_rpcs
        self._wrapped: dict[str, Handler] = {}
        self._unknown = GuardedRpc(self, "unknown", _unknown_rpc, None, None)
        # Streams both ways: it answers whatever the caller believes the RPC to be.
        self._unlisted: Handler = grpc.stream_stream_rpc_method_handler(
            self._unknown.stream_stream
        )

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Returns the RPC's handler inside the guard."""
        rpc = handler_call_details.method
        wrapped = self._wrapped.get(rpc)
        if wrapped is not None:
            return wrapped
        handler = await continuation(handler_call_details)
        if handler is None or (rpc not in self._roles and rpc not in self._open_rpcs):
            return self._unlisted  # not kept: callers choose the names
        self._wrapped[rpc] = wrapped = self._wrap(rpc, handler)
        return wrapped

    async def refuse_unknown(self, context: Context) -> None:
        """Ends a call of an RPC that has no handler; strangers stay strangers."""
        await self._unknown.stream_stream(None, context)

    def check_streams(self) -> None:
        """Ends the streams of callers that would not be let in now.

        A stream is admitted once and may stay open for an hour. Its caller may have
        been disabled since, or its certificate may have expired. Single calls are left
        alone: they end by themselves, and may be between two steps of a payment.
        """
        for call in tuple(self.streams):
            if call.stream is None or call.caller is None:
                continue  # not admitted yet
            try:
                self._check_again(call, call.stream.context)
            except GatewayError as error:
                call.stream.end(error)

    def _check_again(self, call: Call, context: Context) -> None:
        caller = self.authenticator.authenticate(context)
        roles = self._roles.get(f"/{call.rpc}")
        if roles is not None and roles.isdisjoint(caller.roles):
            raise CallerNotPermitted
        if call.merchant and not caller.may_act_for(MerchantId(call.merchant)):
            raise MerchantNotFound

    def _wrap(self, rpc: str, handler: Handler) -> Handler:
        """Returns the handler inside the guard, for whichever of gRPC's four kinds.

        Single messages come and go as bytes, so that reading and writing them happens
        inside the guard. Streamed ones are read and written by gRPC through the guard.
        """
        behaviour: Any = (
            handler.unary_unary
            or handler.unary_stream
            or handler.stream_unary
            or handler.stream_stream
        )
        guarded = GuardedRpc(self, rpc, behaviour, handler, self._roles.get(rpc))
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(guarded.unary_unary)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(
                guarded.unary_stream, None, guarded.write
            )
        if handler.stream_unary:
            return grpc.stream_unary_rpc_method_handler(
                guarded.stream_unary, guarded.read_streamed
            )
        return grpc.stream_stream_rpc_method_handler(
            guarded.stream_stream, guarded.read_streamed, guarded.write
        )


async def _unknown_rpc(_requests: object, _context: Context) -> Never:
    raise RpcNotFound


_streaming_call: Final[ContextVar[Call]] = ContextVar("streaming_call")


class GuardedRpc:
    """One RPC behind the guard, as each of gRPC's four kinds.

    The four differ only in what step 6 hands over and gets back. They are written out
    because one more coroutine around each call costs more than the lines.
    """

    def __init__(
        self,
        guard: Guard,
        rpc: str,
        behaviour: Callable[..., Any],
        handler: Handler | None,
        roles: frozenset[Role] | None,
    ) -> None:
        self._guard = guard
        self._rpc = rpc.removeprefix("/")
        self._bytes_max = guard.request_bytes_max
        if rpc in LARGE_REQUESTS:
            self._bytes_max = LARGE_REQUEST_BYTES_MAX
        self._behaviour = behaviour
        self._roles = roles
        self._names_merchant = roles is not None and rpc not in NAME_NO_MERCHANT
        # A load balancer asks for health every few seconds.
        self._level = logging.DEBUG if rpc in OPEN_TO_EVERY_CALLER else logging.INFO
        self._meter = guard.metrics.call_meter(self._rpc)
        self._parse = handler.request_deserializer if handler else None
        self._serialize = handler.response_serializer if handler else None
        self._response_type = _response_type(rpc) if handler else None

    async def unary_unary(self, raw: bytes, context: Context) -> bytes:
        """One request, one answer."""
        call = self._begin()
        try:
            self._admit(call, context)
            request = self._read(call, raw)
            response = await self._behaviour(request, context)
            return self.write(response)
        except BaseException as error:  # noqa: BLE001 - the outermost boundary
            status = call.judge(error, context)
        finally:
            self._end(call)
        # Outside the handler, so that the first error is not the context of the abort.
        await context.abort_with_status(status)

    async def unary_stream(self, raw: bytes, context: Context) -> None:
        """One request, many answers."""
        call = self._begin_stream(context)
        try:
            self._admit(call, context)
            request = self._read(call, raw)
            return await self._stream(call, request, context)
        except BaseException as error:  # noqa: BLE001 - the outermost boundary
            status = call.judge(error, context)
        finally:
            self._end(call)
        await context.abort_with_status(status)

    async def stream_unary(
        self, requests: AsyncIterator[Message], context: Context
    ) -> bytes:
        """Many requests, one answer."""
        call = self._begin_stream(context)
        try:
            self._admit(call, context)
            response = await self._behaviour(requests, context)
            return self.write(response)
        except BaseException as error:  # noqa: BLE001 - the outermost boundary
            status = call.judge(error, context)
        finally:
            self._end(call)
        await context.abort_with_status(status)

    async def stream_stream(
        self, requests: AsyncIterator[Message] | None, context: Context
    ) -> None:
        """Many requests, many answers."""
        call = self._begin_stream(context)
        try:
            self._admit(call, context)
            return await self._stream(call, requests, context)
        except BaseException as error:  # noqa: BLE001 - the outermost boundary
            status = call.judge(error, context)
        finally:
            self._end(call)
        await context.abort_with_status(status)

    def read_streamed(self, raw: bytes) -> Message:
        """Reads one message of a stream; each is checked like a single one."""
        return self._read(_streaming_call.get(), raw)

    def write(self, response: object) -> bytes:
        """Step 7. gRPC would send any message, and its reader would misread it."""
        if type(response) is not self._response_type or self._serialize is None:
            raise InvariantBroken
        return self._serialize(response)

    def _begin(self) -> Call:
        if self._roles is not None:
            self._guard.calls += 1
        return Call(self._rpc)

    def _begin_stream(self, context: Context) -> Call:
        call = self._begin()
        call.stream = Stream(context)
        _streaming_call.set(call)
        self._guard.streams.add(call)
        return call

    def _end(self, call: Call) -> None:
        if self._roles is not None:
            self._guard.calls -= 1
        if call.stream is not None:
            self._guard.streams.discard(call)
        call.note(self._level, self._meter)

    def _admit(self, call: Call, context: Context) -> None:
        """Steps 1 to 3."""
        guard = self._guard
        call.caller = caller = guard.authenticator.authenticate(context)
        set_caller(caller)
        if self._roles is None:
            return
        if self._roles.isdisjoint(caller.roles):
            raise CallerNotPermitted
        if guard.calls > guard.calls_max:
            raise LimitExceeded(retry_delay=_RETRY_WHEN_FULL)

    def _read(self, call: Call, raw: bytes) -> Message:
        """Steps 4 and 5."""
        if len(raw) > self._bytes_max:
            raise LimitExceeded(metadata={"request_bytes_max": str(self._bytes_max)})
        if self._parse is None:
            raise InvariantBroken
        try:
            request: Any = self._parse(raw)
        except DecodeError:
            # Without its cause, whose text is about the bytes it could not read.
            raise RequestMalformed from None
        if self._names_merchant:
            self._check_merchant(call, request)
        message: Message = request
        return message

    def _check_merchant(self, call: Call, request: Any) -> None:  # noqa: ANN401 - every request has a merchant
        merchant = read_merchant_id(request.merchant)
        if call.caller is None or not call.caller.may_act_for(merchant):
            raise MerchantNotFound
        call.merchant = merchant

    async def _stream(self, call: Call, request: object, context: Context) -> None:
        """Step 6 of handlers that yield their answers, and of those that write them."""
        if call.stream is None or not isasyncgenfunction(self._behaviour):
            await self._behaviour(request, context)
            return
        async with aclosing(self._behaviour(request, context)) as responses:
            async for response in responses:
                await call.stream.write(response)


def _response_type(rpc: str) -> type[Message]:
    """Returns the class of the RPC's answers, from its descriptor."""
    name = rpc.removeprefix("/").replace("/", ".")
    method = descriptor_pool.Default().FindMethodByName(name)
    made: type[Message] = GetMessageClass(method.output_type)
    return made
