"""Running one gateway: start, serve until told to stop, drain."""

import asyncio
import logging
import signal
from contextlib import suppress
from typing import Final

from gateway.adapters import BUILD, open_processors, open_storage, read_passphrase
from gateway.app import Gateway
from gateway.config import Settings
from gateway.errors import GatewayError
from gateway.key_providers.file import FileKeyProvider
from gateway.keys.key_upkeep import KeyUpkeep
from gateway.logs import configure_logs
from gateway.payments.settle_unknown_payments import SettleUnknownPayments
from gateway.rpc.callers import CallerDirectory
from gateway.rpc.server import listen
from gateway.rpc.tls import mutual_tls
from gateway.words.clock import SystemClock

_log: Final = logging.getLogger(__name__)


async def serve(settings: Settings) -> None:
    """Serves one gateway until SIGTERM or SIGINT, then drains it.

    Raises:
        PortTaken: Another program listens on the address.
        KeyUnavailable, StorageUnavailable: The keyring or the database does not open.
    """
    configure_logs(level=settings.log_level)
    clock = SystemClock()
    keys = FileKeyProvider.renew_sealing_key(
        settings.path("keyring"), clock.now(), passphrase=read_passphrase(settings)
    )
    gateway = Gateway(
        settings=settings,
        keys=keys,
        storage=open_storage(settings, keys),
        processors=open_processors(settings, clock),
        clock=clock,
    )
    callers = CallerDirectory(
        storage=gateway.storage, refresh_seconds=settings.callers_refresh_seconds
    )
    await callers.start()
    server = gateway.server(callers)
    credentials = mutual_tls(
        settings.path("tls_certificate"),
        settings.path("tls_key"),
        settings.path("billing_ca"),
    )
    try:
        listen(server, settings.listen, credentials)
        await server.start()
        _log.info("serving", extra={"listen": settings.listen, "build": BUILD})
        resolver = asyncio.create_task(_settle(gateway.resolver, settings))
        upkeep = asyncio.create_task(_keep_keys(gateway.key_upkeep, settings))
        await _stop_asked()
        _log.info("draining")
        gateway.health.drain()
        await server.stop(settings.stop_grace_seconds)
        for task in (resolver, upkeep):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    finally:
        await callers.close()
        await gateway.close()
    _log.info("stopped")


async def _settle(resolver: SettleUnknownPayments, settings: Settings) -> None:
    """Runs the resolver again and again."""
    while True:
        try:
            await resolver.run_once()
        except GatewayError as error:
            _log.warning("resolver", extra={"reason": error.reason})
        await asyncio.sleep(settings.settle_interval_seconds)


async def _keep_keys(upkeep: KeyUpkeep, settings: Settings) -> None:
    """Renews keys when they are due."""
    while True:
        try:
            await upkeep.run_once()
        except GatewayError as error:
            fields = {"reason": error.reason, **error.metadata}
            _log.error("key upkeep", extra=fields)
        await asyncio.sleep(settings.key_upkeep_seconds)


async def _stop_asked() -> None:
    """Waits for SIGTERM or SIGINT."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    await asked.wait()
