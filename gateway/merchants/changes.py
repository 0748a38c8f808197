"""A change and its trace: one unit with the rows, the entry and the request record."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.audit.entry import Entry, EntryType
from gateway.audit.ports import Appended
from gateway.errors import RequestIdReused
from gateway.idempotency.claims import Repeated, Reused, claim
from gateway.idempotency.ports import RequestRecord
from gateway.merchants.ports import ControlUnit
from gateway.unit_of_work import Storage
from gateway.words.identifiers import MerchantId, RequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCommand:
    """Who asks for a change, and in whose scope."""

    merchant: MerchantId
    caller: str
    request_id: RequestId
    digest: bytes


@dataclass(frozen=True, slots=True)
class Recorded:
    """A change that is committed: what it is about, and its entry."""

    resource: str
    entry_index: int
    replayed: bool


# Changes rows, and returns the name of what changed and what the entry is to say.
Change = Callable[[ControlUnit], tuple[str, Entry]]


async def record_change(
    storage: Storage[ControlUnit],
    rpc: str,
    command: ChangeCommand,
    change: Change,
    now: datetime,
) -> Recorded:
    """Commits the change once, however often it is asked for.

    Raises:
        RequestIdReused: The request id came before with another request.
        GatewayError: Whatever the change raises; then nothing is committed.
    """

    def work(unit: ControlUnit) -> tuple[str, Appended] | Repeated | Reused:
        earlier = claim(unit.requests, rpc, command.request_id, command.digest)
        if earlier is not None:
            return earlier
        resource, entry = change(unit)
        appended = unit.log.append(entry)
        unit.requests.add(
            RequestRecord(
                rpc=rpc,
                request_id=command.request_id,
                digest=command.digest,
                resource=resource,
                entry_index=appended.index,
                created_at=now,
            )
        )
        return resource, appended

    done = await storage.commit(command.merchant, work)
    if isinstance(done, Reused):
        raise RequestIdReused
    if isinstance(done, Repeated):
        return Recorded(done.record.resource, done.record.entry_index, replayed=True)
    resource, appended = done
    return Recorded(resource, appended.index, replayed=False)


def entry_of(
    kind: EntryType,
    command: ChangeCommand,
    now: datetime,
    *,
    outcome: str | None = None,
    subject: str | None = None,
) -> Entry:
    """Returns the entry of a change."""
    return Entry(
        type=kind,
        merchant=command.merchant,
        at=now,
        caller=command.caller,
        request_id=command.request_id,
        outcome=outcome,
        subject=subject,
    )
