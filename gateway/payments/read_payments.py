"""GetPayment and GetRefund: what was paid, by any name it has, so that none is lost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.errors import PaymentNotFound, RefundNotFound
from gateway.payments.payment import Move, MoveKind, Payment
from gateway.payments.ports import PaymentUnit
from gateway.payments.record_outcome import CREATE_RPC
from gateway.unit_of_work import Storage
from gateway.words.identifiers import (
    MerchantId,
    PaymentName,
    RefundName,
    RequestId,
)


@dataclass(frozen=True, slots=True)
class PaymentView:
    """A payment and its captures, cancels and refunds, oldest first."""

    payment: Payment
    moves: Sequence[Move]


class ReadPayments:
    """Finds payments of one merchant."""

    def __init__(self, *, storage: Storage[PaymentUnit]) -> None:
        self._storage = storage

    async def by_name(self, merchant: MerchantId, name: PaymentName) -> PaymentView:
        """Finds by the gateway's name.

        Raises:
            PaymentNotFound: No such payment for this merchant.
        """
        return await self._find(merchant, lambda unit: unit.payments.find(name))

    async def by_request_id(
        self, merchant: MerchantId, request_id: RequestId
    ) -> PaymentView:
        """Finds by the id that CreatePayment was called with. Raises as by_name."""

        def find(unit: PaymentUnit) -> Payment | None:
            record = unit.requests.find(CREATE_RPC, request_id)
            if record is None:
                return None
            return unit.payments.find(PaymentName(record.resource))

        return await self._find(merchant, find)

    async def by_charge_once_key(self, merchant: MerchantId, key: str) -> PaymentView:
        """Finds the newest payment with this key. Raises as by_name."""
        return await self._find(
            merchant, lambda unit: unit.payments.find_by_charge_once_key(key)
        )

    async def by_processor_object(
        self, merchant: MerchantId, processor_object: str
    ) -> PaymentView:
        """Finds by the processor's id. Raises as by_name."""
        return await self._find(
            merchant,
            lambda unit: unit.payments.find_by_processor_object(processor_object),
        )

    async def refund(self, merchant: MerchantId, name: RefundName) -> Move:
        """Finds a refund by the gateway's name.

        Raises:
            RefundNotFound: No such refund for this merchant.
        """
        found = await self._storage.read(
            merchant, lambda unit: unit.payments.find_move(name)
        )
        if found is None or found.kind is not MoveKind.REFUND:
            raise RefundNotFound
        return found

    async def _find(
        self, merchant: MerchantId, find: Callable[[PaymentUnit], Payment | None]
    ) -> PaymentView:
        def read(unit: PaymentUnit) -> PaymentView | None:
            payment = find(unit)
            if payment is None:
                return None
            return PaymentView(payment, unit.payments.moves(payment.name))

        found = await self._storage.read(merchant, read)
        if found is None:
            raise PaymentNotFound
        return found
