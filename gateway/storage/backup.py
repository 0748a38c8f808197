"""Copying a database that is in use, and putting a copy in its place.

A backup is a folder with two files:

  * ``bailee.db``: the database as it was in one moment, without write-ahead log;
  * ``manifest.json``: what it holds (vault, epochs, a signed checkpoint of each log),
    the copy's SHA-256, and a MAC by the keyring over the rest.

Neither holds a key: the keyring is backed up apart, on another medium.

Invariants:
  * The copy is one committed moment; writers are not held up.
  * A folder that has its name is complete and synced: it is renamed at the end.
  * A copy is put in place at once, and the database that was there is kept.
"""

import hashlib
import hmac
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from gateway.audit.checkpoint import origin_of
from gateway.audit.ports import CheckpointSigner
from gateway.errors import StorageUnavailable
from gateway.storage.log_rows import LogRows, Scope
from gateway.storage.log_writer import Head, Notary
from gateway.storage.rollback import read_scopes
from gateway.storage.schema import NEWEST_REVISION

MAC_LABEL: Final = "backup"
DATABASE: Final = "bailee.db"
MANIFEST: Final = "manifest.json"

_FORMAT: Final = "bailee-backup/v1"
_PAGES_AT_ONCE: Final = 2_000
_CHUNK_BYTES: Final = 1 << 20
_SUFFIXES: Final = ("", "-wal", "-shm")


class BackupInvalid(Exception):
    """Not a complete backup of this vault; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupKeys:
    """What a backup is signed and MACed with."""

    vault_id: str
    signer: CheckpointSigner
    mac_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a backup holds."""

    database_bytes: int
    logs: int
    entries: int


def write_backup(
    database: Path,
    target: Path,
    *,
    keys: BackupKeys,
    now: datetime,
    copied: Callable[[int, int], None] = lambda _left, _pages: None,
) -> Written:
    """Copies the database beside a gateway that may be serving.

    Args:
        database: The file in use.
        target: A folder that does not exist.
        keys: What the manifest is made with.
        now: When it is made.
        copied: Told how many pages are left, of how many.

    Raises:
        FileExistsError: The target exists.
        StorageUnavailable: The database cannot be read, or the copy is damaged.
        OSError: The target cannot be written.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists; name a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    building = target.parent / f".{target.name}.partial"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(mode=0o700)
    try:
        copy = building / DATABASE
        _copy(database, copy, copied)
        manifest, written = _describe(copy, keys, now)
        _write_synced(building / MANIFEST, json.dumps(manifest, indent=2).encode())
        _sync(building)
        building.rename(target)
        _sync(target.parent)
    except sqlite3.Error as error:
        raise StorageUnavailable from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return written


def _copy(database: Path, copy: Path, copied: Callable[[int, int], None]) -> None:
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    address = f"{database.resolve().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(address, uri=True, isolation_level=None)) as source,
        closing(sqlite3.connect(copy, isolation_level=None)) as target,
    ):
        # An open snapshot: otherwise each commit would make the copy begin again.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        source.backup(
            target,
            pages=_PAGES_AT_ONCE,
            progress=lambda _status, left, pages: copied(left, pages),
        )
        # One file, which also opens where nothing can be written beside it.
        target.execute("PRAGMA journal_mode=DELETE").fetchone()
        (state,) = target.execute("PRAGMA integrity_check(1)").fetchone()
        if state != "ok":
            raise StorageUnavailable(
                metadata={"database": "is damaged; the copy fails its integrity check"}
            )
    with copy.open("rb") as file:
        os.fsync(file.fileno())


def _describe(
    copy: Path, keys: BackupKeys, now: datetime
) -> tuple[dict[str, Any], Written]:
    notary = Notary(keys.signer)
    logs, entries = [], 0
    with closing(sqlite3.connect(f"{copy.as_uri()}?mode=ro", uri=True)) as reader:
        for scope in read_scopes(reader).values():
            head = Head(_origin(keys, scope), LogRows(reader, scope).head())
            if not head.frontier.size:
                continue
            entries += head.frontier.size
            logs.append({"merchant": scope.merchant, "checkpoint": notary.note(head)})
        rows = reader.execute("SELECT DISTINCT epoch FROM wrapping_keys")
        epochs = sorted(epoch for (epoch,) in rows)
    size = copy.stat().st_size
    facts = {
        "format": _FORMAT,
        "vault_id": keys.vault_id,
        "made_at": now.isoformat(),
        "schema": NEWEST_REVISION,
        "database": {"bytes": size, "sha256": _sha256(copy)},
        "epochs": epochs,
        "logs": logs,
    }
    written = Written(database_bytes=size, logs=len(logs), entries=entries)
    return {**facts, "mac": _mac(facts, keys.mac_key)}, written


def _origin(keys: BackupKeys, scope: Scope) -> str:
    return origin_of(keys.vault_id, scope.merchant, scope.log_generation)


def check_backup(folder: Path, *, vault_id: str, mac_key: bytes) -> dict[str, Any]:
    """Returns the manifest of a backup that is complete and of this vault.

    Raises:
        BackupInvalid: It is not.
    """
    try:
        facts: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        mac = facts.pop("mac")
        is_ours = facts["format"] == _FORMAT and hmac.compare_digest(
            mac, _mac(facts, mac_key)
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupInvalid(f"{folder} is not a backup: no {MANIFEST}") from error
    if not is_ours or facts["vault_id"] != vault_id:
        raise BackupInvalid(
            f"{folder / MANIFEST} was altered, or is of another vault or keyring"
        )
    try:
        digest = _sha256(folder / DATABASE)
    except OSError as error:
        raise BackupInvalid(f"{folder / DATABASE} cannot be read") from error
    if digest != facts["database"]["sha256"]:
        raise BackupInvalid(f"{folder / DATABASE} is not what was backed up: damaged")
    return facts


def put_in_place(backup: Path, database: Path, now: datetime) -> Path | None:
    """Puts a backup's copy where the database is; returns where that is kept now.

    The caller holds the database's lock, so nobody has it open.

    Raises:
        OSError: It could not be done; the database that was there is there.
    """
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    incoming = database.with_name(f".{database.name}.restoring")
    shutil.copyfile(backup / DATABASE, incoming)
    incoming.chmod(0o600)
    with incoming.open("rb") as file:
        os.fsync(file.fileno())
    kept = database.with_name(f"{database.name}.before-{now:%Y%m%dT%H%M%SZ}")
    existed = database.exists()
    if existed:
        _empty_write_ahead_log(database)
    # A write-ahead log that is left would be taken for that of the restored database.
    for suffix in _SUFFIXES:
        old = database.with_name(f"{database.name}{suffix}")
        if old.exists():
            old.rename(kept.with_name(f"{kept.name}{suffix}"))
    incoming.rename(database)
    _sync(database.parent)
    return kept if existed else None


def _empty_write_ahead_log(database: Path) -> None:
    """Makes the database one file, if it can still be opened."""
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(database, isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _mac(facts: dict[str, Any], mac_key: bytes) -> str:
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hmac.new(mac_key, text.encode(), "sha256").hexdigest()


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _write_synced(file: Path, content: bytes) -> None:
    handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
