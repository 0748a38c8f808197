"""Comparing entries with what the platform asked for.

Invariants:
  * Every entry that announces a use of a card, or moves money, belongs to one request
    of the platform, and is what that request asked for.
  * One request is one use. The gateway may try again what it does not know the outcome
    of, for fifteen minutes; after an outcome, a further use is a finding.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from bailee.audit.entries import FORBIDDEN_PURPOSES, Entry
from bailee.audit.findings import Finding, Kind
from bailee.audit.journal import ACTIONS, Asked
from bailee.audit.store import Store

# How long the gateway may send the same charge again; docs/architecture.md.
_TRIES_FOR: Final = timedelta(minutes=15)
# Two clocks, and the time from an entry's making to its place in the log.
CLOCKS_DIFFER: Final = timedelta(minutes=10)
_OPEN_OUTCOMES: Final = frozenset({"UNKNOWN", "SUBMITTED", "REQUIRES_ACTION"})
_OF_REQUESTS: Final = ("use.", "payment.", "card.", "policy.accepted")
_ANNOUNCING: Final = frozenset({"use.intent", "payment.intent"})
_OF_MANY_CARDS: Final = frozenset({"BatchTokenizeCards", "ImportCards"})
# What a request means that names no purpose of its own.
_IMPLIED: Final = {"verify": "verification", "erase": "erasure"}
_SAME: Final = ("action", "purpose", "payment", "amount", "currency")


class Matcher:
    """Checks entries in the order of the log, against one store."""

    def __init__(self, store: Store, *, grace: timedelta) -> None:
        """Makes a matcher.

        Args:
            store: What was seen and asked before.
            grace: How long an entry may wait for its request to be in the journal.
        """
        self._store = store
        self._grace = grace

    def check(self, entry: Entry, leaf: bytes, now: datetime) -> list[Finding]:
        """Returns what is wrong with a new entry; remembers it."""
        findings = _check_alone(entry)
        if not entry.type.startswith(_OF_REQUESTS) or not entry.request_id:
            return findings
        asked = self._store.find_asked(entry.request_id)
        if asked is None:
            self._store.wait_for(entry.index, leaf, now)
            return findings
        return findings + self._match(entry, asked, now)

    def check_again(
        self, entry: Entry, seen_at: datetime, now: datetime
    ) -> list[Finding] | None:
        """Checks an entry that waited; None if it waits on."""
        asked = self._store.find_asked(entry.request_id)
        if asked is not None:
            return self._match(entry, asked, now)
        if now - seen_at < self._grace:
            return None
        return [_unasked(entry)]

    def find_omitted(self) -> list[Finding]:
        """Returns the requests that were answered and left nothing in the log."""
        return [
            Finding(
                Kind.OMITTED,
                None,
                f"{asked.rpc} {asked.request_id} was answered, and the log has no "
                "entry of it: demand the entry, and keep the receipt",
            )
            for asked in self._store.answered_without_entry()
            if asked.rpc in ACTIONS
        ]

    def find_unfinished(self, now: datetime) -> list[Finding]:
        """Returns uses that were announced two days ago and never came to an end."""
        return [
            Finding(
                Kind.UNFINISHED,
                index,
                "a use was announced, and two days later the log has no outcome of it: "
                "ask what became of it",
            )
            for index in self._store.unfinished(now - timedelta(days=2))
        ]

    def _match(self, entry: Entry, asked: Asked, now: datetime) -> list[Finding]:
        self._store.count_entry(entry.request_id)
        findings = [
            Finding(Kind.DIFFERS, entry.index, text)
            for text in _differences(entry, asked)
        ]
        if entry.opens_a_card:
            findings += self._check_repetition(entry, asked)
            facts = {name: entry.get(name) for name in _SAME}
            facts["time"] = entry.at.isoformat()
            self._store.add_intent(entry.index, entry.request_id, facts, now)
        if entry.type == "use.outcome" and entry.get("outcome") not in _OPEN_OUTCOMES:
            self._store.finish_intents(entry.request_id)
        return findings

    def _check_repetition(self, entry: Entry, asked: Asked) -> list[Finding]:
        earlier = self._store.intents(entry.request_id)
        if not earlier or asked.rpc in _OF_MANY_CARDS:
            return []
        if all(item["finished"] for item in earlier):
            why = "the first use was settled already"
        elif any(_is_other(entry, item) for item in earlier):
            why = "they are not the same use"
        elif entry.at - _first(earlier) > _TRIES_FOR + CLOCKS_DIFFER:
            why = "the gateway may try again for 15 minutes only"
        else:
            return []
        return [
            Finding(
                Kind.REPEATED,
                entry.index,
                f"request {entry.request_id} used a card {len(earlier) + 1} times, and "
                f"{why}: compare with the processor's list",
            )
        ]


def _check_alone(entry: Entry) -> list[Finding]:
    """Returns what is wrong with an entry whatever was asked for."""
    purpose = entry.get("purpose")
    findings = []
    if purpose in FORBIDDEN_PURPOSES and entry.get("decision") != "denied":
        findings.append(
            Finding(
                Kind.PURPOSE,
                entry.index,
                f"a card was used for {purpose}, which no policy allows",
            )
        )
    if entry.type in _ANNOUNCING and not entry.request_id:
        findings.append(_unasked(entry))
    return findings


def _unasked(entry: Entry) -> Finding:
    action, purpose = entry.get("action") or entry.type, entry.get("purpose")
    text = f"{action} {entry.money}".strip()
    if purpose:
        text += f" for {purpose}"
    return Finding(
        Kind.UNASKED,
        entry.index,
        f"{text} by {entry.get('caller')}, and the journal has no such request "
        f"({entry.request_id or 'it names none'}): nobody of yours asked for it",
    )


def _differences(entry: Entry, asked: Asked) -> list[str]:
    """Returns, in words, how an entry is not what was asked for."""
    action = entry.get("action")
    found = []
    if entry.type == "policy.accepted" and asked.rpc != "AcceptPolicy":
        found.append(f"a policy was accepted, and the request was a {asked.rpc}")
    allowed = ACTIONS.get(asked.rpc)
    if action is not None and allowed is not None and action not in allowed:
        found.append(f"it is a {action}, and the request was a {asked.rpc}")
    purpose = asked.purpose or _IMPLIED.get(str(action), "")
    if purpose and entry.get("purpose") not in (None, purpose):
        found.append(f"its purpose is {entry.get('purpose')}, and {purpose} was asked")
    money = (entry.get("amount"), entry.get("currency"))
    wanted = (asked.amount, asked.currency)
    if asked.amount is not None and entry.get("amount") is not None and money != wanted:
        found.append(
            f"it is about {entry.money}, and {wanted[0]} {wanted[1]} was asked"
        )
    if asked.payment and entry.get("payment") not in (None, asked.payment):
        found.append("it is about another payment than the one that was asked")
    if asked.merchant and entry.get("merchant") != asked.merchant:
        found.append("it was asked for another merchant")
    return found


def _is_other(entry: Entry, earlier: dict[str, Any]) -> bool:
    return any(entry.get(name) != earlier[name] for name in _SAME)


def _first(earlier: list[dict[str, Any]]) -> datetime:
    return min(datetime.fromisoformat(item["time"]) for item in earlier)
