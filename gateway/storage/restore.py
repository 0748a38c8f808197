"""Accepting an older database: new log generations, and holds, in one transaction.

Invariants:
  * A restored log never continues an origin: every log gets a generation that no log
    had before, whether its entries are known to be missing or not. The anchor may be a
    second behind what was acknowledged.
  * It happens once for each state of the anchor, however often it is asked for.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import bindparam, insert, select, update

from gateway.errors import StorageUnavailable
from gateway.storage.anchor import AnchoredLog
from gateway.storage.codes import store_time
from gateway.storage.connection import WriterLock, connect_sqlite, open_writer
from gateway.storage.log_rows import LogRows, Scope
from gateway.storage.restore_tables import holds, restores
from gateway.storage.rollback import read_scopes
from gateway.storage.schema import migrate
from gateway.storage.statements import constant, insert_into, sql
from gateway.storage.tables import merchants, request_records, scopes
from gateway.words.identifiers import MerchantId

_FIND_RESTORE: Final = sql(
    select(restores.c.at).where(restores.c.anchor == bindparam("anchor"))
)
_ADD_RESTORE: Final = insert_into(restores)
_ADD_SCOPE: Final = insert_into(scopes)
_SET_GENERATION: Final = sql(
    update(scopes).values(log_generation=bindparam("generation"))
)
_DROP_HOLDS: Final = "DELETE FROM holds"
_HOLD_ALL: Final = sql(
    insert(holds).from_select(
        ["scope", "payments_since", "cards_since"],
        select(merchants.c.scope, bindparam("payments"), bindparam("cards")),
    )
)
# The entries of before are in a log that has ended: a repeated request is answered with
# the proof of the entry that says so, which is the first of the new log.
_POINT_TO_RESTORE: Final = sql(update(request_records).values(entry_index=constant(0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Succession:
    """A log and the one before it; ``None`` if there was none."""

    merchant: MerchantId
    generation: int
    previous: AnchoredLog | None
    restored_size: int


def begin_generations(
    database: Path,
    anchored: dict[MerchantId, AnchoredLog],
    *,
    anchor_digest: bytes,
    hold_cards: bool,
    now: datetime,
) -> list[Succession]:
    """Gives every log a new generation and holds every merchant's payments.

    Args:
        database: The file; no process may have it open.
        anchored: How far each log is known to have come.
        anchor_digest: Identifies the anchor; a second call with it changes nothing.
        hold_cards: Whether erasures may be missing.
        now: When.

    Raises:
        StorageUnavailable: Another process has it, or it cannot be read or written.
    """
    lock = WriterLock(database)
    try:
        migrate(database)
        with closing(open_writer(database, connect_sqlite)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            row = {"anchor": anchor_digest}
            if connection.execute(_FIND_RESTORE, row).fetchone() is None:
                _begin(connection, anchored)
                since = store_time(now)
                cards = since if hold_cards else None
                connection.execute(_DROP_HOLDS)
                connection.execute(_HOLD_ALL, {"payments": since, "cards": cards})
                connection.execute(_POINT_TO_RESTORE)
                connection.execute(_ADD_RESTORE, {**row, "at": since})
            found = _successions(connection, anchored)
            connection.execute("COMMIT")
            return found
    except sqlite3.Error as error:
        raise StorageUnavailable from error
    finally:
        lock.release()


def _begin(
    connection: sqlite3.Connection, anchored: dict[MerchantId, AnchoredLog]
) -> None:
    known = read_scopes(connection)
    used = [scope.log_generation for scope in known.values()]
    # One for all logs: who calls for several merchants pins one generation.
    generation = 1 + max(used + [log.generation for log in anchored.values()])
    connection.execute(_SET_GENERATION, {"generation": generation})
    for merchant in anchored.keys() - known.keys():
        # A merchant that is lost: if it is made again, its log has a new origin.
        row = {"merchant": merchant, "log_generation": generation}
        connection.execute(_ADD_SCOPE, row)


def _successions(
    connection: sqlite3.Connection, anchored: dict[MerchantId, AnchoredLog]
) -> list[Succession]:
    found = []
    for merchant, scope in read_scopes(connection).items():
        log = anchored.get(merchant) or _stored(connection, scope)
        generation = log.generation if log else 0
        rows = LogRows(connection, Scope(merchant, scope.row, generation))
        found.append(
            Succession(
                merchant=merchant,
                generation=scope.log_generation,
                previous=log,
                restored_size=rows.count(),
            )
        )
    return found


def _stored(connection: sqlite3.Connection, scope: Scope) -> AnchoredLog | None:
    """Returns the log before this one as the database itself holds it."""
    for generation in range(scope.log_generation - 1, 0, -1):
        before = Scope(scope.merchant, scope.row, generation)
        head = LogRows(connection, before).stored_head()
        if head.size:
            return AnchoredLog(generation, head.size, head.root())
    return None
