"""What payments need from storage."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from gateway.payments.payment import Move, Payment
from gateway.payments.payment_event import PaymentEvent
from gateway.payments.payment_lists import (
    Page,
    PaymentFilter,
    PaymentPage,
    RefundFilter,
    RefundPage,
)
from gateway.vault.ports import VaultUnit
from gateway.words.identifiers import (
    MerchantId,
    PaymentName,
    ProcessorAccountId,
)


class PaymentStore(Protocol):
    """The merchant's payments and what was done with them."""

    def add(self, payment: Payment) -> None:
        """Stores a new payment."""

    def find(self, name: PaymentName) -> Payment | None:
        """Returns the payment with this name."""

    def lock(self, name: PaymentName) -> Payment | None:
        """Returns the payment and holds its row until the unit ends."""

    def find_by_charge_once_key(self, key: str) -> Payment | None:
        """Returns the newest payment with this key, whatever its state."""

    def find_by_processor_object(self, processor_object: str) -> Payment | None:
        """Returns the payment with this processor's id."""

    def save(self, payment: Payment) -> None:
        """Replaces the stored payment of the same name."""

    def claim_charge_once(self, key: str, payment: PaymentName) -> PaymentName | None:
        """Gives the key to the payment, or returns the payment that holds it.

        A unique index holds the promise (I6).
        """

    def free_charge_once(self, key: str, payment: PaymentName) -> None:
        """Takes the key from the payment, if that payment holds it."""

    def add_move(self, move: Move) -> None:
        """Stores a new capture, cancel or refund."""

    def find_move(self, name: str) -> Move | None:
        """Returns the capture, cancel or refund with this name."""

    def moves(self, payment: PaymentName) -> Sequence[Move]:
        """Returns the payment's captures, cancels and refunds, oldest first."""

    def save_move(self, move: Move) -> None:
        """Replaces the stored move of the same name."""

    def list_payments(self, wanted: PaymentFilter, page: Page) -> PaymentPage:
        """Returns payments that fit every filter, newest first.

        A position is the store's own; it comes from an earlier page of this merchant.
        """

    def list_refunds(self, wanted: RefundFilter, page: Page) -> RefundPage:
        """Returns refunds that fit every filter, newest first, as list_payments."""

    def append_event(self, event: PaymentEvent) -> None:
        """Stores an event at the merchant's next position."""

    def events(
        self, after: int, limit: int, payment: PaymentName | None = None
    ) -> Sequence[PaymentEvent]:
        """Returns events with a position above ``after``, in order: of one payment, or
        of all.
        """

    def find_customer(
        self, account_id: ProcessorAccountId, customer_reference: str
    ) -> str | None:
        """Returns the processor's customer id for one of the platform's customers."""

    def put_customer(
        self, account_id: ProcessorAccountId, customer_reference: str, customer: str
    ) -> None:
        """Remembers the processor's customer id."""


class PaymentUnit(VaultUnit, Protocol):
    """The slice of the unit of work that payments use."""

    @property
    def payments(self) -> PaymentStore:
        """The merchant's payments."""


class UnsettledPayments(Protocol):
    """Finds work for the resolver across merchants; reads only."""

    async def unsettled(
        self, now: datetime, limit: int
    ) -> Sequence[tuple[MerchantId, PaymentName]]:
        """Returns payments that are UNKNOWN, REQUIRES_ACTION, PENDING, or SUBMITTED
        with a lease that ended (they or one of their moves), and are due, oldest first.
        """
