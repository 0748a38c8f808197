"""Denials in the log: each of the first ten, then how many there were.

A caller that asks for what it may not do, again and again, must not make the log grow
without end; and nobody must be able to hide a denial among thousands.

Invariants:
  * Of one caller, rule and minute, the first ten denials are entries of their own.
  * The others become one entry that counts them, in a later minute. Nothing is lost in
    a crash: the count is committed with the unit that was denied.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from gateway.audit.entry import Decision, Entry, EntryType
from gateway.audit.ports import Appended, AuditUnit
from gateway.words.identifiers import MerchantId

ENTRIES_EACH_MINUTE: Final = 10


@dataclass(frozen=True, slots=True)
class CountedDenials:
    """How often one caller was denied by one rule in one minute since 1970."""

    caller: str
    rule: str
    minute: int
    denials: int


class DenialStore(Protocol):
    """The merchant's denials of the last minutes, counted."""

    def count(self, caller: str, rule: str, minute: int) -> int:
        """Counts one more and returns how many there are with it."""

    def before(self, minute: int) -> Sequence[CountedDenials]:
        """Returns the counts of earlier minutes, oldest first."""

    def forget_before(self, minute: int) -> None:
        """Drops the counts of earlier minutes."""


class DenialUnit(AuditUnit, Protocol):
    """The slice of the unit of work that counts denials."""

    @property
    def denials(self) -> DenialStore:
        """The merchant's denials."""


def append_denial(unit: DenialUnit, entry: Entry) -> Appended | None:
    """Appends a denial, or counts it when its minute has ten already.

    Raises:
        AuditUnavailable: The log cannot be written.
    """
    minute = minute_of(entry.at)
    fold_denials(unit, entry.merchant, entry.at)
    if unit.denials.count(entry.caller, entry.rule or "", minute) > ENTRIES_EACH_MINUTE:
        return None
    return unit.log.append(entry)


def fold_denials(unit: DenialUnit, merchant: MerchantId, now: datetime) -> None:
    """Appends an entry for each count of an earlier minute that went beyond ten."""
    minute = minute_of(now)
    earlier = unit.denials.before(minute)
    if not earlier:
        return
    for counted in earlier:
        uncounted = counted.denials - ENTRIES_EACH_MINUTE
        if uncounted > 0:
            unit.log.append(
                Entry(
                    type=EntryType.USE_DENIED,
                    merchant=merchant,
                    at=now,
                    caller=counted.caller,
                    decision=Decision.DENIED,
                    rule=counted.rule,
                    count=uncounted,
                )
            )
    unit.denials.forget_before(minute)


def minute_of(moment: datetime) -> int:
    """Returns the minute since 1970."""
    return int(moment.timestamp()) // 60
