"""Running one gateway: start, serve until told to stop, drain."""

import asyncio
import logging
import signal
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import uvloop

from gateway.adapters import (
    BUILD,
    open_anchor,
    open_processors,
    open_storage,
    read_passphrase,
)
from gateway.app import Gateway
from gateway.config import Settings
from gateway.key_providers.file import FileKeyProvider
from gateway.logs import configure_logs
from gateway.loops import Loop, Loops
from gateway.parts import CERTIFICATES, PartState
from gateway.rpc.callers import CallerDirectory
from gateway.rpc.server import listen
from gateway.rpc.tls import TlsFiles, TlsFilesUnusable
from gateway.storage.anchor_keeper import AnchorKeeper
from gateway.words.clock import Clock, SystemClock

_log: Final = logging.getLogger(__name__)

_RENEW_CERTIFICATE_BEFORE: Final = timedelta(days=7)


class ServerDied(RuntimeError):
    """The gRPC server ended without having been asked."""


def run(settings: Settings) -> None:
    """Serves one gateway in this process; see ``serve``."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Serves one gateway until SIGTERM or SIGINT, then drains it.

    Raises:
        PortTaken: Another program listens on the address.
        KeyUnavailable, StorageUnavailable: The keyring or the database does not open.
        TlsFilesUnusable: A certificate or its key cannot be used.
        ServerDied: The server ended by itself.
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
    try:
        await _serve(gateway)
    finally:
        await gateway.close()
    _log.info("stopped")


async def _serve(gateway: Gateway) -> None:
    settings = gateway.settings
    callers = CallerDirectory(storage=gateway.storage, clock=gateway.clock)
    await callers.refresh()
    tls_files = TlsFiles(
        certificate=settings.path("tls_certificate"),
        key=settings.path("tls_key"),
        client_ca=settings.path("billing_ca"),
    )
    server = gateway.server(callers)
    operators = gateway.operator_listener(callers)
    keeper = AnchorKeeper(
        folder=open_anchor(settings, gateway.keys),
        storage=gateway.storage,
        clock=gateway.clock,
    )
    loops = Loops(
        [*loops_of(gateway, callers, tls_files), _anchor_loop(keeper, settings)],
        parts=gateway.parts,
        metrics=gateway.metrics,
    )
    listen(server, settings.listen, tls_files.credentials())
    await server.start()
    await operators.start()
    _log.info("serving", extra={"listen": settings.listen, "build": BUILD})
    loops.start()
    # Not canceled, ever: that would cancel what ``stop`` waits for, too.
    end = asyncio.create_task(server.wait_for_termination())
    try:
        await _until_told_or_dead(end)
    finally:
        _log.info("draining")
        gateway.health.drain()
        await operators.stop(settings.stop_grace_seconds)
        await server.stop(settings.stop_grace_seconds)
        await asyncio.wait((end,))
        await loops.close()
        keeper.write()


def _anchor_loop(keeper: AnchorKeeper, settings: Settings) -> Loop:
    return Loop(
        name="anchor",
        work=keeper.run_once,
        every_seconds=settings.anchor_seconds,
        stuck_after_seconds=60,
    )


def loops_of(
    gateway: Gateway, callers: CallerDirectory, tls_files: TlsFiles
) -> Sequence[Loop]:
    """Returns everything that runs beside the calls."""
    settings, clock = gateway.settings, gateway.clock

    async def look_at_callers() -> None:
        await callers.refresh()
        for guard in gateway.guards:
            guard.check_streams()

    async def look_at_certificates() -> None:
        problem = await asyncio.to_thread(find_tls_problem, tls_files, clock)
        state = PartState.DEGRADED if problem else PartState.USABLE
        gateway.parts.report(CERTIFICATES, state, problem)

    return (
        Loop(
            name="resolver",
            work=gateway.resolver.run_once,
            every_seconds=settings.settle_interval_seconds,
            # A hundred payments, eight at once, each with several slow answers.
            stuck_after_seconds=900,
        ),
        Loop(
            name="callers",
            work=look_at_callers,
            every_seconds=settings.callers_refresh_seconds,
            stuck_after_seconds=10,
        ),
        Loop(
            name="key-upkeep",
            work=gateway.key_upkeep.run_once,
            every_seconds=settings.key_upkeep_seconds,
            # It wraps the keys of every card again after a rotation.
            stuck_after_seconds=3600,
        ),
        Loop(
            name="certificate-check",
            work=look_at_certificates,
            every_seconds=2,
            stuck_after_seconds=60,
        ),
    )


def find_tls_problem(files: TlsFiles, clock: Clock) -> str:
    """Returns what is wrong with the certificate files, or an empty text."""
    try:
        ends = files.examine()
    except TlsFilesUnusable as error:
        return f"{error}; the old certificate serves until the files fit"
    soon = clock.now() + _RENEW_CERTIFICATE_BEFORE
    if ends.certificate <= soon:
        return f"the server's certificate ends at {ends.certificate}; renew it"
    if ends.client_ca <= soon:
        return f"the callers' authority ends at {ends.client_ca}; renew it"
    return ""


async def _until_told_or_dead(end: "asyncio.Task[bool]") -> None:
    """Waits for SIGTERM or SIGINT.

    Raises:
        ServerDied: The server ended first. A process that lives on without it would
            look healthy to whatever restarts processes.
    """
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    telling = asyncio.create_task(told.wait())
    await asyncio.wait((telling, end), return_when=asyncio.FIRST_COMPLETED)
    telling.cancel()
    if not told.is_set():
        raise ServerDied("the gRPC server ended by itself") from end.exception()
