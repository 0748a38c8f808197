"""Starting, health, draining: over real TLS."""

import asyncio
import gc
import logging
import time
from typing import Any

import grpc
import pytest
from bailee.v1 import vault_service_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.parts import PartState
from gateway.rpc.server import OPTIONS, PortTaken, listen
from gateway.rpc.tls import mutual_tls
from tests.builders.guarded_server import BILLING, READER, Request, refusal_of

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
SECONDS = 5


def check(channel, service=""):
    stub: Any = health_pb2_grpc.HealthStub(channel)
    return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)


def watch(channel, service=""):
    stub: Any = health_pb2_grpc.HealthStub(channel)
    return stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)


class TestHealth:
    @pytest.mark.parametrize(
        ("service", "status"),
        [
            ("", SERVING),
            ("bailee.v1.VaultService", SERVING),
            ("bailee.v1.PaymentService", SERVING),
            ("bailee.v1.NoService", SERVICE_UNKNOWN),
        ],
    )
    async def test_is_told(self, channel, service, status):
        assert (await check(channel, service)).status == status

    async def test_needs_no_role(self, served, ca):
        async with served.channel(ca.client(READER)) as channel:
            assert (await check(channel)).status == SERVING

    async def test_does_not_count_as_a_call(self, served, channel):
        stream = watch(channel)
        await stream.read()

        assert served.guard.calls == 0
        stream.cancel()

    async def test_does_not_fill_the_access_log(self, channel, logs):
        await check(channel)

        assert '"level": "info"' not in logs.getvalue()

    async def test_bounds_its_watchers(self, channel):
        streams = [watch(channel) for _ in range(101)]
        firsts = await asyncio.gather(
            *(stream.read() for stream in streams), return_exceptions=True
        )

        refused = [item for item in firsts if isinstance(item, grpc.aio.AioRpcError)]
        assert [error.code().name for error in refused] == ["RESOURCE_EXHAUSTED"]
        for stream in streams:
            stream.cancel()

    async def test_says_which_part_does_not_work(self, served, channel):
        served.parts.report("processors", PartState.DEGRADED, "does not answer")
        served.parts.mend("storage")

        assert (await check(channel, "part/processors")).status == NOT_SERVING
        assert (await check(channel, "part/storage")).status == SERVING
        assert (await check(channel, "part/nothing")).status == SERVICE_UNKNOWN
        assert (await check(channel)).status == SERVING

    async def test_watch_shows_a_part_that_goes_down_and_comes_back(
        self, served, channel
    ):
        stream = watch(channel, "bailee.v1.VaultService")
        seen = [(await stream.read()).status]
        for state in (PartState.DOWN, PartState.USABLE):
            served.parts.report("storage", state, "the disk is full")
            seen.append((await stream.read()).status)

        assert seen == [SERVING, NOT_SERVING, SERVING]
        stream.cancel()


class TestDrain:
    async def test_ends_watch_streams_so_that_stopping_is_quick(self, served, channel):
        """One open Watch holds a plain server for its whole grace."""
        stream = watch(channel)
        assert (await stream.read()).status == SERVING

        started = time.monotonic()
        served.health.drain()
        last, end = await stream.read(), await stream.read()
        await served.server.stop(30)

        assert (last.status, end) == (NOT_SERVING, grpc.aio.EOF)
        assert time.monotonic() - started < 2

    async def test_lets_a_running_call_finish(self, served, channel):
        stub = vault_service_pb2_grpc.VaultServiceStub(channel)
        request = Request(merchant="shop", card_token="until-drained")
        call = asyncio.ensure_future(stub.GetCardToken(request, timeout=SECONDS))
        async with asyncio.timeout(SECONDS):
            await served.vault.arrived.wait()

        served.health.drain()
        stopping = asyncio.create_task(served.server.stop(30))
        await asyncio.sleep(0)
        served.vault.released.set()
        answer = await call
        async with asyncio.timeout(2):
            await stopping

        assert answer.card_token.name == BILLING

    async def test_cuts_a_call_off_after_the_grace(self, served, channel):
        stub = vault_service_pb2_grpc.VaultServiceStub(channel)
        call = stub.GetCardToken(Request(merchant="shop", card_token="slow"))
        async with asyncio.timeout(SECONDS):
            await served.vault.arrived.wait()
            await served.server.stop(0.1)
            refusal = await refusal_of(call)
            await served.vault.left.wait()

        assert refusal.code in ("UNAVAILABLE", "CANCELLED")

    async def test_takes_no_new_calls(self, served, channel):
        await check(channel)
        served.health.drain()
        await served.server.stop(1)

        assert (await refusal_of(check(channel))).code == "UNAVAILABLE"


class TestListen:
    @pytest.fixture
    def rival(self):
        """A server that never starts.

        While it is freed, grpcio 1.85 logs it at DEBUG, and a log record that outlives
        it crashes the process.
        """
        grpc_log = logging.getLogger("grpc")
        level = grpc_log.level
        grpc_log.setLevel(logging.INFO)
        yield grpc.aio.server(options=OPTIONS)
        gc.collect()
        grpc_log.setLevel(level)

    async def test_refuses_a_port_that_another_server_has(self, served, rival):
        """By default gRPC lets two servers share a port, and each gets half."""
        credentials = mutual_tls(**served.files)

        with pytest.raises(PortTaken, match="cannot listen on localhost:"):
            listen(rival, served.address, credentials)

    async def test_refuses_an_address_of_another_machine(self, served, rival):
        credentials = mutual_tls(**served.files)

        with pytest.raises(PortTaken, match="change `listen`"):
            listen(rival, "192.0.2.1:7443", credentials)
