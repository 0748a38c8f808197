"""What the calls that create and change a merchant share: one claim, one answer."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.audit.entry import Entry, EntryType
from gateway.audit.ports import Appended, Receipt
from gateway.errors import RequestIdReused
from gateway.idempotency.claims import Repeated, Reused, claim
from gateway.idempotency.ports import RequestRecord
from gateway.merchants.ports import Merchant, MerchantRecordsUnit
from gateway.unit_of_work import Storage
from gateway.words.identifiers import MerchantId, RequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCommand:
    """Who asks for a change of which merchant."""

    merchant: MerchantId
    caller: str
    request_id: RequestId
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedMerchant:
    """The merchant as it is now, and proof of the entry."""

    merchant: Merchant
    receipt: Receipt
    replayed: bool = False


# Changes the merchant's rows and returns what the entry is to say.
Change = Callable[[MerchantRecordsUnit], Entry]


class MerchantChanges:
    """Commits one change of a merchant with its entry and its request record."""

    def __init__(self, *, storage: Storage[MerchantRecordsUnit]) -> None:
        self._storage = storage

    async def commit(
        self, rpc: str, command: ChangeCommand, change: Change, now: datetime
    ) -> ChangedMerchant:
        """Returns the changed merchant, or what the same request made before.

        Raises:
            RequestIdReused: The request id came before with another request.
            MerchantNotFound, StateConflict, RequestInvalid: As the change raises.
        """

        def work(unit: MerchantRecordsUnit) -> Appended | Repeated | Reused:
            earlier = claim(unit.requests, rpc, command.request_id, command.digest)
            if earlier is not None:
                return earlier
            appended = unit.log.append(change(unit))
            unit.requests.add(
                RequestRecord(
                    rpc=rpc,
                    request_id=command.request_id,
                    digest=command.digest,
                    resource=command.merchant,
                    entry_index=appended.index,
                    created_at=now,
                )
            )
            return appended

        done = await self._storage.commit(command.merchant, work)
        if isinstance(done, Reused):
            raise RequestIdReused
        index = done.record.entry_index if isinstance(done, Repeated) else done.index
        merchant, proof = await self._storage.read(
            command.merchant,
            lambda unit: (unit.merchants.get(), unit.log.receipt(index)),
        )
        return ChangedMerchant(
            merchant=merchant, receipt=proof, replayed=isinstance(done, Repeated)
        )


def entry_of(
    kind: EntryType, command: ChangeCommand, now: datetime, outcome: str | None = None
) -> Entry:
    """Returns the entry of a change."""
    return Entry(
        type=kind,
        merchant=command.merchant,
        at=now,
        caller=command.caller,
        request_id=command.request_id,
        outcome=outcome,
    )
