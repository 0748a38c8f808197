"""The Processor port: what the gateway asks of a card processor.

A charge is up to three calls: customer, payment method, payment. The use case commits
after each, so a crash between any two is safe. Only ``store_card`` sees card data; only
``store_card`` sees a security code, and never a money call (I4).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from gateway.cards.security_code import SecurityCode
from gateway.merchants.ports import ProcessorAccount
from gateway.vault.card_access import OpenedCard
from gateway.vault.ports import CardField, CardRecipient
from gateway.words.identifiers import PaymentName
from gateway.words.money import Money
from gateway.words.purposes import Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a processor can do, so that use cases never ask which one it is.

    ``idempotency_window`` is how long it replays an idempotency key.
    """

    customers: bool
    partial_capture: bool
    multiple_captures: bool
    partial_refund: bool
    idempotency_window: timedelta
    find_by_creation_time: bool


class DeclineClass(StrEnum):
    """Whether another try can help."""

    SOFT = "soft"
    HARD = "hard"
    FRAUD = "fraud"
    CONFIGURATION = "configuration"


class RetryAdvice(StrEnum):
    """When to try again."""

    NEVER = "never"
    LATER = "later"
    ONCE_NOW = "once_now"
    AFTER_NEW_DATA = "after_new_data"
    AFTER_AUTHENTICATION = "after_authentication"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decline:
    """Why the bank refused. ``reason`` is neutral and in capitals, such as
    ``INSUFFICIENT_FUNDS``; a code the adapter does not know is ``OTHER``, never soft.
    """

    reason: str
    decline_class: DeclineClass
    retry: RetryAdvice
    processor_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialReference:
    """The processor's names for a stored card: pm_ and cus_."""

    payment_method: str = field(repr=False)
    customer: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorCall:
    """What every call carries: whose account, which key, how long.

    The same ``idempotency_key`` is used when the same call is sent again, and for no
    other call. ``metadata`` is echoed by the processor; it always holds
    ``bailee_payment``.
    """

    account: ProcessorAccount
    idempotency_key: str
    deadline: timedelta
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeOrder:
    """A charge or authorization by credential reference. Never holds card data.

    ``stores_credential`` says that this first charge also sets the card up for the
    mandate's later uses (``off_session`` when some are started by the merchant).
    """

    payment: PaymentName
    amount: Money
    purpose: Purpose
    reference: CredentialReference
    capture: bool
    stores_credential: bool
    off_session_later: bool
    statement_descriptor_suffix: str = ""
    return_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """The bank agreed. ``captured`` tells a charge from an authorization."""

    processor_object: str
    authorized: Money
    captured: Money
    capture_before: datetime | None = None
    network_transaction_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """The bank said no; a value, not an error. ``processor_object`` may be empty.

    ``still_confirmable`` means the processor's object could be confirmed again with
    another card: it must be canceled before the charge_once_key is freed.
    """

    decline: Decline
    processor_object: str = ""
    still_confirmable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequired:
    """The cardholder must authenticate at ``redirect_url``."""

    processor_object: str
    redirect_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Accepted, not decided."""

    processor_object: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceled:
    """Given up; nothing was collected."""

    processor_object: str


ChargeOutcome = Approved | Declined | ActionRequired | Pending | Canceled


class MoveState(StrEnum):
    """What became of a capture or refund."""

    SUCCEEDED = "succeeded"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveOutcome:
    """The result of a capture, cancel or refund.

    ``failure_reason`` is neutral and in capitals; set when state is FAILED.
    """

    state: MoveState
    processor_object: str = ""
    failure_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPayment:
    """A processor's record that carries our payment's name, and where it stands.

    ``refunded`` is what went back and what is on its way back; None if the processor
    does not say.
    """

    processor_object: str
    outcome: ChargeOutcome
    refunded: Money | None = None


# The failure reason of a key that came before with another body.
IDEMPOTENCY_MISMATCH: Final = "IDEMPOTENCY_MISMATCH"


class ProcessorOutcomeUnknown(Exception):
    """The request may have been executed and no answer came. Never shown to callers:
    use cases turn it into the UNKNOWN state.
    """


class ProcessorRefused(Exception):
    """The processor understood the request and executed nothing.

    ``failure_reason`` is neutral, in capitals and shown to callers, such as
    ``RAW_CARDS_NOT_ENABLED``, ``CREDENTIAL_REJECTED`` or ``REQUEST_REFUSED``;
    ``IDEMPOTENCY_MISMATCH`` when the key came before with another body: what that one
    did is not known.
    """

    def __init__(self, failure_reason: str) -> None:
        super().__init__(failure_reason)
        self.failure_reason = failure_reason


class Processor(CardRecipient, Protocol):
    """A card processor.

    Every method may raise ``ProcessorUnavailable`` (nothing was sent, or it was
    rejected before execution: a retry with the same key is right),
    ``ProcessorOutcomeUnknown`` (it may have been executed) and ``ProcessorRefused``
    (it was not executed), and nothing else. A decline is a value.

    Implementations pass tests/contract/processor_contract.py.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    @property
    def purposes(self) -> Collection[Purpose]:
        """See CardRecipient.purposes."""

    @property
    def fields(self) -> Collection[CardField]:
        """See CardRecipient.fields."""

    def check_representable(self, amount: Money) -> None:
        """Raises AmountNotRepresentable if the processor cannot express the amount."""

    async def create_customer(self, call: ProcessorCall) -> str:
        """Makes the processor's record of a cardholder and returns its id."""

    async def store_card(
        self,
        call: ProcessorCall,
        customer: str,
        card: OpenedCard,
        security_code: SecurityCode | None,
    ) -> CredentialReference | Declined:
        """Gives the card to the processor. Moves no money."""

    async def charge(self, call: ProcessorCall, order: ChargeOrder) -> ChargeOutcome:
        """Charges or authorizes."""

    async def confirm(
        self, call: ProcessorCall, processor_object: str, return_url: str
    ) -> ChargeOutcome:
        """Asks again to complete a payment that waits for its cardholder.

        Still waiting means a new ``redirect_url``, which leads back to ``return_url``.
        """

    async def capture(
        self, call: ProcessorCall, processor_object: str, amount: Money
    ) -> MoveOutcome:
        """Collects reserved money; what is not collected is released."""

    async def cancel(self, call: ProcessorCall, processor_object: str) -> MoveOutcome:
        """Releases reserved money, or makes an open payment unconfirmable."""

    async def refund(
        self, call: ProcessorCall, processor_object: str, amount: Money
    ) -> MoveOutcome:
        """Gives collected money back."""

    async def inquire(
        self, call: ProcessorCall, processor_object: str
    ) -> FoundPayment | None:
        """Returns what the processor knows of one of its objects."""

    async def find(
        self,
        call: ProcessorCall,
        payment: PaymentName,
        customer: str,
        created_from: datetime,
    ) -> Sequence[FoundPayment]:
        """Returns the payments that carry our payment's name in their metadata."""

    async def close(self) -> None:
        """Lets connections go."""
