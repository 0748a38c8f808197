"""Counts over all merchants, for metrics: how much there is, never of whom."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.payments.payment import PaymentState
from gateway.storage.codes import read_optional_time
from gateway.storage.database import Connection

# The partial indexes of these states answer it, however many payments there are.
_OPEN: Final = "SELECT count(*), min(created_at) FROM payments WHERE state IN (1, 11)"
_COUNTS: Final = {
    PaymentState.SUBMITTED: f"{_OPEN} AND state = 1",
    PaymentState.UNKNOWN: f"{_OPEN} AND state = 11",
    PaymentState.NEEDS_ATTENTION: (
        "SELECT count(*), min(created_at) FROM payments WHERE state = 12"
    ),
}
_ENTRIES: Final = "SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM log_heads"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Payments in one state, and when the oldest was made."""

    count: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Census:
    """What was counted."""

    waiting: dict[PaymentState, Waiting]
    log_entries: int


def take_census(connection: Connection) -> Census:
    """Counts."""
    waiting = {}
    for state, query in _COUNTS.items():
        count, oldest = connection.execute(query).fetchone()
        waiting[state] = Waiting(count, read_optional_time(oldest))
    (entries,) = connection.execute(_ENTRIES).fetchone()
    return Census(waiting, entries)
