"""UpdateMerchant: display name, and what answers show of the merchant's cards."""

from dataclasses import dataclass, replace
from typing import Final

from gateway.audit.entry import Entry, EntryType
from gateway.merchants.changes import ChangeCommand, entry_of
from gateway.merchants.create_merchant import check_settings
from gateway.merchants.merchant_changes import ChangedMerchant, MerchantChanges
from gateway.merchants.ports import ControlUnit, Merchant, MerchantSettings
from gateway.words.clock import Clock

RPC: Final = "UpdateMerchant"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateMerchantCommand(ChangeCommand):
    """What changes; None stays as it is."""

    display_name: str | None = None
    show_bin: bool | None = None
    show_fingerprint: bool | None = None

    def apply(self, merchant: Merchant) -> Merchant:
        """Returns the merchant as it is to be."""
        before = merchant.settings
        settings = MerchantSettings(
            show_bin=before.show_bin if self.show_bin is None else self.show_bin,
            show_fingerprint=before.show_fingerprint
            if self.show_fingerprint is None
            else self.show_fingerprint,
        )
        name = merchant.display_name if self.display_name is None else self.display_name
        return replace(merchant, display_name=name, settings=settings)


class UpdateMerchant:
    """Changes merchants; one that is deactivated too."""

    def __init__(self, *, changes: MerchantChanges, clock: Clock) -> None:
        self._changes = changes
        self._clock = clock

    async def execute(self, command: UpdateMerchantCommand) -> ChangedMerchant:
        """Returns the merchant.

        Raises:
            MerchantNotFound: There is none.
            RequestIdReused: The request id came before with another request.
            RequestInvalid: It would show BINs beside fingerprints.
        """
        now = self._clock.now()

        def update(unit: ControlUnit) -> Entry:
            changed = command.apply(unit.merchants.get())
            check_settings(changed.settings)
            unit.merchants.save(changed)
            return entry_of(
                EntryType.MERCHANT_UPDATED, command, now, outcome=_describe(changed)
            )

        return await self._changes.commit(RPC, command, update, now)


def _describe(merchant: Merchant) -> str:
    """Says what its answers show from now on."""
    if merchant.settings.show_bin:
        return "SHOWS_BIN"
    if merchant.settings.show_fingerprint:
        return "SHOWS_FINGERPRINT"
    return "SHOWS_NEITHER"
