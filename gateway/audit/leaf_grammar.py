"""What a leaf of version 1 looks like, byte by byte: one regular expression.

Writers check what they made and verifiers check what they read with the same grammar,
so a log never gets a leaf that its own verifier refuses.

Invariants:
  * Only canonical JSON (RFC 8785) matches: sorted keys, no spaces, one spelling.
  * Only the fields below match; a new field needs a new leaf version.
  * Integers have at most 15 digits and no sign, which keeps them within the 2^53 - 1
    that every JSON reader takes (RFC 8785 section 3.2.2.3).
"""

import json
import re
from typing import Final

from gateway.words.purposes import Purpose

LEAF_VERSION: Final = 1

# RFC 8785 section 3.2.2.2: short escapes where JSON has them, else \u00xx.
_TEXT: Final = r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\bfnrt]|u00(?:0[0-7bef]|1[0-9a-f])))*+"'
_HASH: Final = r'"[0-9a-f]{64}"'
_TIME: Final = (
    r'"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9](?::[0-5][0-9]){2}\.[0-9]{3}Z"'
)
_INTEGER: Final = "(?:0|[1-9][0-9]{0,14})"
_PURPOSE: Final = "|".join(re.escape(purpose.value) for purpose in Purpose)

# In the order of RFC 8785, which for these names is that of their letters.
FORMS: Final = {
    "action": _TEXT,
    "amount": _INTEGER,
    "build": _TEXT,
    "caller": _TEXT,
    "card": _HASH,
    "card_opened": "(?:true|false)",
    "count": _INTEGER,
    "currency": '"[A-Z]{3}"',
    "decision": '"(?:allowed|denied)"',
    "effective": _TIME,
    "environment": '"(?:live|test)"',
    "merchant": '"[a-z][a-z0-9-]*"',
    "object": _HASH,
    "outcome": _TEXT,
    "payment": _TEXT,
    "policy_sha256": _HASH,
    "policy_version": _INTEGER,
    "previous_origin": _TEXT,
    "previous_root": _HASH,
    "previous_size": _INTEGER,
    "processor_account": _TEXT,
    "purpose": f'"(?:{_PURPOSE})"',
    "request_id": '"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"',
    "restored_size": _INTEGER,
    "rule": _TEXT,
    "subject": _TEXT,
    "time": _TIME,
    "type": r'"[a-z_]+\.[a-z_]+"',
    "v": str(LEAF_VERSION),
}
REQUIRED: Final = frozenset({"build", "caller", "merchant", "time", "type", "v"})


def _field(name: str) -> str:
    form = FORMS[name]
    if name in {"amount", "merchant"}:  # the two that are looked at again
        form = f"(?P<{name}>{form})"
    comma = "" if name == "v" else ","
    if name == "currency":  # with an amount, and only with one
        return f'(?(amount)"currency":{form},)'
    return f'(?:"{name}":{form}{comma}){"" if name in REQUIRED else "?+"}'


_LEAF: Final = re.compile(
    "".join([r"\{", *(_field(name) for name in FORMS), r"\}"]).encode("ascii")
)
_encode: Final = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":")
).encode


def is_leaf_of(leaf: bytes, merchant: bytes) -> bool:
    """Whether the bytes are a well-formed leaf of this merchant's log."""
    match = _LEAF.fullmatch(leaf)
    if match is None or match["merchant"][1:-1] != merchant:
        return False
    return leaf.isascii() or _is_utf8(leaf)


def find_fault(leaf: bytes, merchant: bytes) -> str:
    """Says in words why ``is_leaf_of`` refuses the bytes. Quotes none of their values.

    The sentence follows "it", as in "it is not JSON".
    """
    try:
        facts = json.loads(leaf.decode("utf-8"))
        canonical = _encode(facts).encode("utf-8")
    except (ValueError, RecursionError):
        return "is not JSON"
    if not isinstance(facts, dict):
        return "is not a JSON object"
    if facts.get("v") is True or facts.get("v") != LEAF_VERSION:
        return "is of a version that this software does not know"
    if canonical != leaf:
        return "is not canonical JSON (RFC 8785)"
    if facts.get("merchant") != merchant.decode():
        return "belongs to another merchant"
    return _find_field(facts)


def _find_field(facts: dict[str, object]) -> str:
    for name in sorted(REQUIRED - facts.keys()):
        return f"has no {name}"
    for name, value in facts.items():
        if name not in FORMS:
            return f"has a field that leaf version {LEAF_VERSION} does not have"
        if not re.fullmatch(FORMS[name], _encode(value)):
            return f"has a {name} that is not of the documented form"
    return "has an amount without a currency, or a currency without an amount"


def _is_utf8(leaf: bytes) -> bool:
    try:
        leaf.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
