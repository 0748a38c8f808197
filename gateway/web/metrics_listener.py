"""``GET /metrics`` for Prometheus, in plaintext: meant for loopback.

What it shows holds nothing of a merchant or a card (see gateway/metrics.py), but it
tells how busy the gateway is: keep it from the outside.
"""

from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

_PATH: Final = "/metrics"


class MetricsPortTaken(RuntimeError):
    """Another program listens on the address of the metrics."""


class MetricsListener:
    """Serves one registry until closed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        application = web.Application()
        application.router.add_get(_PATH, self._show)
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self, address: str) -> int:
        """Listens on ``host:port`` and returns the port.

        Raises:
            MetricsPortTaken: Another program listens there, or the address is not ours.
        """
        host, _, port = address.rpartition(":")
        await self._runner.setup()
        site = web.TCPSite(self._runner, host.strip("[]"), int(port))
        try:
            await site.start()
        except OSError as error:
            await self.close()
            raise MetricsPortTaken(
                f"cannot listen on {address}: another program does, or it is not an "
                "address of this machine; change `metrics_listen` in bailee.toml"
            ) from error
        bound: int = self._runner.addresses[0][1]
        return bound

    async def close(self) -> None:
        """Stops listening."""
        await self._runner.cleanup()

    async def _show(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self._registry),
            headers={"Content-Type": CONTENT_TYPE_LATEST, "Server": "bailee"},
        )
