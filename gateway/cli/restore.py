"""``bailee restore``: putting a backup in place, and accepting what is lost by it.

The steps of accepting may be repeated; a process that was killed is run again:
  1. every log gets a new generation and every merchant's payments are held,
  2. each new log begins with an entry that names the old one and what is lost of it,
  3. cards that were erased since the backup are erased again,
  4. the anchor is written; from now on the gateway starts.
"""

import asyncio
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gateway.adapters import BUILD, create_anchor, open_anchor, open_keys, open_storage
from gateway.audit.checkpoint import origin_of
from gateway.audit.entry import Entry, EntryType, PreviousLog
from gateway.config import Settings
from gateway.errors import AnchorUnusable
from gateway.key_providers.file import FileKeyProvider
from gateway.keys.checkpoint_signer import ProviderSigner
from gateway.merchants.ports import Holds
from gateway.storage import anchor as anchors
from gateway.storage.anchor import Anchor, AnchoredLog, AnchorFolder, Erasure
from gateway.storage.anchor_keeper import AnchorKeeper, anchored_logs
from gateway.storage.backup import MAC_LABEL, BackupInvalid, check_backup, put_in_place
from gateway.storage.connection import WriterLock
from gateway.storage.engine import SqliteStorage
from gateway.storage.restore import Succession, begin_generations
from gateway.storage.rollback import find_behind, read_scopes
from gateway.storage.unit import SqlUnit
from gateway.vault.replay_erasures import RESTORE, ReplayErasures
from gateway.words.clock import Clock, SystemClock
from gateway.words.identifiers import GATEWAY, MerchantId

_SPARE_FACTOR: Final = 2

Tell = Callable[[str], None]


class RestoreRefused(Exception):
    """It was not done; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the anchor says, as far as it can be used."""

    logs: dict[MerchantId, AnchoredLog]
    digest: bytes
    erasures: Sequence[Erasure]
    hold_cards: bool


def restore_at(settings: Settings, backup: Path, tell: Tell) -> None:
    """Puts a backup in the database's place; the gateway refuses it until accepted.

    Raises:
        RestoreRefused: Not a backup of this vault, or there is no room for it.
        StorageUnavailable: A gateway serves.
    """
    keys = open_keys(settings)
    mac_key = keys.mac_key(MAC_LABEL)
    try:
        facts = check_backup(backup, vault_id=keys.vault_id, mac_key=mac_key)
    except BackupInvalid as error:
        raise RestoreRefused(str(error)) from error
    database = settings.path("database")
    clock = SystemClock()
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    needed = int(facts["database"]["bytes"]) * _SPARE_FACTOR
    if shutil.disk_usage(database.parent).free < needed:
        raise RestoreRefused(f"{database.parent} has not {needed:,} bytes free")
    dead = sorted(set(facts["epochs"]) - set(keys.epochs()))
    lock = WriterLock(database)
    try:
        # Without a usable anchor the gateway does not start either. None is made here:
        # an empty journal would look as if nothing had been erased since the backup.
        with suppress(AnchorUnusable):
            anchor = open_anchor(settings, keys)
            anchor.write(replace(anchor.read(), is_restored=True))
        kept = put_in_place(backup, database, clock.now())
    finally:
        lock.release()
    tell(f"put the backup of {facts['made_at']} in place of {database}")
    if kept is not None:
        tell(f"the database that was there is kept as {kept}; delete it when you can")
    if dead:
        tell(
            f"WARNING: its keys are of {', '.join(dead)}, which the keyring does not "
            "hold any more: cards of that time do not open, by design"
        )
    tell(f"now accept what is lost by it: bailee restore {settings.folder} --accept")


def accept_at(settings: Settings, tell: Tell) -> None:
    """Accepts an older database as the newest there is.

    Raises:
        RestoreRefused: It is the newest.
        StorageUnavailable: A gateway serves, or the database cannot be read.
    """
    keys, clock = open_keys(settings), SystemClock()
    known = _read_anchor(settings, keys)
    successions = begin_generations(
        settings.path("database"),
        known.logs,
        anchor_digest=known.digest,
        hold_cards=known.hold_cards,
        now=clock.now(),
    )
    asyncio.run(_accept(settings, keys, clock, known, successions, tell))


def _read_anchor(settings: Settings, keys: FileKeyProvider) -> _Known:
    folder = settings.path("anchor")
    files = AnchorFolder(folder, keys.vault_id, keys.mac_key(anchors.MAC_LABEL))
    try:
        anchor, digest = files.read(), files.digest()
        if not anchor.is_restored and not find_behind(
            settings.path("database"), anchor
        ):
            raise RestoreRefused("the database is not behind its anchor; just serve it")
        logs = dict(anchor.logs)
    except AnchorUnusable:
        logs, digest = {}, _digest_without_anchor(settings.path("database"))
    try:
        return _Known(
            logs=logs, digest=digest, erasures=list(files.erasures()), hold_cards=False
        )
    except AnchorUnusable:
        return _Known(logs=logs, digest=digest, erasures=[], hold_cards=True)


def _digest_without_anchor(database: Path) -> bytes:
    """Returns what identifies the database's state, which each restore moves on."""
    address = f"{database.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as reader:
            (last,) = reader.execute("SELECT max(entry) FROM log_entries").fetchone()
    except sqlite3.Error as error:
        raise RestoreRefused(f"{database} cannot be read: {error}") from error
    return hashlib.sha256(f"no anchor, entry {last}".encode()).digest()


async def _accept(
    settings: Settings,
    keys: FileKeyProvider,
    clock: Clock,
    known: _Known,
    successions: Sequence[Succession],
    tell: Tell,
) -> None:
    storage = SqliteStorage.open(
        settings.path("database"),
        signer=ProviderSigner(keys),
        vault_id=keys.vault_id,
        build=BUILD,
    )
    try:
        for succession in successions:
            await _begin_log(storage, keys, clock, succession)
            tell(_describe(succession))
        replay = ReplayErasures(storage=storage, clock=clock)
        erased = await replay.execute(
            (erasure.merchant, erasure.token) for erasure in known.erasures
        )
        tell(f"erased {erased} cards again, of {len(known.erasures)} in the journal")
        await storage.purge()
        logs = anchored_logs(storage.published_heads())
        folder = create_anchor(settings, keys, clock.now())
        folder.write(Anchor(clock.now(), logs))
    finally:
        await storage.close()
    for bundle in _rename_logs(settings.folder / "bundles", keys.vault_id, successions):
        tell(f"wrote the log's new name into {bundle}; give the bundle out again")
    if known.hold_cards:
        tell(
            "WARNING: which cards were erased since the backup is not known; no card "
            f"opens until: bailee restore {settings.folder} --release-cards"
        )
    tell(
        "no money moves until its payments are reconciled with the processor: "
        f"bailee restore {settings.folder} --reconcile"
    )


async def _begin_log(
    storage: SqliteStorage, keys: FileKeyProvider, clock: Clock, log: Succession
) -> None:
    previous = None
    if log.previous is not None:
        before = log.previous
        origin = origin_of(keys.vault_id, log.merchant, before.generation)
        previous = PreviousLog(origin, before.size, before.root, log.restored_size)
    entry = Entry(
        type=EntryType.LOG_RESTORED,
        merchant=log.merchant,
        at=clock.now(),
        caller=RESTORE,
        previous=previous,
    )

    if not storage.stored_log(log.merchant).size():
        await storage.commit(log.merchant, lambda unit: unit.log.append(entry))
    # Known to the writer from now on, whether it was appended now or before a kill.
    await storage.commit(log.merchant, lambda unit: unit.log.receipt(0))


def _rename_logs(
    bundles: Path, vault_id: str, successions: Sequence[Succession]
) -> list[Path]:
    """Writes the new origins into the bundles that the operator hands out."""
    changed = []
    origins = {log.merchant: log for log in successions}
    for file in sorted(bundles.glob("*/bundle.json")):
        facts = json.loads(file.read_bytes())
        log = origins.get(facts.get("merchant"))
        if log is None or facts.get("vault_id") != vault_id:
            continue
        facts["log_origin"] = origin_of(vault_id, log.merchant, log.generation)
        fresh = file.with_name(f".{file.name}.new")
        fresh.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
        fresh.replace(file)
        changed.append(file)
    return changed


def _describe(log: Succession) -> str:
    goes_on = f"log of {log.merchant}: goes on as g{log.generation}"
    if log.previous is None:
        return f"{goes_on}; there was none before"
    before = f"g{log.previous.generation}"
    lost = log.previous.size - log.restored_size
    if lost <= 0:
        return f"{goes_on}; of {before} no entry is known to be lost"
    return (
        f"{goes_on}; of {before} the entries {log.restored_size} to "
        f"{log.previous.size - 1} are lost ({lost})"
    )


def release_at(
    settings: Settings, merchants: Sequence[MerchantId], *, cards: bool, tell: Tell
) -> None:
    """Ends the holds of merchants: of their payments, or of their cards.

    Raises:
        RestoreRefused: No merchant is held.
        StorageUnavailable: A gateway serves.
    """
    keys = open_keys(settings)
    asyncio.run(_release(settings, keys, merchants, cards=cards, tell=tell))


async def _release(
    settings: Settings,
    keys: FileKeyProvider,
    merchants: Sequence[MerchantId],
    *,
    cards: bool,
    tell: Tell,
) -> None:
    clock = SystemClock()
    storage = open_storage(settings, keys)
    kind = EntryType.CARDS_RELEASED if cards else EntryType.PAYMENTS_RECONCILED
    released = 0
    try:
        for merchant in merchants or all_merchants(settings.path("database")):
            entry = Entry(type=kind, merchant=merchant, at=clock.now(), caller=RESTORE)

            def release(unit: SqlUnit, entry: Entry = entry) -> bool:
                before = unit.holds.get()
                after = Holds(
                    None if not cards else before.payments_since,
                    None if cards else before.cards_since,
                )
                if after == before:
                    return False
                unit.holds.put(after)
                unit.log.append(entry)
                return True

            if await storage.commit(merchant, release):
                released += 1
                tell(f"{merchant}: {'cards open' if cards else 'money moves'} again")
        folder = open_anchor(settings, keys)
        AnchorKeeper(folder=folder, storage=storage, clock=clock).write()
    finally:
        await storage.close()
    if not released:
        raise RestoreRefused("no merchant is held")


def all_merchants(database: Path) -> list[MerchantId]:
    """Returns every merchant of a database."""
    address = f"{database.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as reader:
        return [merchant for merchant in read_scopes(reader) if merchant != GATEWAY]
