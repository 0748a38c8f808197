"""Looking a request id up: new, repeated, or reused for something else.

Values, not exceptions: the count of mismatches must commit with the unit that saw it.
"""

import hmac
from dataclasses import dataclass
from typing import Final

from gateway.idempotency.ports import RequestRecord, RequestStore
from gateway.words.identifiers import RequestId

# So many calls with another request burn the id: something guesses or is broken.
MISMATCHES_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Repeated:
    """The same request came before; the record names what it made."""

    record: RequestRecord


@dataclass(frozen=True, slots=True)
class Reused:
    """The id came before with another request, or it is burnt."""


def look_up(
    requests: RequestStore, rpc: str, request_id: RequestId, digest: bytes
) -> Repeated | Reused | None:
    """Returns what is known of the id; None if it is new. Writes nothing."""
    return judge(requests.find(rpc, request_id), digest)


def judge(record: RequestRecord | None, digest: bytes) -> Repeated | Reused | None:
    """Returns what a record says about a request with this digest."""
    if record is None:
        return None
    if record.mismatches >= MISMATCHES_MAX:
        return Reused()
    if not hmac.compare_digest(record.digest, digest):
        return Reused()
    return Repeated(record)


def claim(
    requests: RequestStore, rpc: str, request_id: RequestId, digest: bytes
) -> Repeated | Reused | None:
    """Looks the id up inside the unit that will use it, and counts a mismatch.

    Returning None means that the id is free in this unit: add a record before it ends.
    """
    found = look_up(requests, rpc, request_id, digest)
    if isinstance(found, Reused):
        requests.count_mismatch(rpc, request_id)
    return found
