"""A stand-in for Stripe on loopback: HTTP, idempotency and faults around the books.

It answers as Stripe does where it hurts:
  * every request is judged by Stripe's own types (strict_params.py); a key that is
    withdrawn, misspelt or empty is a 400, and a wrong key or version never passes;
  * the answer of a call that began is kept for its key, 402 and 500 included;
  * the same key with another request is a 400, at the same time a 409.
"""

import asyncio
import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import web

from tests.contract.processor_harness import SLOW_SECONDS, Fault, Operation
from tests.processors.stripe.books import Books, Refused
from tests.processors.stripe.shapes import error_body
from tests.processors.stripe.strict_params import judge, read_form

KEY = "rk_test_51StandInStandInStandInStandIn"
VERSION = "2026-10-28.endive"
_INVALID = "invalid_request_error"

_CARDS, _INTENTS = "/v1/payment_methods", "/v1/payment_intents"
_ID = r"/(?P<id>[^/]+)"
# Method, path, operation of the port, Stripe's type of the request, method of Books.
_ROUTES = (
    ("POST", "/v1/customers", Operation.CUSTOMER, "Customer.Create", "create_customer"),
    ("POST", _CARDS, Operation.STORE, "PaymentMethod.Create", "create_card"),
    ("POST", f"{_CARDS}{_ID}/attach", None, "PaymentMethod.Attach", "attach_card"),
    ("POST", _INTENTS, Operation.CHARGE, "PaymentIntent.Create", "create_intent"),
    (
        "POST",
        f"{_INTENTS}{_ID}/confirm",
        Operation.CONFIRM,
        "PaymentIntent.Confirm",
        "confirm",
    ),
    (
        "POST",
        f"{_INTENTS}{_ID}/capture",
        Operation.CAPTURE,
        "PaymentIntent.Capture",
        "capture",
    ),
    (
        "POST",
        f"{_INTENTS}{_ID}/cancel",
        Operation.CANCEL,
        "PaymentIntent.Cancel",
        "cancel",
    ),
    ("POST", "/v1/refunds", Operation.REFUND, "Refund.Create", "create_refund"),
    ("GET", _INTENTS, Operation.FIND, "PaymentIntent.List", "list_intents"),
    (
        "GET",
        f"{_INTENTS}/search",
        Operation.FIND,
        "PaymentIntent.Search",
        "search_intents",
    ),
    (
        "GET",
        f"{_INTENTS}{_ID}",
        Operation.INQUIRE,
        "PaymentIntent.Retrieve",
        "retrieve",
    ),
)


@dataclass(frozen=True)
class Received:
    """A request as it came over the wire."""

    method: str
    path: str
    headers: dict
    text: str
    form: dict


@dataclass(frozen=True)
class Reply:
    """An answer, kept for its idempotency key."""

    status: int
    body: dict
    request: tuple = ()


_FAILURE = Reply(500, error_body("api_error", "An unknown error occurred"))
# Answers of calls that were not executed; none is kept.
_NOT_EXECUTED = {
    Fault.ERROR: _FAILURE,
    Fault.RATE_LIMITED: Reply(
        429, error_body(_INVALID, "Too many requests", code="rate_limit")
    ),
}


@dataclass
class StripeStandIn:
    """The stand-in; ``received`` is everything that ever arrived."""

    address: str = ""
    books: Books = None
    received: list = field(default_factory=list)
    replies: dict = field(default_factory=dict)
    running: set = field(default_factory=set)
    faults: dict = field(default_factory=dict)
    # The answer of the next call of an operation, whatever was asked.
    canned: dict = field(default_factory=dict)

    def __post_init__(self):
        self.books = Books(now=self.now)

    def now(self):
        return datetime.now(UTC)

    def forms(self, path):
        """Returns the forms that were posted to this path."""
        return [each.form for each in self.received if each.path == path]

    async def handle(self, request):
        posted = request.method == "POST"
        text = await request.text() if posted else request.query_string
        received = Received(
            request.method, request.path, dict(request.headers), text, read_form(text)
        )
        self.received.append(received)
        route = _find_route(received)
        if route is None:
            return _answer(Reply(404, error_body(_INVALID, "Unrecognized request URL")))
        operation, params_type, work, object_id = route
        if operation in self.canned:
            return self.canned.pop(operation)
        problem = _check_headers(received) or _check_form(received, params_type)
        fault = None if problem else self.faults.pop(operation, None)
        if fault is Fault.LOST_BEFORE:
            return await _hang_up(request)
        reply = (
            problem
            or _NOT_EXECUTED.get(fault)
            or await self._reply(received, work, object_id, fault)
        )
        return await _send(request, reply, fault)

    async def _reply(self, received, work, object_id, fault):
        """Returns the kept answer of the key, or executes and keeps one."""
        key = received.headers.get("Idempotency-Key")
        if received.method == "GET":
            return self._execute(received, work, object_id, fault)
        same = (received.path, received.text)
        if key in self.replies:
            kept = self.replies[key]
            if kept.request == same:
                return kept
            return Reply(
                400,
                error_body(
                    "idempotency_error",
                    f"Keys for idempotent requests can only be used with the same "
                    f"parameters they were first used with. Try using a key other than "
                    f"'{key}' if you meant to execute a different request.",
                ),
            )
        if key in self.running:
            return Reply(
                409,
                error_body(
                    _INVALID,
                    "There is currently another in-progress request using this "
                    "Idempotent Key.",
                    code="idempotency_key_in_use",
                ),
            )
        self.running.add(key)
        try:
            await asyncio.sleep(0.01)
            reply = self._execute(received, work, object_id, fault)
        finally:
            self.running.discard(key)
        self.replies[key] = Reply(reply.status, reply.body, same)
        return self.replies[key]

    def _execute(self, received, work, object_id, fault):
        if fault is Fault.STORED_ERROR_BEFORE:
            return _FAILURE
        arguments = [object_id] if object_id else []
        try:
            body = getattr(self.books, work)(*arguments, received.form)
        except Refused as refused:
            return Reply(refused.status, refused.body)
        return _FAILURE if fault is Fault.STORED_ERROR_AFTER else Reply(200, body)


def _find_route(received):
    for method, path, operation, request_type, work in _ROUTES:
        found = re.fullmatch(path, received.path)
        if method == received.method and found:
            params_type = f"{request_type.replace('.', '')}Params"
            return operation, params_type, work, found.groupdict().get("id")
    return None


def _check_headers(received):
    headers = received.headers
    if headers.get("Authorization") != f"Bearer {KEY}":
        return Reply(401, error_body(_INVALID, "Invalid API Key provided"))
    if headers.get("Stripe-Version") != VERSION:
        return Reply(400, error_body(_INVALID, "Invalid Stripe API version"))
    if len(headers.get("Idempotency-Key", "")) > 255:
        return Reply(400, error_body("idempotency_error", "The key is too long"))
    return None


def _check_form(received, params_type):
    """Stripe keeps no answer of a request that it did not understand."""
    if re.search(r"=(&|$)", received.text):
        return Reply(
            400,
            error_body(_INVALID, "Empty", code="parameter_invalid_empty"),
        )
    problems = judge(params_type, received.form)
    if problems:
        return Reply(
            400,
            error_body(_INVALID, "; ".join(problems), code="parameter_unknown"),
        )
    return None


def _answer(reply):
    return web.json_response(
        reply.body, status=reply.status, headers={"Request-Id": "req_standin"}
    )


async def _send(request, reply, fault):
    """Sends the answer, or what the fault leaves of it."""
    if fault is Fault.LOST_AFTER:
        return await _hang_up(request)
    if fault is Fault.SLOW:
        await asyncio.sleep(SLOW_SECONDS)
    if fault is Fault.MALFORMED_BODY:
        return web.Response(text="<html>all is well</html>")
    if fault not in (Fault.SLOW_BODY, Fault.TRUNCATED_BODY):
        return _answer(reply)
    content = json.dumps(reply.body).encode()
    response = web.StreamResponse(headers={"Content-Length": str(len(content))})
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    if fault is Fault.TRUNCATED_BODY:
        return await _hang_up(request)
    await asyncio.sleep(SLOW_SECONDS)
    await response.write(content[len(content) // 2 :])
    return response


async def _hang_up(request):
    """Ends the connection without another byte."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()


@asynccontextmanager
async def stripe_stand_in():
    """Serves an empty stand-in on a free port of loopback."""
    stand_in = StripeStandIn()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", stand_in.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    stand_in.address = f"http://127.0.0.1:{port}"
    try:
        yield stand_in
    finally:
        await runner.cleanup()
