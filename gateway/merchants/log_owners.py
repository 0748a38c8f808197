"""Every merchant, page by page: whose logs there are."""

from collections.abc import Sequence
from typing import Final

from gateway.merchants.ports import DirectoryUnit
from gateway.unit_of_work import Storage
from gateway.words.identifiers import GATEWAY, MerchantId

_PAGE: Final = 500


class DirectoryLogOwners:
    """See gateway.audit.operator_log.LogOwners."""

    def __init__(self, *, storage: Storage[DirectoryUnit]) -> None:
        self._storage = storage

    async def all(self) -> Sequence[MerchantId]:
        """See LogOwners.all."""
        found: list[MerchantId] = []
        while True:
            after = found[-1] if found else ""
            page = await self._storage.read(
                GATEWAY,
                lambda unit, after=after: unit.directory.page(  # type: ignore[misc]
                    after=after, limit=_PAGE, among=None
                ),
            )
            found += [merchant.merchant_id for merchant in page]
            if len(page) < _PAGE:
                return found
