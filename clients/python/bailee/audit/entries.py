"""Reading one entry: the bytes that are hashed, and what they say.

Invariants:
  * An entry that this software does not fully understand is refused, not skipped: it
    could be the one that matters.
  * No key occurs twice: two readers of one entry read the same.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

VERSION: Final = 1
# Uses that no mandate and no policy allows. An intent with one is a finding by itself.
FORBIDDEN_PURPOSES: Final = frozenset(
    {"marketing", "analytics", "profiling", "research", "resale"}
)
FIELDS: Final = frozenset(
    "action amount build caller card card_opened count currency decision effective "
    "environment merchant object outcome payment policy_sha256 policy_version "
    "previous_origin previous_root previous_size processor_account purpose request_id "
    "restored_size rule subject time type v".split()
)


class EntryInvalid(ValueError):
    """Not an entry that this software understands; the text says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry and its place in the log."""

    index: int
    facts: dict[str, Any]

    @property
    def type(self) -> str:
        """What happened, such as ``use.intent``."""
        return str(self.facts["type"])

    @property
    def request_id(self) -> str:
        """The call that it belongs to; empty for an event of the gateway itself."""
        return str(self.facts.get("request_id", ""))

    @property
    def at(self) -> datetime:
        """When the gateway says that it happened."""
        return read_time(str(self.facts["time"]))

    @property
    def opens_a_card(self) -> bool:
        """Whether it announces a use of a stored card."""
        return self.type == "use.intent"

    def get(self, name: str) -> Any:  # noqa: ANN401 - text, an integer or a boolean
        """Returns a field, or None."""
        return self.facts.get(name)

    @property
    def money(self) -> str:
        """The amount and currency for people; empty without an amount."""
        if self.get("amount") is None:
            return ""
        return f"{self.get('amount')} {self.get('currency')} (minor units)"


def read_entry(index: int, leaf: bytes, merchant: str) -> Entry:
    """Returns what an entry says.

    Raises:
        EntryInvalid: Not an entry of this merchant's log in a version that is known.
    """
    facts = read_facts(leaf)
    if facts.get("v") != VERSION or facts.get("v") is True:
        raise EntryInvalid(
            "it is of a version that this software does not know; upgrade it"
        )
    if facts.get("merchant") != merchant:
        raise EntryInvalid("it belongs to another merchant")
    unknown = facts.keys() - FIELDS
    if unknown or not {"type", "time", "caller", "build"} <= facts.keys():
        raise EntryInvalid("its fields are not those of version 1")
    try:
        read_time(str(facts["time"]))
    except ValueError as error:
        raise EntryInvalid("its time is not a time") from error
    return Entry(index, facts)


def read_facts(leaf: bytes) -> dict[str, Any]:
    """Returns the entry's fields.

    Raises:
        EntryInvalid: Not a JSON object, or a key occurs twice.
    """
    try:
        facts = json.loads(leaf.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise EntryInvalid("it is not a JSON object with unique keys") from error
    if not isinstance(facts, dict):
        raise EntryInvalid("it is not a JSON object with unique keys")
    return facts


def read_time(text: str) -> datetime:
    """Returns a time of an entry: RFC 3339 in UTC.

    Raises:
        ValueError: It is not one.
    """
    if not text.endswith("Z"):
        raise ValueError("not a time in UTC")
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    facts = dict(pairs)
    if len(facts) != len(pairs):
        raise ValueError("a key occurs twice")
    return facts
