"""A gateway for your own tests: real, in this process, with simulated money.

    from bailee.testing import running_gateway

    with running_gateway() as gateway, gateway.client() as client:
        token = client.tokenize_card(card).card_token

It needs the gateway beside the client: ``pip install bailee-gateway``. Everything is
real but the bank: mutual TLS, keys, database and log, in a temporary folder. Which test
card does what is in docs/processors/simulator.md.
"""

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bailee.client import AsyncClient, Client
from bailee.errors import GatewayUnreachable
from bailee.retries import Retries

_START_TRIES: Final = 100
_START_WAIT_SECONDS: Final = 0.05
_STOP_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalGateway:
    """A running gateway.

    Attributes:
        folder: Where its settings, keys and database are.
        bundle: The folder to give to ``Client.from_bundle``.
    """

    folder: Path
    bundle: Path

    def client(self, *, timeout_seconds: float = 10.0) -> Client:
        """Returns a new client; close it, or use it in a ``with``."""
        return Client.from_bundle(self.bundle, timeout_seconds=timeout_seconds)

    def async_client(self, *, timeout_seconds: float = 10.0) -> AsyncClient:
        """Returns a new client for asyncio."""
        return AsyncClient.from_bundle(self.bundle, timeout_seconds=timeout_seconds)


@contextmanager
def running_gateway(*, merchant: str = "shop") -> Iterator[LocalGateway]:
    """Runs a new gateway in a thread until the block ends, then removes it.

    Args:
        merchant: The merchant that it is made with.

    Raises:
        ImportError: The distribution ``bailee-gateway`` is not installed.
    """
    from gateway.cli.init import InitOptions, create_gateway, free_port
    from gateway.words.clock import SystemClock

    with tempfile.TemporaryDirectory(prefix="bailee-") as folder:
        options = InitOptions(listen=f"127.0.0.1:{free_port()}", merchant=merchant)
        home = Path(folder) / "gateway"
        created = create_gateway(home, options, SystemClock().now())
        local = LocalGateway(folder=home, bundle=created.bundle)
        with _serving(home):
            _wait_until_answering(local)
            yield local


@contextmanager
def _serving(home: Path) -> Iterator[None]:
    from gateway.config import Settings
    from gateway.serve import serve

    ready: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    begun = threading.Event()

    async def serve_until_told() -> None:
        told = asyncio.Event()
        ready.append((asyncio.get_running_loop(), told))
        begun.set()
        await serve(Settings.read(home), told)

    thread = threading.Thread(
        target=asyncio.run, args=(serve_until_told(),), name="bailee", daemon=True
    )
    thread.start()
    begun.wait()
    try:
        yield
    finally:
        loop, told = ready[0]
        loop.call_soon_threadsafe(told.set)
        thread.join(_STOP_SECONDS)


def _wait_until_answering(local: LocalGateway) -> None:
    """Raises GatewayUnreachable when nothing answers within five seconds."""
    retries = Retries(
        tries=_START_TRIES,
        backoff_seconds=_START_WAIT_SECONDS,
        wait_seconds_max=_START_WAIT_SECONDS,
    )
    with local.client() as client:
        keys = client.with_options(retries=retries).list_sealing_keys()
    if not keys:
        raise GatewayUnreachable("the gateway offers no sealing key")
