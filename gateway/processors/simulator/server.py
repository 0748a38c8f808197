"""The simulated processor as an HTTP server on loopback.

Three sides: ``/v1/…`` is the processor, ``/authenticate/…`` is where a cardholder is
sent, ``/control/…`` and ``/ledger`` are for tests. docs/processors/simulator.md has the
whole list.

Invariant: the server listens on 127.0.0.1 alone; there is nothing to configure.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from html import escape
from typing import Any, Final, Self

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.errors import StorageUnavailable
from gateway.processors.simulator.faults import (
    Delivery,
    Fault,
    FaultUnknown,
    Front,
    Manner,
)
from gateway.processors.simulator.http_transport import KEY_HEADER
from gateway.processors.simulator.ledger import Ledger
from gateway.processors.simulator.refusals import Refusal
from gateway.processors.simulator.wire import (
    Answer,
    Operation,
    Request,
    collection_named,
)

HOST: Final = "127.0.0.1"
_BODY_BYTES_MAX: Final = 64 << 10
_TIMES_MAX: Final = 1000
_JSON: Final = "application/json"
_NOT_JSON: Final = b'{"id": "pay_'


class SimulatorServer:
    """A running server. Close it in the end; it closes its ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.front = Front(ledger)
        self._runner = web.AppRunner(self._application(), access_log=None)
        self.port = 0

    @classmethod
    async def start(cls, ledger: Ledger, port: int = 0) -> Self:
        """Starts serving; port 0 takes a free one.

        Raises:
            OSError: The port is taken.
        """
        server = cls(ledger)
        await server._runner.setup()
        await web.TCPSite(server._runner, HOST, port).start()
        server.port = server._runner.addresses[0][1]
        ledger.books.public_url = server.url
        return server

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    async def close(self) -> None:
        """Stops serving and closes the ledger."""
        await self._runner.cleanup()
        self.ledger.close()

    def _application(self) -> web.Application:
        application = web.Application(
            client_max_size=_BODY_BYTES_MAX, middlewares=[_answer_errors]
        )
        application.add_routes(
            [
                web.post(
                    "/v1/payments/{payment}/{move:confirm|capture|cancel}", self._move
                ),
                web.post("/v1/{collection}", self._create),
                web.get("/v1/payments/{payment}", self._read),
                web.get("/v1/payments", self._search),
                web.get("/authenticate/{payment}", self._show_authentication),
                web.post("/authenticate/{payment}", self._finish_authentication),
                web.get("/ledger", self._dump),
                web.post("/control/faults", self._plan),
                web.delete("/control/faults", self._clear),
                web.post("/control/clock", self._advance),
                web.post("/control/prune", self._prune),
                web.post("/control/authenticate", self._authenticate),
            ]
        )
        return application

    # The processor

    async def _create(self, http: web.Request) -> web.StreamResponse:
        operation = collection_named(http.match_info["collection"])
        if operation is None:
            raise web.HTTPNotFound
        return await self._carry_out(http, operation, "")

    async def _move(self, http: web.Request) -> web.StreamResponse:
        operation = Operation(http.match_info["move"])
        return await self._carry_out(http, operation, http.match_info["payment"])

    async def _carry_out(
        self, http: web.Request, operation: Operation, target: str
    ) -> web.StreamResponse:
        request = Request(
            operation=operation,
            target=target,
            key=http.headers.get(KEY_HEADER, ""),
            body=await _read_json(http),
        )
        return await self._deliver(http, request)

    async def _read(self, http: web.Request) -> web.StreamResponse:
        target = http.match_info["payment"]
        return await self._deliver(
            http, Request(operation=Operation.READ, target=target)
        )

    async def _search(self, http: web.Request) -> web.StreamResponse:
        return await self._deliver(
            http, Request(operation=Operation.SEARCH, body=dict(http.query))
        )

    async def _deliver(self, http: web.Request, request: Request) -> web.StreamResponse:
        return await _send(http, await self.front.deliver(request))

    # The cardholder

    async def _show_authentication(self, http: web.Request) -> web.Response:
        payment = escape(http.match_info["payment"], quote=True)
        page = (
            "<!doctype html><meta charset=utf-8><title>Simulated bank</title>"
            f"<h1>Simulated bank</h1><p>Payment {payment}</p>"
            "<form method=post><button name=result value=succeed>Authenticate</button> "
            "<button name=result value=fail>Refuse</button></form>"
        )
        return web.Response(text=page, content_type="text/html")

    async def _finish_authentication(self, http: web.Request) -> web.Response:
        form = await http.post()
        payment = self.ledger.authenticate(
            http.match_info["payment"], succeeded=form.get("result") == "succeed"
        )
        raise web.HTTPSeeOther(payment.return_url)

    # The control side

    async def _dump(self, _http: web.Request) -> web.Response:
        return web.json_response(self.ledger.dump())

    async def _plan(self, http: web.Request) -> web.Response:
        body = await _read_json(http)
        try:
            fault = Fault.read(str(body.get("fault", "")))
            name = body.get("operation")
            operation = None if name is None else Operation(name)
        except (FaultUnknown, ValueError):
            raise _bad("fault or operation is unknown") from None
        times = body.get("times", 1)
        if not isinstance(times, int) or not 1 <= times <= _TIMES_MAX:
            raise _bad("times is not 1 to 1000")
        self.front.plan(fault, operation, times)
        return web.json_response({})

    async def _clear(self, _http: web.Request) -> web.Response:
        self.front.clear()
        return web.json_response({})

    async def _advance(self, http: web.Request) -> web.Response:
        seconds = (await _read_json(http)).get("advance_seconds")
        if not isinstance(seconds, int) or seconds < 0:
            raise _bad("advance_seconds is not a whole number from 0")
        self.ledger.advance(timedelta(seconds=seconds))
        return web.json_response({"now": self.ledger.now().isoformat()})

    async def _prune(self, _http: web.Request) -> web.Response:
        self.ledger.prune_keys()
        return web.json_response({})

    async def _authenticate(self, http: web.Request) -> web.Response:
        body = await _read_json(http)
        payment = self.ledger.authenticate(
            str(body.get("payment", "")), succeeded=body.get("succeeded") is True
        )
        return web.json_response(payment.show())


async def _send(http: web.Request, delivery: Delivery) -> web.StreamResponse:
    """Sends an answer, whole or spoiled."""
    answer = delivery.answer
    content = json.dumps(answer.body).encode()
    headers = {"Idempotent-Replayed": "true"} if answer.replayed else {}
    if delivery.manner is Manner.WHOLE and not delivery.body_after:
        return web.Response(
            body=content, status=answer.status, headers=headers, content_type=_JSON
        )
    if delivery.manner is Manner.MALFORMED:
        return web.Response(body=_NOT_JSON, status=200, content_type=_JSON)
    if delivery.manner is Manner.DROPPED:
        _hang_up(http)
        return web.Response()
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_type, response.content_length = _JSON, len(content)
    await response.prepare(http)
    if delivery.manner is Manner.TRUNCATED:
        await response.write(content[: len(content) // 2])
        _hang_up(http, abort=False)
        return response
    await asyncio.sleep(delivery.body_after)
    await response.write(content)
    await response.write_eof()
    return response


def _hang_up(http: web.Request, *, abort: bool = True) -> None:
    if http.transport is not None:
        if abort:
            http.transport.abort()
        else:
            http.transport.close()


async def _read_json(http: web.Request) -> Mapping[str, Any]:
    try:
        body = await http.json()
    except ValueError:
        raise _bad("the body is not JSON") from None
    if not isinstance(body, dict):
        raise _bad("the body is not a JSON object")
    return body


def _bad(text: str) -> web.HTTPBadRequest:
    error = {"error": {"type": "invalid_request_error", "code": "body_invalid"}}
    error["error"]["message"] = text
    return web.HTTPBadRequest(text=json.dumps(error), content_type=_JSON)


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers a refusal of the control side, and a disk that is full."""
    try:
        return await handler(request)
    except Refusal as refusal:
        answer = Answer(refusal.status, {"error": refusal.error})
        return await _send(request, Delivery(answer))
    except StorageUnavailable:
        error = {"type": "api_error", "code": "ledger_unavailable"}
        return await _send(request, Delivery(Answer(500, {"error": error})))
