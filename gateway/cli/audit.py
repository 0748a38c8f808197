"""``bailee audit``: checking and exporting a merchant's log."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bailee import Bundle

from gateway.adapters import open_keys
from gateway.audit.checkpoint import read_verifier_key, verifier_key
from gateway.audit.export import write_export
from gateway.audit.verify import LogBroken, verify_export, verify_log
from gateway.cli.refusals import explain
from gateway.config import Settings
from gateway.errors import GatewayError, MerchantNotFound, RequestInvalid
from gateway.keys.checkpoint_signer import ProviderSigner
from gateway.storage.log_reader import StoredMerchant, open_merchant
from gateway.storage.log_store import StoredLog
from gateway.words.identifiers import GATEWAY, read_merchant_id

VERIFIER_KEY_FILE: Final = "verifier-key.txt"


class AuditFailed(Exception):
    """The log does not verify, or could not be read; the text says which."""


def is_export(folder: Path) -> bool:
    """Whether the folder looks like what ``bailee audit export`` writes."""
    return (folder / "checkpoint").is_file()


def verifier_key_of(bundle: Path) -> str:
    """Returns the public key that a caller's bundle pins for its merchant's log."""
    try:
        facts = Bundle.read(bundle)
    except (OSError, ValueError) as error:
        raise AuditFailed(str(error)) from error
    return verifier_key(facts.log_origin, facts.log_key)


def verify_export_at(folder: Path, key: str) -> str:
    """Checks an export with the public key alone and returns what held."""
    if not is_export(folder):
        raise AuditFailed(f"{folder} is no export: it has no file named checkpoint")
    try:
        origin, public_key = read_verifier_key(key)
        checked = verify_export(folder, origin=origin, public_key=public_key)
    except ValueError as error:
        raise AuditFailed(str(error)) from None
    except LogBroken as error:
        raise AuditFailed(f"{folder} is NOT the log that was signed: {error}") from None
    return f"ok: {checked.size} entries of {origin}, checked with the public key alone"


def verify_gateway_at(settings: Settings, merchant: str) -> str:
    """Checks the log of a gateway's database, served or not."""
    with _opened(settings, merchant) as (log, public_key):
        try:
            checked = verify_log(log, origin=log.origin, public_key=public_key)
        except LogBroken as error:
            raise AuditFailed(f"the log is broken: {error}") from None
        return f"ok: {checked.size} entries of {log.origin} fit their tree"


def export_gateway_at(settings: Settings, merchant: str, target: Path) -> str:
    """Writes the log as tiles and returns what was written."""
    with _opened(settings, merchant) as (log, public_key):
        try:
            written = write_export(
                target, log, origin=log.origin, public_key=public_key
            )
        except FileExistsError as error:
            raise AuditFailed(f"{target} exists; name a new folder") from error
        except OSError as error:
            raise AuditFailed(f"{target} cannot be written: {error}") from error
        except LogBroken as error:
            raise AuditFailed(f"not exported, the log is broken: {error}") from None
        key = verifier_key(log.origin, public_key)
        (target / VERIFIER_KEY_FILE).write_text(f"{key}\n", encoding="utf-8")
        return f"wrote {written.size} entries and the signed checkpoint to {target}"


@contextmanager
def _opened(settings: Settings, merchant: str) -> Iterator[tuple[StoredLog, bytes]]:
    """Opens the merchant's log for reading, and gives its public key."""
    with opened_merchant(settings, merchant) as (stored, public_key):
        yield stored.log, public_key


@contextmanager
def opened_merchant(
    settings: Settings, merchant: str
) -> Iterator[tuple[StoredMerchant, bytes]]:
    """Opens the merchant's log and accounts for reading; the gateway may be serving.

    Raises:
        AuditFailed: It cannot be opened, or is not what it should be.
    """
    try:
        keys = open_keys(settings)
        with open_merchant(
            settings.path("database"),
            GATEWAY if merchant == GATEWAY else read_merchant_id(merchant),
            signer=ProviderSigner(keys),
            vault_id=keys.vault_id,
        ) as stored:
            yield stored, keys.log_public_key
    except (MerchantNotFound, RequestInvalid) as error:
        raise AuditFailed(f"no such merchant: {merchant}") from error
    except (GatewayError, OSError) as error:
        raise AuditFailed(explain(error)) from error
    except sqlite3.Error as error:
        raise AuditFailed(f"the database cannot be read: {error}") from None
