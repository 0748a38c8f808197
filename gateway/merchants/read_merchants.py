"""GetMerchant and ListMerchants."""

from collections.abc import Collection, Sequence

from gateway.merchants.ports import DirectoryUnit, Merchant, MerchantUnit
from gateway.unit_of_work import Storage
from gateway.words.identifiers import GATEWAY, MerchantId


class ReadMerchants:
    """Reads merchants."""

    def __init__(
        self,
        *,
        storage: Storage[MerchantUnit],
        directory: Storage[DirectoryUnit],
    ) -> None:
        self._storage = storage
        self._directory = directory

    async def get(self, merchant: MerchantId) -> Merchant:
        """Returns the merchant.

        Raises:
            MerchantNotFound: There is none.
        """
        return await self._storage.read(merchant, lambda unit: unit.merchants.get())

    async def page(
        self, *, after: str, size: int, among: Collection[MerchantId] | None
    ) -> tuple[Sequence[Merchant], str]:
        """Returns merchants by id, and the position of the next page.

        Args:
            after: The position that the page before gave; empty for the first.
            size: How many at most.
            among: The merchants that the caller acts for; None for all.
        """
        found = await self._directory.read(
            GATEWAY,
            lambda unit: unit.directory.page(after=after, limit=size + 1, among=among),
        )
        shown = found[:size]
        return shown, shown[-1].merchant_id if len(found) > size else ""
