"""What a request id's record holds, and what storage does with it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.words.identifiers import RequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """What the first call with a request id made.

    ``digest`` is the keyed digest of the request (see idempotency/digest.py);
    ``resource`` names what was made; ``entry_index`` is the newest log entry about it;
    ``mismatches`` counts calls with another digest: at three the id is burnt.
    """

    rpc: str
    request_id: RequestId
    digest: bytes
    resource: str
    entry_index: int
    created_at: datetime
    mismatches: int = 0


class RequestStore(Protocol):
    """Records by (merchant, RPC, request id)."""

    def find(self, rpc: str, request_id: RequestId) -> RequestRecord | None:
        """Returns the record, if the id was used."""

    def add(self, record: RequestRecord) -> None:
        """Stores a new record."""

    def set_entry_index(self, rpc: str, request_id: RequestId, index: int) -> None:
        """Moves the record to a newer log entry about the same resource."""

    def count_mismatch(self, rpc: str, request_id: RequestId) -> None:
        """Adds one to the record's mismatches."""


class RequestUnit(Protocol):
    """The slice of the unit of work that holds request records."""

    @property
    def requests(self) -> RequestStore:
        """The merchant's request records."""
