"""The adapters of one gateway, opened as its settings say."""

import shutil
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from gateway.config import Settings
from gateway.key_providers.file import FileKeyProvider
from gateway.keys.checkpoint_signer import ProviderSigner
from gateway.merchants.ports import ProcessorAccount
from gateway.merchants.stored_credentials import StoredCredentials
from gateway.payments.processor import Processor
from gateway.payments.reconcile import PaymentLister
from gateway.processors.simulator.http_transport import HttpTransport
from gateway.processors.simulator.ledger import Ledger
from gateway.processors.simulator.processor import (
    EmbeddedTransport,
    SimulatorProcessor,
)
from gateway.storage.anchor import MAC_LABEL, AnchorFolder
from gateway.storage.engine import SqliteStorage
from gateway.storage.rollback import check_anchor
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
    """Opens the database for writing, if it is the newest; only one process can.

    Raises:
        AnchorUnusable: Nothing tells whether it is the newest.
        DatabaseRolledBack: It is an older one.
        StorageUnavailable: Another process has it, or its settings are not safe.
    """
    anchor = open_anchor(settings, keys)
    check_anchor(settings.path("database"), anchor.read())
    return open_storage_unchecked(settings, keys, anchor)


def open_storage_unchecked(
    settings: Settings, keys: FileKeyProvider, anchor: AnchorFolder
) -> SqliteStorage:
    """Opens a database that is new, or that a restore is about to accept.

    Raises:
        StorageUnavailable: As ``open_storage``.
    """
    storage = SqliteStorage.open(
        settings.path("database"),
        signer=ProviderSigner(keys),
        vault_id=keys.vault_id,
        build=BUILD,
    )
    storage.keep_journal(anchor.note_erasures)
    return storage


def open_anchor(settings: Settings, keys: FileKeyProvider) -> AnchorFolder:
    """Opens what is kept outside the database about it.

    Raises:
        AnchorUnusable: It is not there.
    """
    return AnchorFolder.open(
        settings.path("anchor"),
        vault_id=keys.vault_id,
        mac_key=keys.mac_key(MAC_LABEL),
    )


def create_anchor(
    settings: Settings, keys: FileKeyProvider, now: datetime
) -> AnchorFolder:
    """Makes what is missing of the anchor."""
    return AnchorFolder.create(
        settings.path("anchor"),
        now,
        vault_id=keys.vault_id,
        mac_key=keys.mac_key(MAC_LABEL),
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


def open_listers(
    settings: Settings,
    scratch: Path,
    credentials: Callable[[ProcessorAccount], Awaitable[str]],
) -> Mapping[str, PaymentLister]:
    """Returns what lists a processor's payments, by processor; a gateway may serve.

    Args:
        settings: The gateway's.
        scratch: An empty folder: the embedded simulator's books are copied there,
            because the gateway that serves has the file.
        credentials: Returns the credential of an account.
    """
    listers: dict[str, PaymentLister] = {}
    if settings.simulator_url:
        transport = HttpTransport(settings.simulator_url)
        listers["simulator"] = SimulatorProcessor(transport)
    elif settings.simulator:
        books = scratch / "ledger"
        shutil.copyfile(settings.path("simulator_ledger"), books)
        ledger = EmbeddedTransport(Ledger(books))
        listers["simulator"] = SimulatorProcessor(ledger)
    if settings.stripe:
        from gateway.processors.stripe.processor import StripeProcessor

        listers["stripe"] = StripeProcessor(
            credentials=credentials, address=settings.stripe_url
        )
    return listers
