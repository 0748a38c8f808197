"""DeactivateMerchant: no new cards, verifications or payments, for good.

The order of commits decides: a use whose intent commits after this one is denied,
whatever it looked up before. Captures, cancellations, refunds, reads and erasures stay
possible: money owed back is never blocked.
"""

from dataclasses import dataclass, replace
from typing import Final

from gateway.audit.entry import Entry, EntryType
from gateway.errors import RequestInvalid, StateConflict
from gateway.merchants.changes import ChangeCommand, entry_of
from gateway.merchants.merchant_changes import ChangedMerchant, MerchantChanges
from gateway.merchants.ports import ControlUnit
from gateway.words.clock import Clock
from gateway.words.lifecycles import MerchantState

RPC: Final = "DeactivateMerchant"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeactivateMerchantCommand(ChangeCommand):
    """The merchant, typed twice."""

    confirmation: str


class DeactivateMerchant:
    """Deactivates merchants. Nothing makes one active again."""

    def __init__(self, *, changes: MerchantChanges, clock: Clock) -> None:
        self._changes = changes
        self._clock = clock

    async def execute(self, command: DeactivateMerchantCommand) -> ChangedMerchant:
        """Returns the merchant, deactivated.

        Raises:
            RequestInvalid: The confirmation is not the merchant's id.
            MerchantNotFound: There is none.
            StateConflict: It was deactivated before.
            RequestIdReused: The request id came before with another request.
        """
        if command.confirmation != command.merchant:
            raise RequestInvalid(
                "confirmation", "is not the merchant's id; type it again to confirm"
            )
        now = self._clock.now()

        def deactivate(unit: ControlUnit) -> Entry:
            merchant = unit.merchants.get()
            if merchant.state is MerchantState.DEACTIVATED:
                raise StateConflict(metadata={"state": merchant.state.name})
            unit.merchants.save(
                replace(merchant, state=MerchantState.DEACTIVATED, deactivated_at=now)
            )
            return entry_of(EntryType.MERCHANT_DEACTIVATED, command, now)

        return await self._changes.commit(RPC, command, deactivate, now)
