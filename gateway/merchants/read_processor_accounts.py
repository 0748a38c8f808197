"""GetProcessorAccount and ListProcessorAccounts."""

from collections.abc import Sequence

from gateway.merchants.account_changes import AccountView, view_account
from gateway.merchants.ports import ControlUnit
from gateway.unit_of_work import Storage
from gateway.words.identifiers import MerchantId, ProcessorAccountId


class ReadProcessorAccounts:
    """Reads processor accounts."""

    def __init__(self, *, storage: Storage[ControlUnit]) -> None:
        self._storage = storage

    async def get(
        self, merchant: MerchantId, account_id: ProcessorAccountId
    ) -> AccountView:
        """Returns one account.

        Raises:
            ProcessorAccountNotFound: The merchant has no such account.
        """
        return await self._storage.read(
            merchant, lambda unit: view_account(unit, account_id)
        )

    async def all(self, merchant: MerchantId) -> Sequence[AccountView]:
        """Returns the merchant's accounts, oldest first: there are a handful.

        Raises:
            MerchantNotFound: There is no such merchant.
        """

        def read(unit: ControlUnit) -> Sequence[AccountView]:
            unit.merchants.get()
            return [
                view_account(unit, account.account_id)
                for account in unit.merchants.accounts()
            ]

        return await self._storage.read(merchant, read)
