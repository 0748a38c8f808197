"""What is counted, by driving a whole gateway. covers: I1, I9."""

import asyncio

import grpc
import pytest
from bailee import new_request_id
from bailee.v1 import card_pb2, vault_service_pb2
from prometheus_client import generate_latest

from gateway.errors import Reason
from gateway.metrics import CallMeter, Metrics
from gateway.rpc.authorization import OPEN_TO_EVERY_CALLER, ROLES
from tests.builders.gateway import running
from tests.builders.metric_lines import read_samples, samples_of, value_of

MARKED = "marked-customer-reference"
TOKENIZE = "bailee.v1.VaultService/TokenizeCard"


@pytest.fixture
async def gateway(tmp_path):
    async with running(tmp_path, accept_plain_cards=True) as made:
        yield made


async def tokenize(gateway, number="4242424242424242"):
    plain = card_pb2.PlainCard(number=number, expiry_month=12, expiry_year=2035)
    request = vault_service_pb2.TokenizeCardRequest(
        merchant="shop",
        request_id=new_request_id(),
        customer_reference=MARKED,
        card=card_pb2.CardInput(plain=plain),
    )
    return await gateway.vault.TokenizeCard(request)


def calls(gateway, rpc, code, reason=""):
    return value_of(
        gateway.gateway.metrics, "bailee_calls_total", rpc=rpc, code=code, reason=reason
    )


class TestCalls:
    async def test_are_counted_by_their_end(self, gateway):
        await tokenize(gateway)
        await tokenize(gateway)
        with pytest.raises(grpc.RpcError):
            await tokenize(gateway, "4242424242424241")

        assert calls(gateway, TOKENIZE, "OK") == 2
        assert calls(gateway, TOKENIZE, "INVALID_ARGUMENT", "CARD_INVALID") == 1

    async def test_are_timed_in_buckets_that_add_up(self, gateway):
        for _ in range(3):
            await tokenize(gateway)

        samples = samples_of(gateway.gateway.metrics)
        of_rpc = {"rpc": TOKENIZE}
        count = samples["bailee_call_seconds_count", frozenset(of_rpc.items())]
        highest = samples[
            "bailee_call_seconds_bucket", frozenset((of_rpc | {"le": "+Inf"}).items())
        ]
        total = samples["bailee_call_seconds_sum", frozenset(of_rpc.items())]
        assert (count, highest) == (3, 3)
        assert 0 < total < 30

    async def test_of_names_that_callers_make_up_share_one_name(self, gateway):
        """Else a caller could fill the memory of whoever collects."""
        for number in range(5):
            with pytest.raises(grpc.RpcError):
                await gateway.channel.unary_unary(f"/made.up/Name{number}")(b"")

        assert calls(gateway, "unknown", "UNIMPLEMENTED", "RPC_NOT_FOUND") == 5
        assert (
            "made.up" not in generate_latest(gateway.gateway.metrics.registry).decode()
        )


class TestLabels:
    async def test_come_from_closed_lists_alone(self, gateway):
        token = (await tokenize(gateway)).card_token.name
        with pytest.raises(grpc.RpcError):
            await tokenize(gateway, "4242424242424241")

        text = generate_latest(gateway.gateway.metrics.registry).decode()
        for mark in (MARKED, token, "shop", "spiffe", "424242"):
            assert mark not in text
        rpcs = {rpc[1:] for rpc in {*ROLES, *OPEN_TO_EVERY_CALLER}} | {"unknown"}
        seen = {
            name: {dict(labels).get(name) for _, labels in read_samples(text)} - {None}
            for name in ("rpc", "code", "reason")
        }
        assert seen["rpc"] <= rpcs
        assert seen["code"] <= {code.name for code in grpc.StatusCode}
        assert seen["reason"] <= {"", *Reason}


class TestCommits:
    async def test_are_counted_with_their_units(self, gateway):
        before = value_of(gateway.gateway.metrics, "bailee_commit_units_sum")
        await asyncio.gather(*(tokenize(gateway) for _ in range(20)))

        metrics = gateway.gateway.metrics
        units = value_of(metrics, "bailee_commit_units_sum") - before
        commits = value_of(metrics, "bailee_commit_units_count")
        assert units >= 20
        assert value_of(metrics, "bailee_commit_seconds_count") == commits
        assert value_of(metrics, "bailee_commits_failed_total") == 0


class TestCallMeter:
    def test_puts_a_bound_into_its_own_bucket(self):
        """Prometheus buckets are "less or equal"."""
        metrics = Metrics()
        meter = metrics.call_meter("x")
        for seconds in (0.001, 0.0011, 99):
            meter.time(seconds)

        def at(bound):
            return value_of(metrics, "bailee_call_seconds_bucket", rpc="x", le=bound)

        assert [at("0.0005"), at("0.001"), at("0.0025"), at("30.0"), at("+Inf")] == [
            0, 1, 2, 2, 3,
        ]  # fmt: skip

    def test_of_one_rpc_is_one_for_every_server(self):
        metrics = Metrics()

        assert isinstance(metrics.call_meter("x"), CallMeter)
        assert metrics.call_meter("x") is metrics.call_meter("x")
