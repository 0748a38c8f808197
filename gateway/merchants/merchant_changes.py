"""What the calls that create and change a merchant share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.audit.entry import Entry
from gateway.audit.ports import Receipt
from gateway.merchants.changes import ChangeCommand, record_change
from gateway.merchants.ports import ControlUnit, Merchant
from gateway.unit_of_work import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedMerchant:
    """The merchant as it is now, and proof of the entry."""

    merchant: Merchant
    receipt: Receipt
    replayed: bool = False


class MerchantChanges:
    """Commits changes of merchants."""

    def __init__(self, *, storage: Storage[ControlUnit]) -> None:
        self._storage = storage

    async def commit(
        self,
        rpc: str,
        command: ChangeCommand,
        change: Callable[[ControlUnit], Entry],
        now: datetime,
    ) -> ChangedMerchant:
        """Returns the changed merchant, or what the same request made before.

        Raises:
            RequestIdReused: The request id came before with another request.
            MerchantNotFound, StateConflict, RequestInvalid: As the change raises.
        """
        done = await record_change(
            self._storage,
            rpc,
            command,
            lambda unit: (command.merchant, change(unit)),
            now,
        )
        merchant, proof = await self._storage.read(
            command.merchant,
            lambda unit: (unit.merchants.get(), unit.log.receipt(done.entry_index)),
        )
        return ChangedMerchant(merchant=merchant, receipt=proof, replayed=done.replayed)
