"""What the Processor contract needs from the stand-in behind an adapter.

An adapter's tests subclass ``ProcessorContract`` and give it a ``harness`` fixture: an
object with the members of ``ProcessorHarness`` over the adapter's own stand-in.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from gateway.cards.details import BillingDetails
from gateway.cards.expiry import Expiry
from gateway.cards.pan import Pan
from gateway.cards.security_code import SecurityCode
from gateway.merchants.ports import Environment, ProcessorAccount
from gateway.payments.decline_reasons import DeclineReason
from gateway.payments.processor import (
    ChargeOrder,
    CredentialReference,
    Processor,
    ProcessorCall,
)
from gateway.vault.card_access import OpenedCard
from gateway.words.identifiers import PaymentName, ProcessorAccountId, new_name
from gateway.words.money import Money
from gateway.words.purposes import Purpose


class Behaviour(StrEnum):
    """What a card does. Each is a published test number of the stand-in."""

    OK = "ok"
    OTHER_OK = "other_ok"
    DECLINED = "declined"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    LOST = "lost"
    STOLEN = "stolen"
    EXPIRED = "expired"
    SECURITY_CODE_INCORRECT = "security_code_incorrect"
    PROCESSING_ERROR = "processing_error"
    FAILS_WHEN_CHARGED = "fails_when_charged"
    NUMBER_INCORRECT = "number_incorrect"
    NEEDS_AUTHENTICATION = "needs_authentication"


class Operation(StrEnum):
    """A method of the port, as the place of a fault."""

    CUSTOMER = "customer"
    STORE = "store"
    CHARGE = "charge"
    CONFIRM = "confirm"
    CAPTURE = "capture"
    CANCEL = "cancel"
    REFUND = "refund"
    INQUIRE = "inquire"
    FIND = "find"


class Fault(StrEnum):
    """What goes wrong with the next call of one operation, and with no later call.

    "Executed" means that the stand-in did the work and keeps the answer for its key.
    """

    # Not executed; the adapter hears nothing.
    LOST_BEFORE = "lost_before"
    # Executed; the answer is lost.
    LOST_AFTER = "lost_after"
    # Executed, but the answer begins only after 0.5 s.
    SLOW = "slow"
    # Executed; the head of the answer comes at once, its body only after 0.5 s.
    SLOW_BODY = "slow_body"
    # Executed; answered 200 with a body that is not JSON.
    MALFORMED_BODY = "malformed_body"
    # Executed; answered 200 and the connection ends within the body.
    TRUNCATED_BODY = "truncated_body"
    # Not executed; a 500 is the answer, and it is kept for the key.
    STORED_ERROR_BEFORE = "stored_error_before"
    # Executed; a 500 is the answer, and it is kept for the key.
    STORED_ERROR_AFTER = "stored_error_after"
    # Not executed; a 500 is the answer, and nothing is kept.
    ERROR = "error"
    # Not executed; 429, and nothing is kept.
    RATE_LIMITED = "rate_limited"
    # The connection is refused.
    UNREACHABLE = "unreachable"


# Shorter than SLOW and SLOW_BODY, and long enough for one call on a busy machine.
SHORT = timedelta(seconds=0.25)
SLOW_SECONDS = 0.5
LONG = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerTotals:
    """The stand-in's own books. Amounts are minor units over all payments.

    ``payments`` counts payments of any state, declined ones too; ``reserved`` is money
    held and not collected.
    """

    customers: int
    payment_methods: int
    payments: int
    reserved: int
    captured: int
    refunded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CardInHand:
    """A card as a cardholder gives it; ``digits`` is what must never be seen."""

    opened: OpenedCard
    security_code: SecurityCode | None
    digits: str = field(repr=False)


class ProcessorHarness(Protocol):
    """One stand-in with empty books, and adapters that talk to it.

    The fixture that yields it stops the stand-in; the contract closes the adapters.
    """

    # Amounts that the processor can and cannot express.
    representable: Sequence[Money]
    not_representable: Sequence[Money]
    account: ProcessorAccount

    def make_processor(self) -> Processor:
        """Returns a new adapter; called inside the running loop."""

    def card(self, behaviour: Behaviour) -> CardInHand:
        """Returns a test card; ``a_card`` makes one from a number."""

    def now(self) -> datetime:
        """Returns the stand-in's time."""

    async def set_fault(self, fault: Fault, operation: Operation) -> None:
        """Spoils the next call of the operation, whoever makes it."""

    async def decline_next_charge(self, reason: DeclineReason | None) -> None:
        """Makes the bank decline the next charge, whatever the card.

        With a reason: by one of the processor's codes for it. With None: by a code
        that the adapter cannot know.
        """

    async def authenticate(self, processor_object: str, *, succeeded: bool) -> None:
        """Does what the cardholder does at the redirect_url."""

    async def forget_keys(self) -> None:
        """Forgets every idempotency key, as if the window had passed."""

    async def totals(self) -> LedgerTotals:
        """Returns the sums of the stand-in's books."""


MISREPORTED: Collection[Fault] = (
    Fault.LOST_AFTER,
    Fault.SLOW_BODY,
    Fault.MALFORMED_BODY,
    Fault.TRUNCATED_BODY,
)


def a_card(number: str, security_code: str = "123") -> CardInHand:
    """Returns a card with this number, valid for years."""
    opened = OpenedCard(
        # restore() also takes the published number whose check digit is wrong.
        number=Pan.restore(number),
        expiry=Expiry(12, 2034),
        billing=BillingDetails(
            name="Ada Example", line1="1 Example Street", city="Zürich", country="CH"
        ),
    )
    return CardInHand(
        opened=opened, security_code=SecurityCode(security_code), digits=number
    )


def an_account(processor: str) -> ProcessorAccount:
    """Returns a test account at the processor."""
    return ProcessorAccount(
        account_id=ProcessorAccountId("account-1"),
        processor=processor,
        environment=Environment.TEST,
        external_account="acct_test",
        created_at=datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
    )


def a_payment_name() -> PaymentName:
    """Returns a fresh payment name."""
    return PaymentName(new_name("pay"))


def a_call(
    account: ProcessorAccount,
    key: str,
    *,
    payment: PaymentName | None = None,
    deadline: timedelta = LONG,
) -> ProcessorCall:
    """Returns what every call carries."""
    return ProcessorCall(
        account=account,
        idempotency_key=key,
        deadline=deadline,
        metadata={"bailee_payment": payment or a_payment_name()},
    )


def an_order(
    reference: CredentialReference,
    payment: PaymentName,
    **changes: object,
) -> ChargeOrder:
    """Returns a charge of 19.99 that the cardholder starts and that stores nothing."""
    values: dict[str, object] = {
        "payment": payment,
        "amount": Money(1999, "USD"),
        "purpose": Purpose.CUSTOMER_INITIATED,
        "reference": reference,
        "capture": True,
        "stores_credential": False,
        "off_session_later": False,
    }
    return ChargeOrder(**(values | changes))  # type: ignore[arg-type]
