"""Streams that are open when their caller stops being welcome, over real TLS."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.words.callers import Role
from gateway.words.identifiers import MerchantId
from tests.builders.certificates import DAY
from tests.builders.guarded_server import (
    BILLING,
    CALLERS,
    STREAMS,
    Refusal,
    Request,
    Response,
    serving,
)
from tests.fakes.clock import ManualClock

SECONDS = 5
SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.fixture
def clock():
    return ManualClock(datetime.now(UTC))


@pytest.fixture
async def served(ca, tmp_path, logs, clock):
    async with serving(ca, tmp_path, clock) as running:
        yield running


def watch(channel):
    stub: Any = health_pb2_grpc.HealthStub(channel)
    return stub.Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS)


def many(channel, merchant="shop"):
    """A stream that waits in its handler after the first answer."""
    call = channel.unary_stream(
        f"{STREAMS}/Many", Request.SerializeToString, Response.FromString
    )
    return call(Request(merchant=merchant, card_token="slow"), timeout=SECONDS)


async def end_of(stream):
    """Reads until the stream ends, and returns the error it ended with."""
    try:
        async with asyncio.timeout(SECONDS):
            while await stream.read() is not grpc.aio.EOF:
                pass
    except grpc.aio.AioRpcError as error:
        return Refusal.of(error)
    raise AssertionError("the stream ended well")


async def look_again(served):
    await served.directory.refresh()
    served.guard.check_streams()


class TestOpenStream:
    @pytest.mark.parametrize("opened", [watch, many])
    async def test_goes_on_while_its_caller_is_welcome(self, served, channel, opened):
        stream = opened(channel)
        await stream.read()

        for _ in range(3):
            await look_again(served)
            await asyncio.sleep(0)

        assert not stream.done()
        stream.cancel()

    @pytest.mark.parametrize("opened", [watch, many])
    async def test_ends_when_its_caller_is_disabled(self, served, channel, opened):
        stream = opened(channel)
        await stream.read()

        served.table.rows.clear()
        await look_again(served)

        refusal = await end_of(stream)
        assert (refusal.code, refusal.reason) == ("UNAUTHENTICATED", "CALLER_UNKNOWN")

    @pytest.mark.parametrize("opened", [watch, many])
    async def test_ends_when_its_certificate_expires(
        self, served, channel, clock, opened
    ):
        stream = opened(channel)
        await stream.read()

        clock.move(DAY + timedelta(seconds=1))
        await look_again(served)

        refusal = await end_of(stream)
        assert refusal.reason == "CALLER_UNKNOWN"
        assert refusal.metadata == {"certificate": "has expired"}

    async def test_ends_when_its_caller_loses_the_role(self, served, channel):
        stream = many(channel)
        await stream.read()

        served.table.rows[0] = replace(CALLERS[0], roles=frozenset({Role.AUDITOR}))
        await look_again(served)

        assert (await end_of(stream)).reason == "CALLER_NOT_PERMITTED"

    async def test_ends_when_its_caller_loses_the_merchant(self, served, channel):
        stream = many(channel)
        await stream.read()

        other = frozenset({MerchantId("other")})
        served.table.rows[0] = replace(CALLERS[0], merchants=other)
        await look_again(served)

        assert (await end_of(stream)).reason == "MERCHANT_NOT_FOUND"

    async def test_of_a_sender_ends_too(self, served, channel):
        """A caller that only sends never asks again whether it may."""
        call = channel.stream_unary(
            f"{STREAMS}/Gathered", Request.SerializeToString, Response.FromString
        )(timeout=SECONDS)
        await call.write(Request(merchant="shop"))
        async with asyncio.timeout(SECONDS):
            while not any(item.merchant for item in served.guard.streams):
                await asyncio.sleep(0.001)

        served.table.rows.clear()
        await look_again(served)

        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        assert Refusal.of(raised.value).reason == "CALLER_UNKNOWN"

    async def test_leaves_nothing_behind(self, served, channel):
        stream = many(channel)
        await stream.read()
        served.table.rows.clear()
        await look_again(served)
        await end_of(stream)

        assert served.guard.calls == 0
        assert not served.guard.streams

    async def test_that_ended_by_itself_is_forgotten(self, served, channel):
        stream = watch(channel)
        await stream.read()
        stream.cancel()
        async with asyncio.timeout(SECONDS):
            while served.guard.streams:
                await asyncio.sleep(0.001)

        await look_again(served)


class TestSingleCall:
    async def test_is_refused_once_the_certificate_expired(
        self, served, channel, clock
    ):
        """On a connection that was made when it was good."""
        stub: Any = health_pb2_grpc.HealthStub(channel)
        assert (await stub.Check(health_pb2.HealthCheckRequest())).status == SERVING

        clock.move(DAY + timedelta(seconds=1))

        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.Check(health_pb2.HealthCheckRequest())
        assert Refusal.of(raised.value).metadata == {"certificate": "has expired"}

    async def test_runs_to_its_end(self, served, channel):
        """It may be between two steps of a payment."""
        stub = channel.unary_unary(
            "/bailee.v1.VaultService/GetCardToken",
            Request.SerializeToString,
            Response.FromString,
        )
        call = asyncio.ensure_future(
            stub(Request(merchant="shop", card_token="until-drained"), timeout=SECONDS)
        )
        async with asyncio.timeout(SECONDS):
            await served.vault.arrived.wait()

        served.table.rows.clear()
        await look_again(served)
        served.vault.released.set()

        assert (await call).card_token.name == BILLING
