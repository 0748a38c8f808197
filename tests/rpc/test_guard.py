"""The guard over real TLS: what callers learn, what the log says, what never leaks."""

import asyncio
import json

import grpc
import pytest
from bailee.v1 import vault_service_pb2_grpc

from tests.builders.guarded_server import (
    BILLING,
    PLATFORM,
    READER,
    SECRET_WORDS,
    STREAMS,
    Refusal,
    Request,
    Response,
    refusal_of,
    serving,
)

GET = "/bailee.v1.VaultService/GetCardToken"
FAULTS = ("raise", "chain", "group", "panic", "unprintable", "none", "foreign")
SECONDS = 5


def request(behaviour="ok", merchant="shop"):
    return Request(merchant=merchant, card_token=behaviour)


def get(channel, behaviour="ok", merchant="shop"):
    stub = vault_service_pb2_grpc.VaultServiceStub(channel)
    return stub.GetCardToken(request(behaviour, merchant), timeout=SECONDS)


def send_raw(channel, raw, rpc=GET):
    return channel.unary_unary(rpc)(raw, timeout=SECONDS)


def open_stream(channel, rpc, behaviours):
    """Calls a streaming RPC of each kind by its name; returns all answers."""
    name = rpc.rsplit("/", 1)[-1]
    codec = (Request.SerializeToString, Response.FromString)
    messages = [request(behaviour) for behaviour in behaviours]
    if name == "Gathered":
        return channel.stream_unary(rpc, *codec)(iter(messages), timeout=SECONDS)
    if name == "Echoed":
        call = channel.stream_stream(rpc, *codec)(iter(messages), timeout=SECONDS)
    else:
        call = channel.unary_stream(rpc, *codec)(messages[0], timeout=SECONDS)
    return collect(call)


async def collect(call):
    return [answer async for answer in call]


def lines(logs, message):
    found = (json.loads(line) for line in logs.getvalue().splitlines())
    return [line for line in found if line["message"] == message]


class TestErrors:
    @pytest.mark.parametrize("fault", FAULTS)
    async def test_hide_what_nobody_foresaw(self, channel, logs, capfd, fault):
        """Neither the caller nor the log learns what an exception says."""
        refusal = await refusal_of(get(channel, fault))

        assert (refusal.code, refusal.reason) == ("INTERNAL", "INTERNAL")
        told = f"{refusal}{logs.getvalue()}{capfd.readouterr()}"
        assert not [word for word in SECRET_WORDS if word in told]

    async def test_give_an_incident_number_that_the_log_knows(self, channel, logs):
        refusal = await refusal_of(get(channel, "chain"))

        incident = refusal.metadata["incident"]
        assert incident in refusal.message
        [line] = lines(logs, "unforeseen error")
        assert line["incident"] == incident
        assert line["type"] == "builtins.ValueError"
        assert line["at"].startswith("builders/guarded_server.py:")
        assert line["causes"][0].startswith("builtins.KeyError at builders/")

    async def test_name_the_field_and_nothing_else(self, channel):
        refusal = await refusal_of(get(channel, "invalid"))

        assert refusal == Refusal(
            code="INVALID_ARGUMENT",
            message="a field of the request is invalid",
            reason="REQUEST_INVALID",
            metadata={},
            fields=[("card_token", "is wrong")],
            retry_seconds=None,
        )

    async def test_say_when_to_try_again(self, channel):
        refusal = await refusal_of(get(channel, "busy"))

        assert (refusal.code, refusal.retry_seconds) == ("ABORTED", 1.5)
        assert refusal.metadata == {"payment": "pay_x"}

    async def test_answer_a_cancellation_that_nobody_asked_for(self, channel):
        """Left alone, gRPC lets such a caller wait until its deadline."""
        refusal = await refusal_of(get(channel, "cancel"))

        assert (refusal.code, refusal.reason) == ("UNAVAILABLE", "CANCELED")


class TestReading:
    @pytest.mark.parametrize(
        "raw",
        [
            b"\xff",
            b"\x0a\x05shop",  # a text that ends too early
            b"\x0a\x02\xff\xff",  # not UTF-8
            b"\x0b",  # a group that never ends
            b"\x0a" + b"\xff" * 11,  # a length that does not end
        ],
    )
    async def test_refuses_bytes_that_are_no_message(self, channel, logs, raw):
        refusal = await refusal_of(send_raw(channel, raw))

        assert refusal.code == "INVALID_ARGUMENT"
        assert refusal.reason == "REQUEST_MALFORMED"
        assert not lines(logs, "unforeseen error")

    async def test_refuses_a_large_message_and_says_the_limit(self, channel):
        raw = request("x" * 64 * 1024).SerializeToString()

        refusal = await refusal_of(send_raw(channel, raw))

        assert (refusal.code, refusal.reason) == (
            "RESOURCE_EXHAUSTED",
            "LIMIT_EXCEEDED",
        )
        assert refusal.metadata == {"request_bytes_max": "65536"}

    async def test_lets_grpc_refuse_a_huge_message(self, channel):
        """Before a byte of it reaches Python; this status has no details."""
        refusal = await refusal_of(send_raw(channel, bytes(3 << 20)))

        assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "")

    async def test_lets_grpc_refuse_what_grows_when_unpacked(self, channel):
        """16 MiB of zeros travel as 16 KiB."""
        call = channel.unary_unary(GET)(
            bytes(1 << 24), timeout=SECONDS, compression=grpc.Compression.Gzip
        )

        assert (await refusal_of(call)).code == "RESOURCE_EXHAUSTED"

    async def test_still_answers_after_them(self, channel):
        await refusal_of(send_raw(channel, bytes(3 << 20)))

        assert (await get(channel)).card_token.name == BILLING


class TestAuthorization:
    async def test_tells_the_servicer_who_calls(self, channel):
        assert (await get(channel)).card_token.name == BILLING

    async def test_refuses_a_caller_without_the_role(self, served, ca):
        async with served.channel(ca.client(READER)) as channel:
            refusal = await refusal_of(get(channel))

        assert refusal.code == "PERMISSION_DENIED"
        assert refusal.reason == "CALLER_NOT_PERMITTED"
        assert not served.vault.arrived.is_set()

    async def test_refuses_before_it_reads(self, served, ca):
        """A caller without the role learns nothing from malformed bytes."""
        async with served.channel(ca.client(READER)) as channel:
            refusal = await refusal_of(send_raw(channel, b"\xff"))

        assert refusal.reason == "CALLER_NOT_PERMITTED"

    async def test_hides_merchants_that_the_caller_does_not_act_for(self, served):
        async with served.channel() as channel:
            refusal = await refusal_of(get(channel, merchant="other-shop"))

        assert (refusal.code, refusal.reason) == ("NOT_FOUND", "MERCHANT_NOT_FOUND")
        assert (refusal.metadata, refusal.fields) == ({}, [])
        assert not served.vault.arrived.is_set()

    @pytest.mark.parametrize("merchant", ["", "gateway", "Shop", "shop\n", "4242" * 4])
    async def test_refuses_what_is_no_merchant_id(self, served, ca, merchant):
        """Also from callers that act for everybody: "gateway" is our own scope."""
        async with served.channel(ca.client(PLATFORM)) as channel:
            refusal = await refusal_of(get(channel, merchant=merchant))

        assert refusal.reason == "REQUEST_INVALID"
        assert refusal.fields == [("merchant", "is not a merchant id")]

    async def test_lets_a_platform_act_for_every_merchant(self, served, ca):
        async with served.channel(ca.client(PLATFORM)) as channel:
            assert (await get(channel, merchant="any-shop")).card_token.name == PLATFORM

    @pytest.mark.parametrize(
        "rpc",
        [
            "/bailee.v1.VaultService/RevealCard",
            "/nope.v1.Nope/Nope",
            f"{STREAMS}/Unlisted",  # exists, and has no row in authorization.py
        ],
    )
    async def test_does_not_know_rpcs_without_a_row(self, channel, logs, rpc):
        refusal = await refusal_of(send_raw(channel, b"", rpc))

        assert (refusal.code, refusal.reason) == ("UNIMPLEMENTED", "RPC_NOT_FOUND")
        assert rpc.rsplit("/", 1)[-1] not in logs.getvalue()

    async def test_tells_strangers_nothing_about_rpcs(self, served, ca):
        stranger = ca.client("spiffe://bailee.test/caller/stranger")
        async with served.channel(stranger) as channel:
            known = await refusal_of(send_raw(channel, b"\xff"))
            unknown = await refusal_of(send_raw(channel, b"\xff", "/nope/Nope"))

        assert known == unknown
        assert known.reason == "CALLER_UNKNOWN"

    async def test_refuses_a_caller_after_it_was_removed(self, served, channel):
        """On the same connection: the certificate is still good, the caller is not."""
        await get(channel)
        served.table.rows.clear()
        await served.directory.refresh()

        assert (await refusal_of(get(channel))).reason == "CALLER_UNKNOWN"


class TestStreams:
    KINDS = ("Many", "Written", "Gathered", "Echoed")

    @pytest.mark.parametrize("kind", KINDS)
    async def test_work_inside_the_guard(self, channel, kind):
        answers = await open_stream(channel, f"{STREAMS}/{kind}", ["ok"])

        last = answers if kind == "Gathered" else answers[-1]
        assert last.card_token.name == BILLING

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("fault", FAULTS)
    async def test_hide_what_nobody_foresaw(self, channel, logs, capfd, kind, fault):
        call = open_stream(channel, f"{STREAMS}/{kind}", [fault])
        refusal = await refusal_of(call)

        assert (refusal.code, refusal.reason) == ("INTERNAL", "INTERNAL")
        told = f"{refusal}{logs.getvalue()}{capfd.readouterr()}"
        assert not [word for word in SECRET_WORDS if word in told]

    @pytest.mark.parametrize("kind", KINDS)
    async def test_carry_the_details_of_errors(self, channel, kind):
        call = open_stream(channel, f"{STREAMS}/{kind}", ["invalid"])

        assert (await refusal_of(call)).fields == [("card_token", "is wrong")]

    @pytest.mark.parametrize("kind", ["Gathered", "Echoed"])
    async def test_check_every_message(self, channel, kind):
        """The second message's merchant is another's: the stream ends there."""
        rpc = f"{STREAMS}/{kind}"
        open_call = (
            channel.stream_unary if kind == "Gathered" else channel.stream_stream
        )
        messages = iter([request(), request(merchant="other-shop")])
        call = open_call(rpc, Request.SerializeToString, Response.FromString)(
            messages, timeout=SECONDS
        )

        refusal = await refusal_of(call if kind == "Gathered" else collect(call))

        assert refusal.reason == "MERCHANT_NOT_FOUND"

    @pytest.mark.parametrize("kind", ["Gathered", "Echoed"])
    async def test_refuse_malformed_messages(self, channel, kind):
        rpc = f"{STREAMS}/{kind}"
        open_call = (
            channel.stream_unary if kind == "Gathered" else channel.stream_stream
        )
        call = open_call(rpc)(iter([b"\xff"]), timeout=SECONDS)

        refusal = await refusal_of(call if kind == "Gathered" else collect(call))

        assert refusal.reason == "REQUEST_MALFORMED"

    @pytest.mark.parametrize("kind", KINDS)
    async def test_refuse_a_caller_without_the_role(self, served, ca, kind):
        async with served.channel(ca.client(READER)) as channel:
            call = open_stream(channel, f"{STREAMS}/{kind}", ["ok"])
            refusal = await refusal_of(call)

        assert refusal.reason == "CALLER_NOT_PERMITTED"


class TestCancellation:
    async def test_reaches_the_servicer(self, served, channel, logs):
        call = get(channel, "slow")
        async with asyncio.timeout(SECONDS):
            await served.vault.arrived.wait()
            call.cancel()
            await served.vault.left.wait()
            while not lines(logs, "call"):
                await asyncio.sleep(0)

        assert call.cancelled()
        [line] = lines(logs, "call")
        assert line["code"] == "CANCELLED"
        assert not lines(logs, "unforeseen error")
        assert served.guard.calls == 0

    async def test_comes_with_the_deadline(self, served, channel, logs):
        stub = vault_service_pb2_grpc.VaultServiceStub(channel)
        refusal = await refusal_of(stub.GetCardToken(request("slow"), timeout=0.2))
        async with asyncio.timeout(SECONDS):
            await served.vault.left.wait()

        assert refusal.code == "DEADLINE_EXCEEDED"
        assert not lines(logs, "unforeseen error")


class TestLimits:
    async def test_refuses_calls_beyond_the_limit_and_recovers(self, ca, tmp_path):
        async with (
            serving(ca, tmp_path, calls_max=1) as served,
            served.channel() as channel,
        ):
            running = get(channel, "slow")
            async with asyncio.timeout(SECONDS):
                await served.vault.arrived.wait()
            refusal = await refusal_of(get(channel))
            running.cancel()
            async with asyncio.timeout(SECONDS):
                while served.guard.calls:
                    await asyncio.sleep(0)

            assert (refusal.reason, refusal.retry_seconds) == ("LIMIT_EXCEEDED", 1.0)
            assert (await get(channel)).card_token.name == BILLING


class TestAccessLog:
    async def test_writes_one_line_for_each_call(self, channel, logs):
        await get(channel)
        await refusal_of(get(channel, "invalid"))

        answered, refused = lines(logs, "call")
        assert answered.pop("duration_ms") > 0
        assert {name: answered[name] for name in answered if name != "time"} == {
            "level": "info",
            "logger": "gateway.rpc.call",
            "message": "call",
            "rpc": "bailee.v1.VaultService/GetCardToken",
            "caller": BILLING,
            "merchant": "shop",
            "code": "OK",
            "reason": "",
        }
        assert (refused["code"], refused["reason"]) == (
            "INVALID_ARGUMENT",
            "REQUEST_INVALID",
        )

    async def test_does_not_repeat_a_merchant_that_was_not_accepted(
        self, channel, logs
    ):
        await refusal_of(get(channel, merchant="marked-shop"))

        assert "marked-shop" not in logs.getvalue()

    async def test_says_nothing_of_metadata(self, channel, logs):
        stub = vault_service_pb2_grpc.VaultServiceStub(channel)
        metadata = [("x-card", "marked-metadata")]
        await stub.GetCardToken(request(), timeout=SECONDS, metadata=metadata)

        assert "marked-metadata" not in logs.getvalue()
