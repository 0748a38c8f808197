"""The adapters of one gateway, opened as its settings say."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

from gateway.config import Settings
from gateway.key_providers.file import FileKeyProvider
from gateway.keys.checkpoint_signer import ProviderSigner
from gateway.merchants.stored_credentials import StoredCredentials
from gateway.payments.processor import Processor
from gateway.processors.simulator.http_transport import HttpTransport
from gateway.processors.simulator.ledger import Ledger
from gateway.processors.simulator.processor import (
    EmbeddedTransport,
    SimulatorProcessor,
)
from gateway.storage.engine import SqliteStorage
from gateway.words.clock import Clock

BUILD: Final = version("bailee-gateway")


def open_keys(settings: Settings) -> FileKeyProvider:
    """Opens the keyring.

    Raises:
        KeyUnavailable: The passphrase is wrong, or a file is missing or readable by
            others.
    """
    return FileKeyProvider.open(
        settings.path("keyring"), passphrase=read_passphrase(settings)
    )


def read_passphrase(settings: Settings) -> bytes | None:
    """Returns the keyring's passphrase, if it has one.

    Raises:
        OSError: The file cannot be read.
    """
    if settings.keyring_passphrase_file is None:
        return None
    return settings.path("keyring_passphrase_file").read_bytes().rstrip(b"\r\n")


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


def open_processors(
    settings: Settings, clock: Clock, credentials: StoredCredentials
) -> Mapping[str, Processor]:
    """Returns the processors that the settings switch on, by name."""
    processors: dict[str, Processor] = {}
    if settings.simulator_url:
        transport = HttpTransport(settings.simulator_url)
        processors["simulator"] = SimulatorProcessor(transport)
    elif settings.simulator:
        ledger = Ledger(settings.path("simulator_ledger"), clock)
        processors["simulator"] = SimulatorProcessor(EmbeddedTransport(ledger))
    if settings.stripe:
        # Imported here: the SDK takes a tenth of a second, and not everybody uses it.
        from gateway.processors.stripe.processor import StripeProcessor

        processors["stripe"] = StripeProcessor(
            credentials=credentials.of, address=settings.stripe_url
        )
    return processors
