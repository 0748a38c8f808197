"""The composition root: every object is made here, from settings, by name.

``Gateway`` holds the parts; ``serve`` runs one until it is told to stop.
"""

import asyncio
import logging
import secrets
import signal
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Final

import grpc.aio

from gateway.config import Settings
from gateway.errors import GatewayError
from gateway.key_providers.file import FileKeyProvider
from gateway.keys.checkpoint_signer import ProviderSigner
from gateway.keys.hierarchy import KeyHierarchy
from gateway.logs import configure_logs
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.accounts import Accounts
from gateway.payments.asking import Asking
from gateway.payments.boundaries import Reached, ignore
from gateway.payments.cancel_payment import cancel_rules
from gateway.payments.capture_payment import capture_rules
from gateway.payments.create_payment import CreatePayment
from gateway.payments.moves import Mover, MoveRules
from gateway.payments.processor import Processor
from gateway.payments.processor_steps import ProcessorSteps
from gateway.payments.read_payments import ReadPayments
from gateway.payments.record_outcome import RecordOutcome
from gateway.payments.refund_payment import refund_rules
from gateway.payments.settle_unknown_payments import SettleUnknownPayments
from gateway.processors.simulator.http_transport import HttpTransport
from gateway.processors.simulator.ledger import Ledger
from gateway.processors.simulator.processor import (
    EmbeddedTransport,
    SimulatorProcessor,
)
from gateway.rpc.callers import Authenticator, CallerDirectory
from gateway.rpc.paging import PageTokens
from gateway.rpc.payment_servicer import PaymentServicer
from gateway.rpc.request_digests import RequestDigests
from gateway.rpc.server import DrainableHealth, build_server, listen
from gateway.rpc.tls import mutual_tls
from gateway.rpc.vault_servicer import VaultServicer
from gateway.storage.engine import SqliteStorage
from gateway.vault.card_access import CardAccess
from gateway.vault.delete_card_token import DeleteCardToken
from gateway.vault.read_card_tokens import ReadCardTokens
from gateway.vault.seal_card import SealCard
from gateway.vault.sealed_input import SealedInput
from gateway.vault.tokenize_card import TokenizeCard
from gateway.words.clock import Clock, SystemClock

_log: Final = logging.getLogger(__name__)

BUILD: Final = version("bailee-gateway")
# Longer than the three processor calls of one payment may take together.
_LEASE_CALLS: Final = 4


def open_keys(settings: Settings) -> FileKeyProvider:
    """Opens the keyring.

    Raises:
        KeyUnavailable: The passphrase is wrong, or a file is missing or readable by
            others.
    """
    return FileKeyProvider.open(
        settings.path("keyring"), passphrase=_passphrase(settings)
    )


def open_storage(settings: Settings, keys: FileKeyProvider) -> SqliteStorage:
    """Opens the database for writing; only one process can.

    Raises:
        StorageUnavailable: Another process has it, or its settings are not safe.
    """
    return SqliteStorage.open(
        settings.path("database"),
        signer=ProviderSigner(keys),
        vault_id=keys.vault_id,
        build=BUILD,
    )


def open_processors(settings: Settings, clock: Clock) -> Mapping[str, Processor]:
    """Returns the processors that the settings name, by name."""
    processors: dict[str, Processor] = {}
    if settings.simulator_url:
        transport = HttpTransport(settings.simulator_url)
        processors["simulator"] = SimulatorProcessor(transport)
    elif settings.simulator:
        ledger = Ledger(settings.path("simulator_ledger"), clock)
        processors["simulator"] = SimulatorProcessor(EmbeddedTransport(ledger))
    folder = settings.path("credentials")
    if any(folder.glob("*.key")):
        # Imported here: the SDK takes a tenth of a second, and not everybody uses it.
        from gateway.processors.stripe.processor import StripeProcessor

        processors["stripe"] = StripeProcessor(
            credentials=lambda account: _credential(folder, account),
            address=settings.stripe_url,
        )
    return processors


def _credential(folder: Path, account: ProcessorAccount) -> str:
    """Reads an account's key from its file, which only the gateway's user can read."""
    return (folder / f"{account.account_id}.key").read_text("utf-8")


class Gateway:
    """Every part of one gateway, put together."""

    def __init__(
        self,
        *,
        settings: Settings,
        keys: FileKeyProvider,
        storage: SqliteStorage,
        processors: Mapping[str, Processor],
        clock: Clock,
        reached: Reached = ignore,
    ) -> None:
        self.clock = clock
        self.storage = storage
        self.processors = processors
        hierarchy = KeyHierarchy(provider=keys, storage=storage, clock=clock)
        access = CardAccess(hierarchy=hierarchy, vault_id=keys.vault_id)
        sealed_input = SealedInput(
            provider=keys, accept_plain_cards=settings.accept_plain_cards
        )
        seal_card = SealCard(provider=keys, hierarchy=hierarchy, storage=storage)
        accounts = Accounts(storage=storage, processors=processors)
        deadline = timedelta(seconds=settings.processor_deadline_seconds)
        asking = Asking(deadline)
        outcomes = RecordOutcome(storage=storage)
        instance = secrets.token_hex(8)
        lease = deadline * _LEASE_CALLS
        steps = ProcessorSteps(
            storage=storage,
            access=access,
            outcomes=outcomes,
            asking=asking,
            clock=clock,
            reached=reached,
        )

        def mover(rules: MoveRules) -> Mover:
            return Mover(
                rules=rules,
                storage=storage,
                accounts=accounts,
                clock=clock,
                reached=reached,
                instance=instance,
                lease=lease,
            )

        moves = [
            mover(rules(asking))
            for rules in (capture_rules, cancel_rules, refund_rules)
        ]
        self._capture, self._cancel, self._refund = moves
        self._create = CreatePayment(
            storage=storage,
            access=access,
            sealed_input=sealed_input,
            seal_card=seal_card,
            accounts=accounts,
            steps=steps,
            clock=clock,
            reached=reached,
            instance=instance,
            lease=lease,
        )
        self.resolver = SettleUnknownPayments(
            storage=storage,
            unsettled=storage,
            access=access,
            accounts=accounts,
            steps=steps,
            outcomes=outcomes,
            movers={item.kind: item for item in moves},
            asking=asking,
            clock=clock,
            instance=instance,
            lease=lease,
        )
        digests = RequestDigests(keys)
        self.vault_servicer = VaultServicer(
            tokenize_card=TokenizeCard(
                storage=storage,
                sealed_input=sealed_input,
                seal_card=seal_card,
                clock=clock,
            ),
            read_card_tokens=ReadCardTokens(storage=storage),
            delete_card_token=DeleteCardToken(storage=storage, clock=clock),
            provider=keys,
            pages=PageTokens(keys),
            digests=digests,
            clock=clock,
        )
        self.payment_servicer = PaymentServicer(
            create_payment=self._create,
            capture_payment=self._capture,
            cancel_payment=self._cancel,
            refund_payment=self._refund,
            read_payments=ReadPayments(storage=storage),
            digests=digests,
        )
        self.health = DrainableHealth()

    def server(self, authenticator: Authenticator) -> grpc.aio.Server:
        """Returns the gRPC server of this gateway, not yet listening."""
        return build_server(
            authenticator=authenticator,
            vault=self.vault_servicer,
            payments=self.payment_servicer,
            health_servicer=self.health,
        )

    async def close(self) -> None:
        """Finishes what is between two steps, then lets everything go."""
        for part in (self._create, self._capture, self._cancel, self._refund):
            await part.drain()
        for processor in self.processors.values():
            await processor.close()
        await self.storage.close()


async def serve(settings: Settings) -> None:
    """Serves one gateway until SIGTERM or SIGINT, then drains it.

    Raises:
        PortTaken: Another program listens on the address.
        KeyUnavailable, StorageUnavailable: The keyring or the database does not open.
    """
    configure_logs(level=settings.log_level)
    clock = SystemClock()
    keys = FileKeyProvider.renew_sealing_key(
        settings.path("keyring"), clock.now(), passphrase=_passphrase(settings)
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
        await _stop_asked()
        _log.info("draining")
        gateway.health.drain()
        await server.stop(settings.stop_grace_seconds)
        resolver.cancel()
        with suppress(asyncio.CancelledError):
            await resolver
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


async def _stop_asked() -> None:
    """Waits for SIGTERM or SIGINT."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    await asked.wait()


def _passphrase(settings: Settings) -> bytes | None:
    if settings.keyring_passphrase_file is None:
        return None
    return settings.path("keyring_passphrase_file").read_bytes().rstrip(b"\r\n")
