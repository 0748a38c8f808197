"""Running one gateway: start, serve until told to stop, drain."""

import asyncio
import logging
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import uvloop

from gateway.adapters import BUILD, open_anchor, read_passphrase
from gateway.app import Gateway, open_gateway
from gateway.config import Settings
from gateway.key_providers.file import FileKeyProvider
from gateway.logs import configure_logs
from gateway.loops import Loop, Loops, Work
from gateway.monitor import Monitor
from gateway.rpc.callers import CallerDirectory
from gateway.rpc.server import listen
from gateway.rpc.tls import TlsFiles
from gateway.storage.anchor_keeper import AnchorKeeper
from gateway.words.clock import SystemClock

if TYPE_CHECKING:
    from gateway.web.metrics_listener import MetricsListener

_log: Final = logging.getLogger(__name__)


class ServerDied(RuntimeError):
    """The gRPC server ended without having been asked."""


def run(settings: Settings) -> None:
    """Serves one gateway in this process until SIGTERM or SIGINT; see ``serve``."""
    configure_logs(level=settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve_until_signal(settings))


async def _serve_until_signal(settings: Settings) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await serve(settings, told)


async def serve(settings: Settings, told: asyncio.Event) -> None:
    """Serves one gateway until told to stop, then drains it.

    Raises:
        PortTaken, MetricsPortTaken: Another program listens on the address.
        KeyUnavailable, StorageUnavailable: The keyring or the database does not open.
        TlsFilesUnusable: A certificate or its key cannot be used.
        ServerDied: The server ended by itself.
    """
    clock = SystemClock()
    keys = FileKeyProvider.renew_sealing_key(
        settings.path("keyring"), clock.now(), passphrase=read_passphrase(settings)
    )
    gateway = open_gateway(settings, keys, clock)
    try:
        await _serve(gateway, told)
    finally:
        await gateway.close()
    _log.info("stopped")


async def _serve(gateway: Gateway, told: asyncio.Event) -> None:
    settings = gateway.settings
    callers = CallerDirectory(storage=gateway.storage, clock=gateway.clock)
    await callers.refresh()
    await gateway.operator_log.note_start(gateway.instance)
    tls_files = TlsFiles(
        certificate=settings.path("tls_certificate"),
        key=settings.path("tls_key"),
        client_ca=settings.path("billing_ca"),
    )
    server = gateway.server(callers)
    monitor = Monitor(gateway, tls_files)
    monitor.show()
    operators = gateway.operator_listener(callers)
    keeper = AnchorKeeper(
        folder=open_anchor(settings, gateway.keys),
        storage=gateway.storage,
        clock=gateway.clock,
    )
    loops = Loops(
        [*loops_of(gateway, callers, monitor), _anchor_loop(keeper, settings)],
        parts=gateway.parts,
        metrics=gateway.metrics,
    )
    listen(server, settings.listen, tls_files.credentials())
    metrics = await _listen_for_metrics(gateway)
    await server.start()
    await operators.start()
    _log.info("serving", extra={"listen": settings.listen, "build": BUILD})
    loops.start()
    # Not canceled, ever: that would cancel what ``stop`` waits for, too.
    end = asyncio.create_task(server.wait_for_termination())
    try:
        await _until_told_or_dead(told, end)
    finally:
        _log.info("draining")
        gateway.health.drain()
        grace = settings.stop_grace_seconds
        await asyncio.gather(operators.stop(grace), server.stop(grace))
        await asyncio.wait((end,))
        await loops.close()
        await gateway.operator_log.note_stop(gateway.instance)
        if metrics is not None:
            await metrics.close()
        keeper.write()


def _anchor_loop(keeper: AnchorKeeper, settings: Settings) -> Loop:
    return Loop(
        name="anchor",
        work=keeper.run_once,
        every_seconds=settings.anchor_seconds,
        stuck_after_seconds=60,
    )


async def _listen_for_metrics(gateway: Gateway) -> "MetricsListener | None":
    """Opens the listener if the settings name an address."""
    address = gateway.settings.metrics_listen
    if not address:
        return None
    # Imported here: aiohttp takes a quarter of a second, and not everybody uses it.
    from gateway.web.metrics_listener import MetricsListener

    listener = MetricsListener(gateway.metrics.registry)
    port = await listener.start(address)
    _log.info("metrics", extra={"listen": address, "port": port})
    return listener


def loops_of(
    gateway: Gateway, callers: CallerDirectory, monitor: Monitor
) -> Sequence[Loop]:
    """Returns everything that runs beside the calls."""
    settings = gateway.settings

    async def look_at_callers() -> None:
        await callers.refresh()
        for guard in gateway.guards:
            guard.check_streams()

    # Name, one iteration, the pause after it, and when it counts as stuck (seconds).
    listed: Sequence[tuple[str, Work, float, float]] = (
        # A hundred payments, eight at once, each with several slow answers.
        ("resolver", gateway.resolver.run_once, settings.settle_interval_seconds, 900),
        ("callers", look_at_callers, settings.callers_refresh_seconds, 10),
        # It wraps the keys of every card again after a rotation.
        ("key-upkeep", gateway.key_upkeep.run_once, settings.key_upkeep_seconds, 3600),
        ("policy-time", monitor.look_at_clock, 60, 300),
        # It looks at every card, and erases one in a hundred at most.
        ("retention", monitor.sweep_cards, 3600, 4 * 3600),
        ("storage-check", monitor.look_at_storage, 2, 30),
        ("key-check", monitor.look_at_keys, 10, 60),
        ("certificate-check", monitor.look_at_certificates, 2, 60),
        ("backlog-count", monitor.count_backlog, 15, 60),
        # It reads the head of every merchant's log.
        ("operator-log", gateway.operator_log.commit_checkpoints, 60, 300),
    )
    return [
        Loop(name=name, work=work, every_seconds=every, stuck_after_seconds=stuck_after)
        for name, work, every, stuck_after in listed
    ]


async def _until_told_or_dead(told: asyncio.Event, end: "asyncio.Task[bool]") -> None:
    """Waits until somebody says stop.

    Raises:
        ServerDied: The server ended first. A process that lives on without it would
            look healthy to whatever restarts processes.
    """
    telling = asyncio.create_task(told.wait())
    await asyncio.wait((telling, end), return_when=asyncio.FIRST_COMPLETED)
    telling.cancel()
    if not told.is_set():
        raise ServerDied("the gRPC server ended by itself") from end.exception()
