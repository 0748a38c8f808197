"""Puts StripeProcessor and the stand-in behind the contract's harness."""

import socket

from gateway.payments.decline_reasons import DeclineReason as Reason
from gateway.processors.stripe.processor import StripeProcessor
from gateway.processors.stripe.transport import StripeConnection
from gateway.words.money import Money
from tests.contract.processor_harness import (
    Behaviour,
    Fault,
    LedgerTotals,
    Operation,
    a_card,
    an_account,
)
from tests.processors.stripe import cards
from tests.processors.stripe.cards import BankAnswer
from tests.processors.stripe.stand_in import KEY

_CARDS = {
    Behaviour.OK: cards.VISA,
    Behaviour.OTHER_OK: cards.MASTERCARD,
    Behaviour.DECLINED: cards.GENERIC_DECLINE,
    Behaviour.INSUFFICIENT_FUNDS: cards.INSUFFICIENT_FUNDS,
    Behaviour.LOST: cards.LOST,
    Behaviour.STOLEN: cards.STOLEN,
    Behaviour.EXPIRED: cards.EXPIRED,
    Behaviour.SECURITY_CODE_INCORRECT: cards.SECURITY_CODE_INCORRECT,
    Behaviour.PROCESSING_ERROR: cards.PROCESSING_ERROR,
    Behaviour.FAILS_WHEN_CHARGED: cards.FAILS_WHEN_CHARGED,
    Behaviour.NUMBER_INCORRECT: cards.NUMBER_INCORRECT,
    Behaviour.NEEDS_AUTHENTICATION: cards.AUTHENTICATE_ALWAYS,
}

# One of Stripe's codes for each reason.
_ANSWERS = {
    Reason.INSUFFICIENT_FUNDS: BankAnswer("card_declined", "insufficient_funds"),
    Reason.LIMIT_EXCEEDED: BankAnswer("card_declined", "card_velocity_exceeded"),
    Reason.ISSUER_UNAVAILABLE: BankAnswer("card_declined", "issuer_not_available"),
    Reason.PROCESSING_ERROR: BankAnswer("processing_error", "processing_error"),
    Reason.DO_NOT_HONOR: BankAnswer("card_declined"),
    Reason.CALL_ISSUER: BankAnswer("card_declined", "call_issuer"),
    Reason.AUTHENTICATION_REQUIRED: cards.AUTHENTICATION_REQUIRED,
    Reason.RATE_LIMITED: BankAnswer("card_decline_rate_limit_exceeded"),
    Reason.CARD_EXPIRED: BankAnswer("expired_card"),
    Reason.NUMBER_INCORRECT: BankAnswer("card_declined", "invalid_number"),
    Reason.SECURITY_CODE_INCORRECT: BankAnswer("incorrect_cvc"),
    Reason.ADDRESS_INCORRECT: BankAnswer("incorrect_zip"),
    Reason.PIN_INCORRECT: BankAnswer("card_declined", "pin_try_exceeded"),
    Reason.CARD_UPDATED: BankAnswer(
        "card_declined", "new_account_information_available"
    ),
    Reason.ACCOUNT_CLOSED: BankAnswer("card_declined", "invalid_account"),
    Reason.NOT_SUPPORTED: BankAnswer("card_declined", "card_not_supported"),
    Reason.NOT_PERMITTED: BankAnswer("card_declined", "transaction_not_allowed"),
    Reason.AUTHORIZATION_REVOKED: BankAnswer("card_declined", "stop_payment_order"),
    Reason.LOST_OR_STOLEN: BankAnswer("card_declined", "pickup_card"),
    Reason.SUSPECTED_FRAUD: BankAnswer("card_declined", "fraudulent"),
    Reason.AMOUNT_INVALID: BankAnswer("card_declined", "invalid_amount"),
    Reason.TEST_LIVE_MISMATCH: BankAnswer("card_declined", "testmode_decline"),
    Reason.DUPLICATE: BankAnswer("card_declined", "duplicate_transaction"),
    None: BankAnswer("card_declined", "a_code_of_next_year"),
}

# The adapter's names of its calls.
_CALLS = {
    Operation.CUSTOMER: "create_customer",
    Operation.STORE: "store_card",
    Operation.CHARGE: "charge",
    Operation.CONFIRM: "confirm",
    Operation.CAPTURE: "capture",
    Operation.CANCEL: "cancel",
    Operation.REFUND: "refund",
    Operation.INQUIRE: "inquire",
    Operation.FIND: "find",
}


class StripeHarness:
    """See ProcessorHarness."""

    account = an_account("stripe")
    representable = (
        Money(50, "USD"),
        Money(1, "JPY"),
        Money(5, "ISK"),
        Money(5, "UGX"),
        Money(500, "MGA"),
        Money(5120, "KWD"),
    )
    not_representable = (
        Money(0, "USD"),
        Money(550, "MGA"),
        Money(5124, "KWD"),
        Money(1000, "IQD"),
        Money(10**12, "IDR"),
    )

    def __init__(self, stand_in):
        self.stand_in = stand_in
        self.unreachable = set()

    def make_processor(self):
        return _SteeredProcessor(self)

    def card(self, behaviour):
        return a_card(_CARDS[behaviour])

    def now(self):
        return self.stand_in.now()

    async def set_fault(self, fault, operation):
        if fault is Fault.UNREACHABLE:
            self.unreachable.add(_CALLS[operation])
        else:
            self.stand_in.faults[operation] = fault

    async def decline_next_charge(self, reason):
        self.stand_in.books.next_refusal = _ANSWERS[reason]

    async def authenticate(self, processor_object, *, succeeded):
        self.stand_in.books.authenticate(processor_object, succeeded=succeeded)

    async def forget_keys(self):
        self.stand_in.replies.clear()

    async def totals(self):
        books = self.stand_in.books
        intents = books.intents.values()
        held = [each for each in intents if each.status == "requires_capture"]
        return LedgerTotals(
            customers=len(books.customers),
            payment_methods=len(books.cards),
            payments=len(intents),
            reserved=sum(intent.amount for intent in held),
            captured=sum(intent.received for intent in intents),
            refunded=sum(intent.refunded for intent in intents),
        )


class _SteeredProcessor(StripeProcessor):
    """Makes a chosen call where nobody listens."""

    def __init__(self, harness):
        super().__init__(
            credentials=lambda _account: KEY, address=harness.stand_in.address
        )
        self._harness = harness

    async def _send(self, call, operation, send, read):
        if operation not in self._harness.unreachable:
            return await super()._send(call, operation, send, read)
        self._harness.unreachable.discard(operation)
        usual = self._connection
        with socket.socket() as taken:  # bound, and not listening
            taken.bind(("127.0.0.1", 0))
            self._connection = StripeConnection(
                f"http://127.0.0.1:{taken.getsockname()[1]}"
            )
            try:
                return await super()._send(call, operation, send, read)
            finally:
                await self._connection.close()
                self._connection = usual
