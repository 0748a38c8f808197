"""ListPayments and ListRefunds: what was paid and given back, newest first."""

from gateway.payments.payment_lists import (
    Page,
    PaymentFilter,
    PaymentPage,
    RefundFilter,
    RefundPage,
)
from gateway.payments.ports import PaymentUnit
from gateway.unit_of_work import Storage
from gateway.words.identifiers import MerchantId


class ListPayments:
    """Lists payments and refunds of one merchant."""

    def __init__(self, *, storage: Storage[PaymentUnit]) -> None:
        self._storage = storage

    async def payments(
        self, merchant: MerchantId, wanted: PaymentFilter, page: Page
    ) -> PaymentPage:
        """Returns a page of payments; of another merchant's card or name, none."""
        return await self._storage.read(
            merchant, lambda unit: unit.payments.list_payments(wanted, page)
        )

    async def refunds(
        self, merchant: MerchantId, wanted: RefundFilter, page: Page
    ) -> RefundPage:
        """Returns a page of refunds; of another merchant's payment, none."""
        return await self._storage.read(
            merchant, lambda unit: unit.payments.list_refunds(wanted, page)
        )
