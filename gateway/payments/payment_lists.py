"""Which payments and refunds somebody asks for, and pages of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.payments.payment import Move, MoveStatus, Payment, PaymentState
from gateway.words.identifiers import CardTokenName, PaymentName
from gateway.words.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFilter:
    """Which payments. What is empty or None restricts nothing.

    ``created_from`` is included, ``created_before`` is not. ``last_four`` needs
    ``amount`` beside it: alone it would make the store look through everything.
    """

    merchant_reference: str = ""
    customer_reference: str = ""
    card: CardTokenName | None = None
    state: PaymentState | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    amount: Money | None = None
    last_four: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundFilter:
    """Which refunds. None restricts nothing."""

    payment: PaymentName | None = None
    status: MoveStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """How many rows at most, and the position where an earlier page ended."""

    size: int
    after: str = ""


@dataclass(frozen=True, slots=True)
class PaymentPage:
    """Some payments, and the position that they end at; empty if there are no more."""

    payments: Sequence[Payment]
    position: str


@dataclass(frozen=True, slots=True)
class RefundPage:
    """Some refunds, and the position that they end at; empty if there are no more."""

    refunds: Sequence[Move]
    position: str
