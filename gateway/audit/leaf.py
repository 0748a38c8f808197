"""From an entry to the bytes that are hashed: canonical JSON (RFC 8785).

Invariants:
  * Keys are sorted, nothing is escaped that need not be, absent fields are left out.
  * Every value is text, an integer within 2^53 - 1, or a boolean.
  * Verifiers hash the stored bytes; they never encode again.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Final

from gateway.audit.entry import Entry

LEAF_VERSION: Final = 1
_INTEGER_MAX: Final = 2**53 - 1  # RFC 8785 section 3.2.2.3, I-JSON

# json.dumps with these settings writes RFC 8785 as long as keys are ASCII and numbers
# are integers; tests compare it with the rfc8785 package.
_encode: Final = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
).encode


def encode_leaf(entry: Entry, *, build: str) -> bytes:
    """Returns the leaf of an entry; ``build`` names the software that wrote it.

    Raises:
        ValueError: An integer is too large for canonical JSON, or a salt is missing.
    """
    fields: dict[str, str | int | bool | None] = {
        "v": LEAF_VERSION,
        "type": entry.type.value,
        "time": show_time(entry.at),
        "merchant": entry.merchant,
        "caller": entry.caller,
        "request_id": entry.request_id,
        "action": entry.action,
        "purpose": entry.purpose,
        "policy_version": entry.policy_version,
        "policy_sha256": entry.policy_sha256,
        "decision": entry.decision,
        "rule": entry.rule,
        "payment": entry.payment,
        "processor_account": entry.processor_account,
        "environment": entry.environment,
        "card_opened": entry.card_opened,
        "outcome": entry.outcome,
        "card": salted_hash(entry.card, entry.card_salt),
        "object": salted_hash(entry.processor_object, entry.object_salt),
        "build": build,
    }
    if entry.amount is not None:
        fields["amount"] = entry.amount.minor_units
        fields["currency"] = entry.amount.currency
    present = {name: value for name, value in fields.items() if value is not None}
    for value in present.values():
        if isinstance(value, int) and abs(value) > _INTEGER_MAX:
            raise ValueError("an integer does not fit canonical JSON")
    return _encode(present).encode()


def salted_hash(value: str | None, salt: bytes | None) -> str | None:
    """Returns hexadecimal SHA-256(salt || value), or None for no value."""
    if value is None:
        return None
    if salt is None:
        raise ValueError("a value that appears in the log needs a salt")
    return hashlib.sha256(salt + value.encode()).hexdigest()


def show_time(moment: datetime) -> str:
    """Returns RFC 3339 in UTC with milliseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + (
        f"{moment.microsecond // 1000:03d}Z"
    )
