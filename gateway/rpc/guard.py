"""The one interceptor, outermost: who calls, may they, and what may leave.

Invariants:
  * Nothing that an exception says reaches the wire or the log: it may quote a card.
    The log gets the exception's type and place, the caller an incident number.
  * Malformed bytes are INVALID_ARGUMENT: this guard parses the request itself.
  * A merchant that the caller does not act for looks like one that does not exist.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NoReturn

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from gateway.errors import (
    CallCanceled,
    CallerNotPermitted,
    GatewayError,
    InvariantBroken,
    MerchantNotFound,
    RequestMalformed,
    RpcNotFound,
)
from gateway.rpc.authorization import OPEN_TO_EVERY_CALLER, ROLES
from gateway.rpc.callers import Authenticator, set_caller
from gateway.rpc.status import CODES, show_error, show_incident
from gateway.words.callers import Caller
from gateway.words.identifiers import MerchantId

_log: Final = logging.getLogger(__name__)

Handler = Callable[[Any, Any], Awaitable[Any]]
Parse = Callable[[bytes], Any]


class Guard(grpc.aio.ServerInterceptor):
    """Wraps every handler, unary or streaming."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # noqa: ANN401 - gRPC's handler types have no common name
        """Returns the handler of the RPC inside the guard."""
        rpc = handler_call_details.method
        handler = await continuation(handler_call_details)
        if handler is None:
            return grpc.unary_unary_rpc_method_handler(self._refuse_unknown(rpc))
        parse, show = handler.request_deserializer, handler.response_serializer
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(rpc, handler.unary_unary, parse, show)
            )
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(
                self._unary_stream(rpc, handler.unary_stream, parse, show)
            )
        if handler.stream_unary:
            return grpc.stream_unary_rpc_method_handler(
                self._stream_unary(rpc, handler.stream_unary, parse, show)
            )
        return grpc.stream_stream_rpc_method_handler(
            self._stream_stream(rpc, handler.stream_stream, parse, show)
        )

    def _unary(self, rpc: str, inner: Handler, parse: Parse, show: Parse) -> Handler:
        async def call(raw: bytes, context: Any) -> Any:  # noqa: ANN401 - gRPC's own
            started = time.monotonic()
            try:
                request = _parse(parse, raw)
                self._admit(rpc, request, context)
                response = await inner(request, context)
                answer = _serialize(show, response)
            except BaseException as error:  # noqa: BLE001 - the outermost boundary
                await _end(rpc, error, context, started)
            _note(rpc, "OK", started)
            return answer

        return call

    def _stream_unary(
        self, rpc: str, inner: Callable[..., Any], parse: Parse, show: Parse
    ) -> Handler:
        async def call(raw: AsyncIterator[bytes], context: Any) -> Any:  # noqa: ANN401
            started = time.monotonic()
            try:
                self._admit(rpc, None, context)
                response = await inner(self._each(rpc, raw, parse, context), context)
                answer = _serialize(show, response)
            except BaseException as error:  # noqa: BLE001 - the outermost boundary
                await _end(rpc, error, context, started)
            _note(rpc, "OK", started)
            return answer

        return call

    def _unary_stream(
        self, rpc: str, inner: Callable[..., Any], parse: Parse, show: Parse
    ) -> Callable[..., AsyncIterator[Any]]:
        async def call(raw: bytes, context: Any) -> AsyncIterator[Any]:  # noqa: ANN401
            started = time.monotonic()
            try:
                request = _parse(parse, raw)
                self._admit(rpc, request, context)
                async for response in inner(request, context):
                    yield _serialize(show, response)
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - the outermost boundary
                await _end(rpc, error, context, started)
            _note(rpc, "OK", started)

        return call

    def _stream_stream(
        self, rpc: str, inner: Callable[..., Any], parse: Parse, show: Parse
    ) -> Callable[..., AsyncIterator[Any]]:
        async def call(raw: AsyncIterator[bytes], context: Any) -> AsyncIterator[Any]:  # noqa: ANN401
            started = time.monotonic()
            try:
                self._admit(rpc, None, context)
                requests = self._each(rpc, raw, parse, context)
                async for response in inner(requests, context):
                    yield _serialize(show, response)
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - the outermost boundary
                await _end(rpc, error, context, started)
            _note(rpc, "OK", started)

        return call

    async def _each(
        self,
        rpc: str,
        raw: AsyncIterator[bytes],
        parse: Parse,
        context: Any,  # noqa: ANN401
    ) -> AsyncIterator[Any]:
        async for part in raw:
            request = _parse(parse, part)
            self._admit(rpc, request, context)
            yield request

    def _refuse_unknown(self, rpc: str) -> Handler:
        async def call(_raw: bytes, context: Any) -> NoReturn:  # noqa: ANN401
            await _end(rpc, RpcNotFound(), context, time.monotonic())

        return call

    def _admit(self, rpc: str, request: Message | None, context: Any) -> None:  # noqa: ANN401
        """Raises unless the caller may make this call for this merchant."""
        caller = self._authenticator.authenticate(context)
        set_caller(caller)
        if rpc in OPEN_TO_EVERY_CALLER:
            return
        if not ROLES.get(rpc, frozenset()) & caller.roles:
            raise CallerNotPermitted
        if request is not None:
            _check_merchant(caller, request)


def _check_merchant(caller: Caller, request: Message) -> None:
    merchant: str = getattr(request, "merchant", "")
    if not caller.may_act_for(MerchantId(merchant)):
        raise MerchantNotFound


def _parse(parse: Parse, raw: bytes) -> Any:  # noqa: ANN401 - the RPC's message
    try:
        return parse(raw)
    except DecodeError:
        raise RequestMalformed from None


def _serialize(show: Parse, response: Any) -> Any:  # noqa: ANN401 - the RPC's message
    if not isinstance(response, Message):
        raise InvariantBroken
    return show(response)  # type: ignore[arg-type]


async def _end(
    rpc: str,
    error: BaseException,
    context: Any,  # noqa: ANN401 - gRPC's own
    started: float,
) -> NoReturn:
    """Ends the call with a status that says only what is safe."""
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if isinstance(error, asyncio.CancelledError):
        if _was_canceled(context):
            _note(rpc, "CANCELLED", started)
            raise error
        # A handler that raises this by itself would leave the client hanging.
        error = CallCanceled()
    if isinstance(error, GatewayError) and not isinstance(error, InvariantBroken):
        _note(rpc, CODES[error.reason].name, started, reason=error.reason.value)
        await context.abort_with_status(show_error(error))
    incident = uuid.uuid4().hex[:12]
    fields = {
        "rpc": rpc,
        "incident": incident,
        "type": type(error).__qualname__,
        "at": _place(error),
    }
    _log.error("unhandled exception", extra=fields)
    _note(rpc, "INTERNAL", started)
    await context.abort_with_status(show_incident(incident))
    raise error  # not reached: abort raises


def _was_canceled(context: Any) -> bool:  # noqa: ANN401 - gRPC's own
    if context.cancelled():
        return True
    remaining = context.time_remaining()
    return remaining is not None and remaining <= 0


def _place(error: BaseException) -> str:
    """Returns ``file:line`` of the innermost frame; it holds no values."""
    trace = error.__traceback__
    if trace is None:
        return "?"
    while trace.tb_next is not None:
        trace = trace.tb_next
    name = trace.tb_frame.f_code.co_filename
    return f"{name.rsplit('gateway/', 1)[-1]}:{trace.tb_lineno}"


def _note(rpc: str, code: str, started: float, *, reason: str = "") -> None:
    """Writes one line for each call; never a message."""
    if _log.isEnabledFor(logging.INFO):
        milliseconds = round((time.monotonic() - started) * 1000, 2)
        fields = {"rpc": rpc, "code": code, "milliseconds": milliseconds}
        if reason:
            fields["reason"] = reason
        _log.info("call", extra=fields)
