"""The simulator in a process of its own, over HTTP on loopback.

Paths beside the processor's own: GET /ledger returns every object, POST
/control/faults arms faults, POST /control/prune forgets the idempotency keys.
"""

import asyncio
import json
from pathlib import Path
from typing import Final

from aiohttp import web

from gateway.processors.simulator.ledger import Ledger, Lost

KEY_HEADER: Final = "Idempotency-Key"
_SLOW: Final = "slow:"


class SimulatorServer:
    """Answers HTTP requests from a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.application = web.Application()
        self.application.add_routes(
            [
                web.get("/ledger", self._show_ledger),
                web.post("/control/faults", self._arm),
                web.post("/control/prune", self._prune),
                web.route("*", "/v1/{rest:.*}", self._handle),
            ]
        )

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        key = request.headers.get(KEY_HEADER, "")
        body = dict(request.query)
        if request.method == "POST":
            body = await request.json()
        fault = self._ledger.faults.peek(request.path)
        if fault is not None and fault.startswith(_SLOW):
            self._ledger.faults.take(request.path)
            await asyncio.sleep(float(fault.removeprefix(_SLOW)))
        try:
            answer = self._ledger.handle(request.method, request.path, key, body)
        except Lost:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        if fault == "malformed":
            self._ledger.faults.take(request.path)
            return web.Response(text="{not json", status=answer.status)
        return web.json_response(answer.body, status=answer.status)

    async def _show_ledger(self, _request: web.Request) -> web.Response:
        return web.json_response(list(self._ledger.objects.values()))

    async def _arm(self, request: web.Request) -> web.Response:
        faults = await request.json()
        self._ledger.faults.armed.extend((path, fault) for path, fault in faults)
        return web.json_response({})

    async def _prune(self, _request: web.Request) -> web.Response:
        self._ledger.prune_keys()
        return web.json_response({})


async def run_simulator(port: int, file: Path | None) -> None:
    """Serves on loopback until cancelled; prints where as its first line."""
    runner = web.AppRunner(SimulatorServer(Ledger(file)).application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    host, bound = runner.addresses[0][:2]
    print(json.dumps({"listening": f"http://{host}:{bound}"}), flush=True)  # noqa: T201 - its interface
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
