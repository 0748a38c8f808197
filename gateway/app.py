"""The composition root: every object is made here, from settings, by name.

``Gateway`` holds the parts that a test may want to reach; ``serve`` runs one until it
is told to stop.
"""

import logging
from importlib.metadata import version
from typing import Final

from gateway.config import Settings
from gateway.key_providers.file import FileKeyProvider
from gateway.keys.checkpoint_signer import ProviderSigner
from gateway.storage.engine import SqliteStorage

_log: Final = logging.getLogger(__name__)

BUILD: Final = version("bailee-gateway")


def open_keys(settings: Settings) -> FileKeyProvider:
    """Opens the keyring.

    Raises:
        KeyUnavailable: The passphrase is wrong or a file is missing or readable by
            others.
    """
    passphrase = None
    if settings.keyring_passphrase_file is not None:
        file = settings.path("keyring_passphrase_file")
        passphrase = file.read_bytes().rstrip(b"\r\n")
    return FileKeyProvider.open(settings.path("keyring"), passphrase=passphrase)


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
