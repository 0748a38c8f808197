"""What a request id's record holds, and what storage does with it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.words.identifiers import RequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """What the first call with a request id made.

    ``digest`` is the keyed digest of the request (see idempotency/digest.py);
    ``resource`` names what was made; ``entry_index`` is the newest log entry about it;
    ``mismatches`` counts calls with another digest: at three the id is burnt. Each item
    of a batch that made something has a record of its own; ``item`` is its place.
    """

    rpc: str
    request_id: RequestId
    digest: bytes
    resource: str
    entry_index: int
    created_at: datetime
    mismatches: int = 0
    item: int = 0


class RequestStore(Protocol):
    """Records by (merchant, RPC, request id, item). ``find`` and the others that name
    no item mean the first, which is the only one outside batches.
    """

    def find(self, rpc: str, request_id: RequestId) -> RequestRecord | None:
        """Returns the record, if the id was used."""

    def find_items(
        self, rpc: str, request_id: RequestId
    ) -> Mapping[int, RequestRecord]:
        """Returns the records of a batch, by item."""

    def add(self, record: RequestRecord) -> None:
        """Stores a new record."""

    def add_all(self, records: Collection[RequestRecord]) -> None:
        """Stores new records."""

    def set_entry_index(self, rpc: str, request_id: RequestId, index: int) -> None:
        """Moves the record to a newer log entry about the same resource."""

    def count_mismatch(self, rpc: str, request_id: RequestId, item: int = 0) -> None:
        """Adds one to the record's mismatches."""


class RequestUnit(Protocol):
    """The slice of the unit of work that holds request records."""

    @property
    def requests(self) -> RequestStore:
        """The merchant's request records."""
