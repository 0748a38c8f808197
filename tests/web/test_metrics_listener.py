"""``/metrics`` over real HTTP."""

import asyncio
import urllib.error
import urllib.request

import pytest

from gateway.metrics import Metrics
from gateway.web.metrics_listener import MetricsListener, MetricsPortTaken
from tests.builders.metric_lines import read_samples


@pytest.fixture
async def metrics():
    return Metrics()


@pytest.fixture
async def port(metrics):
    listener = MetricsListener(metrics.registry)
    yield await listener.start("127.0.0.1:0")
    await listener.close()


async def get(port, path="/metrics"):
    def fetch():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return dict(answer.headers), answer.read().decode()

    return await asyncio.to_thread(fetch)


class TestMetricsListener:
    async def test_shows_what_was_counted(self, metrics, port):
        metrics.call_meter("bailee.v1.VaultService/GetCardToken").count("OK", "")

        headers, text = await get(port)

        labels = {
            "rpc": "bailee.v1.VaultService/GetCardToken",
            "code": "OK",
            "reason": "",
        }
        name = "bailee_calls_total", frozenset(labels.items())
        assert read_samples(text)[name] == 1
        assert headers["Content-Type"].startswith("text/plain; version=")

    async def test_shows_nothing_else(self, port):
        for path in ("/", "/debug", "/metrics/x"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                await get(port, path)

    async def test_does_not_name_its_software(self, port):
        headers, _ = await get(port)

        assert headers["Server"] == "bailee"

    async def test_refuses_a_port_that_another_has(self, metrics, port):
        rival = MetricsListener(metrics.registry)

        with pytest.raises(MetricsPortTaken, match="change `metrics_listen`"):
            await rival.start(f"127.0.0.1:{port}")
