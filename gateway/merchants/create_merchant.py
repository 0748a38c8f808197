"""CreateMerchant: a merchant and the first entry of its own log."""

from dataclasses import dataclass, field
from typing import Final

from gateway.audit.entry import Entry, EntryType
from gateway.errors import RequestInvalid
from gateway.merchants.changes import ChangeCommand, entry_of
from gateway.merchants.merchant_changes import ChangedMerchant, MerchantChanges
from gateway.merchants.ports import (
    ControlUnit,
    Environment,
    Merchant,
    MerchantSettings,
)
from gateway.words.clock import Clock
from gateway.words.lifecycles import MerchantState

RPC: Final = "CreateMerchant"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateMerchantCommand(ChangeCommand):
    """A merchant that somebody wants."""

    environment: Environment
    display_name: str = ""
    settings: MerchantSettings = field(default_factory=MerchantSettings)


class CreateMerchant:
    """Makes merchants. A new one is under the newest policy at once."""

    def __init__(self, *, changes: MerchantChanges, clock: Clock) -> None:
        self._changes = changes
        self._clock = clock

    async def execute(self, command: CreateMerchantCommand) -> ChangedMerchant:
        """Returns the merchant.

        Raises:
            StateConflict: There is a merchant with this id.
            RequestIdReused: The request id came before with another request.
            RequestInvalid: It would show BINs beside fingerprints.
        """
        check_settings(command.settings)
        now = self._clock.now()

        def create(unit: ControlUnit) -> Entry:
            merchant = Merchant(
                merchant_id=command.merchant,
                state=MerchantState.ACTIVE,
                policy_version=unit.policies.newest_number(),
                created_at=now,
                display_name=command.display_name,
                environment=command.environment,
                settings=command.settings,
            )
            unit.merchants.add(merchant)
            unit.log.append(entry_of(EntryType.LOG_STARTED, command, now))
            return entry_of(EntryType.MERCHANT_CREATED, command, now)

        return await self._changes.commit(RPC, command, create, now)


def check_settings(settings: MerchantSettings) -> None:
    """Raises RequestInvalid for settings that show too much."""
    if settings.show_too_much:
        raise RequestInvalid(
            "settings.show_fingerprint", "cannot be on together with show_bin"
        )
