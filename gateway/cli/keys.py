"""``bailee keys``: what keys there are, and rotating the epoch key by hand."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.adapters import open_keys, open_storage
from gateway.app import Gateway
from gateway.config import Settings
from gateway.errors import StorageUnavailable
from gateway.key_providers.file import SEALING_KEY_LIFETIME, FileKeyProvider
from gateway.keys.ports import Epoch, EpochState
from gateway.storage.key_inventory import (
    KeyInventory,
    WrappingKeyRow,
    open_key_inventory,
)
from gateway.words.clock import SystemClock

_LOOK_EVERY_SECONDS: Final = 0.5


class KeysFailed(Exception):
    """It could not be done; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFact:
    """What may be said of one key. Never its bytes."""

    kind: str
    id: str
    where: str
    state: str
    merchant: str = ""
    purpose: str = ""
    created_at: datetime | None = None
    age_days: int | None = None
    copies: int | None = None

    def as_json(self) -> dict[str, object]:
        """Returns the fact with its time as text."""
        shown = asdict(self)
        shown["created_at"] = self.created_at and self.created_at.isoformat()
        return shown


def list_keys(settings: Settings, now: datetime) -> list[KeyFact]:
    """Returns every key of a gateway, served or not.

    Raises:
        KeyUnavailable: The keyring does not open.
        KeysFailed: The database cannot be read.
    """
    provider = open_keys(settings)
    try:
        with open_key_inventory(settings.path("database")) as inventory:
            facts = [
                *_epoch_keys(provider, inventory.epochs(), settings, now),
                *_wrapping_keys(provider, inventory, now),
            ]
    except sqlite3.Error as error:
        raise KeysFailed(f"the database cannot be read: {error}") from error
    facts += _sealing_keys(provider, settings, now)
    facts += _lasting_keys(provider, settings, now)
    facts += _files(settings)
    return facts


def _epoch_keys(
    provider: FileKeyProvider,
    epochs: Sequence[Epoch],
    settings: Settings,
    now: datetime,
) -> Iterator[KeyFact]:
    known = {epoch.epoch: epoch for epoch in epochs}
    for number, name in enumerate(provider.epochs()):
        born = provider.epoch_made_at(name)
        state = EpochState.RETIRING if number else EpochState.CURRENT
        row = known.get(name)
        about = ""
        if row is not None and row.due_at is not None:
            about += f", due {row.due_at:%Y-%m-%d}"
        if row is not None and number:
            about += f", {row.moved} copies moved"
        yield KeyFact(
            kind="epoch",
            id=name,
            where=str(settings.path("keyring")),
            state=f"{state.value}{about}",
            created_at=born,
            age_days=_age(born, now),
        )
    for epoch in epochs:
        if epoch.state is EpochState.DESTROYED:
            yield KeyFact(
                kind="epoch",
                id=epoch.epoch,
                where="nowhere",
                state=f"destroyed {epoch.destroyed_at:%Y-%m-%d}",
                created_at=epoch.made_at,
            )


def _wrapping_keys(
    provider: FileKeyProvider, inventory: KeyInventory, now: datetime
) -> Iterator[KeyFact]:
    held = provider.epochs()
    for row in inventory.wrapping_keys():
        yield KeyFact(
            kind="wrapping",
            id=row.key_id,
            where=f"database, under {row.epoch}",
            state=_state_of(row, held),
            merchant=row.merchant,
            purpose=row.purpose.value,
            created_at=row.created_at,
            age_days=_age(row.created_at, now),
            copies=row.copies,
        )


def _state_of(row: WrappingKeyRow, held: Sequence[str]) -> str:
    if row.epoch not in held:
        return "dead: its epoch key is destroyed" if row.copies else "dead"
    if row.retired_at is not None:
        return "retired"
    return "current" if row.epoch == held[0] else "retiring"


def _sealing_keys(
    provider: FileKeyProvider, settings: Settings, now: datetime
) -> Iterator[KeyFact]:
    for number, key in enumerate(provider.sealing_keys(now)):
        born = key.expires_at - SEALING_KEY_LIFETIME
        ends = f"{key.expires_at:%Y-%m-%d %H:%M} UTC"
        yield KeyFact(
            kind="sealing",
            id=key.key_id,
            where=str(settings.path("keyring")),
            state=f"{'opens' if number else 'preferred'} until {ends}",
            created_at=born,
            age_days=_age(born, now),
        )


def _lasting_keys(
    provider: FileKeyProvider, settings: Settings, now: datetime
) -> Iterator[KeyFact]:
    for kind, shown in (
        ("identity", provider.identity_public_key.hex()),
        ("log", provider.log_public_key.hex()),
        ("MAC root", ""),
    ):
        yield KeyFact(
            kind=kind,
            id=shown[:16],
            where=str(settings.path("keyring")),
            state="current",
            created_at=provider.made_at,
            age_days=_age(provider.made_at, now),
        )


def _files(settings: Settings) -> Iterator[KeyFact]:
    found = [("TLS", settings.path("tls_key"))]
    found += [("CA", file) for file in sorted(settings.folder.glob("ca/*-key.pem"))]
    for kind, file in found:
        if file.is_file():
            yield KeyFact(kind=kind, id=file.stem, where=str(file), state="current")


def _age(born: datetime | None, now: datetime) -> int | None:
    return None if born is None else (now - born) // timedelta(days=1)


def rotate_at(settings: Settings, tell: Callable[[str], None]) -> str:
    """Rotates the epoch key and returns a sentence when the old one is destroyed.

    A gateway that serves does it itself; otherwise it is done here.

    Raises:
        GatewayError: It did not end; what is left goes on at the next start.
    """
    keys = open_keys(settings)
    try:
        storage = open_storage(settings, keys)
    except StorageUnavailable as error:
        if "database" not in error.metadata:
            raise
        return _ask(settings, keys, tell)
    tell("the gateway does not serve; rotating here")
    gateway = Gateway(
        settings=settings,
        keys=keys,
        storage=storage,
        processors={},
        clock=SystemClock(),
    )
    keys.ask_for_rotation(gateway.clock.now())
    return asyncio.run(_rotate(gateway))


async def _rotate(gateway: Gateway) -> str:
    try:
        await gateway.rotation.without_pause().run_due()
    finally:
        await gateway.close()
    return f"rotated: {gateway.keys.epochs()[0]} is the only epoch key"


def _ask(settings: Settings, keys: FileKeyProvider, tell: Callable[[str], None]) -> str:
    """Asks the gateway that serves, and waits until it is done."""
    before = keys.epochs()[0]
    keys.ask_for_rotation(SystemClock().now())
    tell("asked the gateway that serves; it goes on if this command is stopped")
    told = ""
    while len(keys.epochs()) > 1 or keys.epochs()[0] == before:
        time.sleep(_LOOK_EVERY_SECONDS)
        keys.refresh()
        seen = _progress(settings.path("database"))
        if seen and seen != told:
            tell(seen)
            told = seen
    return f"rotated: {keys.epochs()[0]} is the only epoch key; {before} is destroyed"


def _progress(database: Path) -> str:
    try:
        with open_key_inventory(database) as inventory:
            for epoch in inventory.epochs():
                if epoch.state is EpochState.RETIRING:
                    return f"{epoch.epoch} is retiring, {epoch.moved} copies moved"
    except sqlite3.Error:
        return ""
    return ""
