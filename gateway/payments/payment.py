"""A payment and where it stands. Pure: no I/O, no clock.

Invariants:
  * captured <= authorized, refunded + refund_pending <= captured; one currency.
  * A state changes only through a row of the table in transitions.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from gateway.payments.processor import Decline
from gateway.words.identifiers import (
    CaptureName,
    CardTokenName,
    PaymentName,
    ProcessorAccountId,
    RefundName,
    RequestId,
)
from gateway.words.money import Money
from gateway.words.purposes import Purpose


class PaymentState(StrEnum):
    """Where a payment stands. The meanings are in proto/bailee/v1/payment.proto."""

    SUBMITTED = "submitted"
    REQUIRES_ACTION = "requires_action"
    PENDING = "pending"
    AUTHORIZED = "authorized"
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    DECLINED = "declined"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    NEEDS_ATTENTION = "needs_attention"


class Step(StrEnum):
    """How far the processor was asked; each is committed before the next begins.

    The name is that of the step that may have been sent and has no recorded answer.
    """

    CUSTOMER = "customer"
    PAYMENT_METHOD = "payment_method"
    CHARGE = "charge"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Which process works on something, and until when others leave it alone."""

    instance: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One attempt to take one amount from one card.

    Amount fields are minor units of ``amount.currency``. ``customer`` is the
    processor's customer id once known; it is needed to search for the payment.
    """

    name: PaymentName
    request_id: RequestId
    state: PaymentState
    step: Step
    amount: Money
    card: CardTokenName
    purpose: Purpose
    capture_automatically: bool
    account_id: ProcessorAccountId
    created_at: datetime
    updated_at: datetime
    caller: str
    lease: Lease | None = None
    authorized: int = 0
    capturable: int = 0
    captured: int = 0
    refunded: int = 0
    refund_pending: int = 0
    charge_once_key: str = ""
    processor_object: str = ""
    customer: str = field(default="", repr=False)
    capture_before: datetime | None = None
    decline: Decline | None = None
    failure_reason: str = ""
    redirect_url: str = ""
    merchant_reference: str = ""
    description: str = ""
    statement_descriptor_suffix: str = ""
    return_url: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    network_transaction_id: str = field(default="", repr=False)
    absent_inquiries: int = 0
    next_check_at: datetime | None = None

    @property
    def holds_charge_once_key(self) -> bool:
        """Whether a second payment for the same thing must be refused (I6)."""
        if self.state is PaymentState.EXPIRED:
            return self.captured > 0
        return self.state not in FREES_CHARGE_ONCE_KEY

    @property
    def refundable(self) -> int:
        """Minor units that were collected and are not given back or on their way."""
        return self.captured - self.refunded - self.refund_pending


FREES_CHARGE_ONCE_KEY: Final = frozenset(
    {PaymentState.DECLINED, PaymentState.FAILED, PaymentState.CANCELED}
)


class MoveKind(StrEnum):
    """What a later step does to a payment."""

    CAPTURE = "capture"
    CANCEL = "cancel"
    REFUND = "refund"


class MoveStatus(StrEnum):
    """Where a capture, cancel or refund stands."""

    SUBMITTED = "submitted"
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"


class MoveOrigin(StrEnum):
    """Who did it: the platform through the gateway, or somebody at the processor."""

    PLATFORM = "platform"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A capture, cancel or refund of a payment: a resource with its own state."""

    name: CaptureName | RefundName | str
    kind: MoveKind
    payment: PaymentName
    request_id: RequestId
    status: MoveStatus
    amount: Money
    created_at: datetime
    updated_at: datetime
    caller: str
    lease: Lease | None = None
    processor_object: str = ""
    failure_reason: str = ""
    reason: str = ""
    next_check_at: datetime | None = None
    origin: MoveOrigin = MoveOrigin.PLATFORM

    @property
    def is_reserved(self) -> bool:
        """Whether its amount still counts as on its way."""
        return self.status not in (MoveStatus.SUCCEEDED, MoveStatus.FAILED)


# From each status, those that may follow. A failure may turn out to have succeeded:
# the processor's fact wins.
MOVE_TRANSITIONS: Final[Mapping[MoveStatus, frozenset[MoveStatus]]] = MappingProxyType(
    {
        MoveStatus.SUBMITTED: frozenset(MoveStatus) - {MoveStatus.SUBMITTED},
        MoveStatus.UNKNOWN: frozenset(MoveStatus) - {MoveStatus.SUBMITTED},
        MoveStatus.PENDING: frozenset({MoveStatus.SUCCEEDED, MoveStatus.FAILED}),
        MoveStatus.FAILED: frozenset({MoveStatus.SUCCEEDED}),
        MoveStatus.SUCCEEDED: frozenset(),
    }
)
