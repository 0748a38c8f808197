"""Whether a database is the one that the anchor saw last, or an older one."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import select

from gateway.audit.tree import frontier_of
from gateway.errors import (
    DatabaseRolledBack,
    IntegrityViolation,
    StorageUnavailable,
)
from gateway.storage.anchor import Anchor, AnchoredLog
from gateway.storage.log_rows import LogRows, Scope
from gateway.storage.statements import sql
from gateway.storage.tables import scopes
from gateway.words.identifiers import MerchantId

_SELECT_SCOPES: Final = sql(
    select(scopes.c.merchant, scopes.c.scope, scopes.c.log_generation)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """A log that is not as far as the anchor saw it."""

    merchant: MerchantId
    anchored: AnchoredLog
    size: int
    reason: str


def check_anchor(path: Path, anchor: Anchor) -> None:
    """Refuses a database that was rolled back.

    Raises:
        DatabaseRolledBack: A log is behind its anchor, or another one.
        StorageUnavailable: The database cannot be read.
    """
    written = f"written {anchor.at:%Y-%m-%d %H:%M:%S} UTC"
    if anchor.is_restored:
        raise DatabaseRolledBack(
            metadata={"restored": "a backup was put in place", "anchor": written}
        )
    behind = find_behind(path, anchor)
    if not behind:
        return
    first = behind[0]
    raise DatabaseRolledBack(
        metadata={
            "merchant": first.merchant,
            "log": first.reason,
            "anchor": written,
            "logs behind": str(len(behind)),
        }
    )


def find_behind(path: Path, anchor: Anchor) -> list[Behind]:
    """Returns the logs that are behind the anchor.

    Raises:
        StorageUnavailable: The database cannot be read.
    """
    address = f"{path.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as reader:
            known = read_scopes(reader)
            found = (
                _compare(reader, merchant, known.get(merchant), log)
                for merchant, log in anchor.logs.items()
            )
            return [behind for behind in found if behind is not None]
    except sqlite3.Error as error:
        raise StorageUnavailable from error


def read_scopes(reader: sqlite3.Connection) -> dict[MerchantId, Scope]:
    """Returns every merchant's scope, and the gateway's."""
    rows = reader.execute(_SELECT_SCOPES).fetchall()
    return {
        MerchantId(name): Scope(MerchantId(name), row, generation)
        for name, row, generation in rows
    }


def _compare(
    reader: sqlite3.Connection,
    merchant: MerchantId,
    scope: Scope | None,
    log: AnchoredLog,
) -> Behind | None:
    if scope is None:
        return Behind(merchant=merchant, anchored=log, size=0, reason="is missing")
    rows = LogRows(reader, Scope(merchant, scope.row, log.generation))
    size = rows.count()

    def behind(reason: str) -> Behind:
        return Behind(merchant=merchant, anchored=log, size=size, reason=reason)

    if scope.log_generation > log.generation:
        return behind("is of a later generation: accepting a restore was interrupted")
    if scope.log_generation < log.generation:
        return behind("is of an earlier generation")
    if size < log.size:
        return behind(f"has {size} entries, the anchor saw {log.size}")
    if not _has_root(rows, log):
        return behind(f"differs from what the anchor saw at {log.size} entries")
    return None


def _has_root(rows: LogRows, log: AnchoredLog) -> bool:
    try:
        return frontier_of(log.size, rows.node).root() == log.root
    except IntegrityViolation:
        return False
