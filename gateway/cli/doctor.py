"""``bailee doctor``: what is wrong with a gateway, in sentences that say what to do."""

import shutil
import socket
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from gateway.adapters import open_keys
from gateway.cli.refusals import explain
from gateway.config import ConfigInvalid, Settings
from gateway.errors import GatewayError
from gateway.key_providers.certificates import expires_at
from gateway.words.clock import SystemClock

_EXPIRES_SOON: Final = timedelta(days=30)
_DISK_FREE_BYTES: Final = 1 << 30
_READABLE_BY_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and what it found."""

    mark: str
    text: str

    @property
    def is_problem(self) -> bool:
        """Whether the gateway cannot or should not run like this."""
        return self.mark == "FAIL"


def examine(folder: Path) -> list[Finding]:
    """Runs every check; a check that cannot run is a finding too."""
    try:
        settings = Settings.read(folder)
    except ConfigInvalid as error:
        return [Finding("FAIL", str(error))]
    findings = [Finding("ok  ", f"settings in {folder} are complete")]
    checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _check_certificates,
        _check_secrets,
        _check_keyring,
        _check_database,
        _check_processors,
        _check_port,
        _check_plain_cards,
    )
    for check in checks:
        findings.extend(check(settings))
    return findings


def _check_certificates(settings: Settings) -> Iterator[Finding]:
    now = SystemClock().now()
    files = [settings.path("tls_certificate"), settings.path("billing_ca")]
    files += sorted((settings.folder / "bundles").glob("*/client.pem"))
    if not settings.path("tls_key").exists():
        yield _missing(settings.path("tls_key"))
    for file in files:
        if not file.exists():
            yield _missing(file)
            continue
        try:
            ends = expires_at(file.read_bytes())
        except (OSError, ValueError):
            yield Finding("FAIL", f"{file} is not a PEM certificate; restore it")
            continue
        if ends <= now:
            yield Finding(
                "FAIL",
                f"{file} ended on {ends:%Y-%m-%d}; callers see 'socket closed'; "
                "issue a new one",
            )
        elif ends - now < _EXPIRES_SOON:
            yield Finding("warn", f"{file} ends on {ends:%Y-%m-%d}; renew it")
        else:
            yield Finding("ok  ", f"{file} is valid to {ends:%Y-%m-%d}")


def _missing(file: Path) -> Finding:
    return Finding("FAIL", f"{file} is missing; restore it or init a new folder")


def _check_secrets(settings: Settings) -> Iterator[Finding]:
    files = [settings.path("tls_key"), *settings.path("keyring").rglob("*")]
    files += sorted(settings.folder.glob("ca/*-key.pem"))
    files += sorted(settings.path("credentials").glob("*"))
    keyring = settings.path("keyring")
    if keyring.is_dir() and keyring.stat().st_mode & _READABLE_BY_OTHERS:
        yield Finding(
            "FAIL", f"others can look into {keyring}; run: chmod 700 {keyring}"
        )
    for file in files:
        if file.is_file() and file.stat().st_mode & _READABLE_BY_OTHERS:
            yield Finding("FAIL", f"others can read {file}; run: chmod 600 {file}")


def _check_keyring(settings: Settings) -> Iterator[Finding]:
    try:
        keys = open_keys(settings)
    except (GatewayError, OSError, ValueError) as error:
        yield Finding("FAIL", f"the keyring does not open: {explain(error)}")
        return
    yield Finding("ok  ", f"the keyring of vault {keys.vault_id} opens")
    newest = keys.sealing_keys(SystemClock().now())[0]
    yield Finding("ok  ", f"cards can be sealed until {newest.expires_at:%Y-%m-%d}")
    if settings.keyring_passphrase_file is None:
        yield Finding(
            "warn",
            "the keyring is not encrypted; whoever reads its files and the database "
            "opens cards. A new gateway's is, with bailee init --passphrase-file",
        )


def _check_database(settings: Settings) -> Iterator[Finding]:
    database = settings.path("database")
    if not database.exists():
        yield Finding("FAIL", f"{database} is missing; restore a backup")
        return
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as rows:
            rows.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        yield Finding("FAIL", f"{database} cannot be read: {error}; restore a backup")
        return
    free = shutil.disk_usage(database.parent).free
    if free < _DISK_FREE_BYTES:
        yield Finding("warn", f"{database.parent} has less than 1 GiB free")
    yield Finding("ok  ", f"{database} can be read")


def _check_processors(settings: Settings) -> Iterator[Finding]:
    keys = sorted(settings.path("credentials").glob("*.key"))
    if settings.simulator:
        yield Finding("warn", "the simulator answers charges; no real money moves")
    for file in keys:
        yield Finding("ok  ", f"credential of account {file.stem} in {file}")
    if not settings.simulator and not keys:
        yield Finding(
            "FAIL",
            "no processor: put a Stripe key into "
            f"{settings.path('credentials') / 'stripe.key'}",
        )


def _check_port(settings: Settings) -> Iterator[Finding]:
    host, _, port = settings.listen.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=1.0):
            text = "something answers"
    except OSError:
        text = "nothing listens"
    yield Finding("ok  ", f"{text} on {settings.listen}")


def _check_plain_cards(settings: Settings) -> Iterator[Finding]:
    if settings.accept_plain_cards:
        yield Finding(
            "warn",
            "accept_plain_cards is on: card numbers stay in transport buffers that no "
            "program can wipe; let callers seal",
        )
