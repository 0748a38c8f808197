"""What a month of a log says, counted; no wording and no layout.

Invariants:
  * Every entry of the month is counted once in ``entries_by_type``.
  * Only what entries say is counted: nothing is taken from the database.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from gateway.audit.tree import leaf_hash
from gateway.cli.reconcile import Period

_USE: Final = "use.intent"
_DENIED: Final = "use.denied"
_OUTCOME: Final = "use.outcome"
# Everything that is told one by one, by the beginning of its type.
_EVENTS: Final = (
    "card.erased",
    "clock.",
    "caller.",
    "key.",
    "log.",
    "merchant.",
    "policy.",
)


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """One entry of the month."""

    index: int
    at: datetime
    leaf_hash: str
    facts: dict[str, Any]


@dataclass(slots=True)
class MonthFacts:
    """The month, counted."""

    entries: list[LoggedEntry] = field(default_factory=list)
    entries_by_type: Counter[str] = field(default_factory=Counter)
    uses: Counter[tuple[str, str]] = field(default_factory=Counter)
    uses_by_caller: Counter[tuple[str, str]] = field(default_factory=Counter)
    uses_by_day: dict[str, Counter[date]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    cards_opened: Counter[str] = field(default_factory=Counter)
    collected: Counter[tuple[str, str]] = field(default_factory=Counter)
    denials: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    denials_by_day: Counter[date] = field(default_factory=Counter)
    policies: dict[int, str] = field(default_factory=dict)
    events: list[LoggedEntry] = field(default_factory=list)


def entries_of(leaves: Iterable[bytes], period: Period) -> Iterator[LoggedEntry]:
    """Yields the entries of a period, with their places in the log."""
    for index, leaf in enumerate(leaves):
        facts = json.loads(leaf)
        at = datetime.fromisoformat(facts["time"])
        if period.start <= at < period.end:
            yield LoggedEntry(index, at, leaf_hash(leaf).hex(), facts)


def count_month(entries: Iterable[LoggedEntry]) -> MonthFacts:
    """Counts the entries of a month."""
    month = MonthFacts()
    for entry in entries:
        facts, kind = entry.facts, str(entry.facts["type"])
        month.entries.append(entry)
        month.entries_by_type[kind] += 1
        if "policy_version" in facts:
            sha256 = str(facts.get("policy_sha256", ""))
            month.policies[int(facts["policy_version"])] = sha256
        if kind == _USE:
            _count_use(month, entry)
        elif kind == _DENIED:
            _count_denial(month, entry)
        elif kind == _OUTCOME:
            _count_outcome(month, facts)
        elif kind.startswith(_EVENTS):
            month.events.append(entry)
    return month


def _count_use(month: MonthFacts, entry: LoggedEntry) -> None:
    purpose = str(entry.facts.get("purpose", ""))
    action = str(entry.facts.get("action", ""))
    month.uses[purpose, action] += 1
    month.uses_by_caller[str(entry.facts["caller"]), purpose] += 1
    month.uses_by_day[purpose][entry.at.date()] += 1


def _count_denial(month: MonthFacts, entry: LoggedEntry) -> None:
    facts = entry.facts
    number = int(facts.get("count", 1))
    key = str(facts["caller"]), str(facts.get("rule", "")), str(facts.get("purpose"))
    month.denials[key] += number
    month.denials_by_day[entry.at.date()] += number


def _count_outcome(month: MonthFacts, facts: dict[str, Any]) -> None:
    outcome = str(facts.get("outcome", ""))
    if facts.get("card_opened"):
        month.cards_opened[str(facts.get("purpose", ""))] += 1
    if outcome == "CAPTURED" and "amount" in facts:
        key = str(facts.get("purpose", "")), str(facts["currency"])
        month.collected[key] += int(facts["amount"])
