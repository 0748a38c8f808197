"""Reading one entry: the bytes that are hashed, and what they say.

Invariants:
  * An entry that this software does not fully understand is refused, not skipped: it
    could be the one that matters.
  * Only canonical JSON is an entry (RFC 8785; these entries hold no fractions and no
    nested values): no key occurs twice, and two readers of one entry read the same.
"""

import json
import re
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


_REQUIRED: Final = frozenset({"type", "time", "caller", "build"})
_STRING: Final = r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\bfnrt]|u00[01][0-9a-f]))*+"'
_SCALAR: Final = f"(?:{_STRING}|0|[1-9][0-9]{{0,14}}|true|false)"


def _shape_of(name: str) -> str:
    if name == "merchant":
        return r'"merchant":"(?P<merchant>[a-z0-9-]+)",'
    if name == "time":
        return r'"time":"[0-9]{4}-[0-9-]{5}T[0-9:]{8}\.[0-9]{3}Z",'
    often = "" if name in _REQUIRED else "?+"
    return f'(?:"{name}":{_SCALAR},){often}'


# Sorted fields, each at most once, in the spelling of RFC 8785: what read_entry takes.
_SHAPE: Final = re.compile(
    "".join(
        [r"\{", *(_shape_of(name) for name in sorted(FIELDS - {"v"})), r'"v":1\}']
    ).encode("ascii")
)
_encode: Final = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":")
).encode


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


def is_entry(leaf: bytes, merchant: bytes) -> bool:
    """Whether ``read_entry`` would read the bytes; many times faster."""
    match = _SHAPE.fullmatch(leaf)
    if match is None or match["merchant"] != merchant:
        return False
    try:
        leaf.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


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
    if not _REQUIRED <= facts.keys() <= FIELDS:
        raise EntryInvalid("its fields are not those of version 1")
    try:
        read_time(str(facts["time"]))
    except ValueError as error:
        raise EntryInvalid("its time is not a time") from error
    return Entry(index, facts)


def read_facts(leaf: bytes) -> dict[str, Any]:
    """Returns the entry's fields.

    Raises:
        EntryInvalid: Not a JSON object, or not in the one spelling that it has.
    """
    try:
        text = leaf.decode("utf-8")
        facts = json.loads(text)
        is_canonical = isinstance(facts, dict) and _encode(facts) == text
    except (ValueError, RecursionError) as error:
        raise EntryInvalid("it is not a JSON object") from error
    if not is_canonical:
        raise EntryInvalid("it is not canonical JSON (RFC 8785)")
    made: dict[str, Any] = facts
    return made


def read_time(text: str) -> datetime:
    """Returns a time of an entry: RFC 3339 in UTC.

    Raises:
        ValueError: It is not one.
    """
    if not text.endswith("Z"):
        raise ValueError("not a time in UTC")
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
