"""From an entry to the bytes that are hashed: canonical JSON (RFC 8785).

Invariants:
  * Keys are sorted, nothing is escaped that need not be, absent fields are left out.
  * Every value is text, an integer of at most 15 digits, or a boolean.
  * What is written passes the verifier's grammar: see leaf_grammar.py.
  * Verifiers hash the stored bytes; they never encode again.
"""

import json
from datetime import UTC, datetime
from hashlib import sha256

# The function behind json.dumps(..., ensure_ascii=False): in C where Python has it.
# It escapes exactly what RFC 8785 section 3.2.2.2 does; tests compare the two.
from json.encoder import encode_basestring
from typing import Final

from gateway.audit.entry import Entry
from gateway.audit.leaf_grammar import FORMS, LEAF_VERSION, is_leaf_of
from gateway.audit.tiles import LEAF_BYTES_MAX

_KEYS: Final = tuple(f'"{name}":' for name in FORMS)
_BOOLEANS: Final = {None: None, True: "true", False: "false"}


def encode_leaf(entry: Entry, *, build: str) -> bytes:
    """Returns the leaf of an entry; ``build`` names the software that wrote it.

    Raises:
        ValueError: A salt is missing, the time has no zone, or a value is not of the
            form that a verifier accepts, such as an integer above 2^53 - 1.
    """
    amount, previous = entry.amount, entry.previous
    values = (
        _quote(entry.action),
        None if amount is None else str(amount.minor_units),
        _quote(build),
        _quote(entry.caller),
        _quote(salted_hash(entry.card, entry.card_salt)),
        _BOOLEANS[entry.card_opened],
        None if entry.count is None else str(entry.count),
        None if amount is None else _quote(amount.currency),
        _quote(entry.decision),
        None if entry.effective_at is None else f'"{show_time(entry.effective_at)}"',
        _quote(entry.environment),
        _quote(entry.merchant),
        _quote(salted_hash(entry.processor_object, entry.object_salt)),
        _quote(entry.outcome),
        _quote(entry.payment),
        _quote(entry.policy_sha256),
        None if entry.policy_version is None else str(entry.policy_version),
        None if previous is None else _quote(previous.origin),
        None if previous is None else _quote(previous.root.hex()),
        None if previous is None else str(previous.size),
        _quote(entry.processor_account),
        _quote(entry.purpose),
        _quote(entry.request_id),
        None if previous is None else str(previous.restored_size),
        _quote(entry.rule),
        _quote(entry.subject),
        f'"{show_time(entry.at)}"',
        _quote(entry.type),
        str(LEAF_VERSION),
    )
    fields = [
        key + value
        for key, value in zip(_KEYS, values, strict=True)
        if value is not None
    ]
    leaf = f"{{{','.join(fields)}}}".encode()
    if len(leaf) > LEAF_BYTES_MAX or not is_leaf_of(leaf, entry.merchant.encode()):
        raise ValueError("the entry has a value that a leaf cannot hold")
    return leaf


def salted_hash(value: str | None, salt: bytes | None) -> str | None:
    """Returns hexadecimal SHA-256(salt || value), or None for no value."""
    if value is None:
        return None
    if salt is None:
        raise ValueError("a value that appears in the log needs a salt")
    return sha256(salt + value.encode()).hexdigest()


def show_time(moment: datetime) -> str:
    """Returns RFC 3339 in UTC with milliseconds, the rest cut off.

    Raises:
        ValueError: The time has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone")
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def effective_time(leaf: bytes) -> datetime | None:
    """Returns when what an entry announces begins to hold, if the leaf says so."""
    shown = json.loads(leaf).get("effective")
    return None if shown is None else datetime.fromisoformat(shown)


def _quote(value: str | None) -> str | None:
    return None if value is None else encode_basestring(value)
