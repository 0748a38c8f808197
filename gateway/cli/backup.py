"""``bailee backup``: copying the database of a gateway that may be serving."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from gateway.adapters import open_keys
from gateway.config import Settings
from gateway.key_providers.file import FileKeyProvider
from gateway.keys.checkpoint_signer import ProviderSigner
from gateway.storage.backup import MAC_LABEL, BackupKeys, write_backup


def backup_keys(keys: FileKeyProvider) -> BackupKeys:
    """Returns what a backup's manifest is made with."""
    return BackupKeys(
        vault_id=keys.vault_id,
        signer=ProviderSigner(keys),
        mac_key=keys.mac_key(MAC_LABEL),
    )


def backup_at(
    settings: Settings,
    target: Path,
    now: datetime,
    copied: Callable[[int, int], None],
) -> str:
    """Writes a backup and returns what it holds.

    Raises:
        FileExistsError, OSError: The target exists or cannot be written.
        GatewayError: The keyring or the database cannot be read.
    """
    written = write_backup(
        settings.path("database"),
        target,
        keys=backup_keys(open_keys(settings)),
        now=now,
        copied=copied,
    )
    return (
        f"backed up {written.entries} entries of {written.logs} logs, "
        f"{written.database_bytes:,} bytes, to {target}\n"
        "It holds no key. Back the keyring up apart from it, on another medium: "
        "together they open cards."
    )
