"""The simulated bank's books: records and the rules that move money.

Pure apart from the time it is given. Invariants:
  * Nothing is collected above what was authorized, nothing given back above what was
    collected; a partial capture releases the rest.
  * A payment method that is not attached serves one payment, whatever comes of it. An
    attached one serves its customer alone, who must be named.
  * A rule that is broken raises ``Refusal`` and changes nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from gateway.cards.expiry import Expiry
from gateway.errors import CardInvalid
from gateway.processors.simulator.cards import (
    Authentication,
    card_that,
    find_card,
    refusal_code,
)
from gateway.processors.simulator.forms import (
    CaptureForm,
    CardForm,
    ConfirmForm,
    PaymentForm,
    RefundForm,
)
from gateway.processors.simulator.records import (
    KINDS,
    Customer,
    Json,
    PaymentMethod,
    PaymentRecord,
    Record,
    Refund,
)
from gateway.processors.simulator.refusals import declined, refused

# Seven days; under five for Visa payments that a merchant starts.
_HOLD: Final = timedelta(days=7)
_HOLD_OFF_SESSION: Final = timedelta(days=5) - timedelta(hours=6)
_LETTERS: Final = "bcdfghjklmnpqrstvwxz"
_SUFFIX_LETTERS: Final = 6
_PREFIXES: Final[Mapping[type[Record], str]] = {
    Customer: "cus",
    PaymentMethod: "pm",
    PaymentRecord: "pay",
    Refund: "re",
}
_R = TypeVar("_R", bound=Record)


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happens, and the code that declines it whatever the card."""

    now: datetime
    decline_code: str = ""

    @property
    def seconds(self) -> int:
        """The time in whole seconds."""
        return int(self.now.timestamp())


class Books:
    """Customers, payment methods, payments and refunds by id.

    ``name`` keeps the ids of two ledgers apart; ids hold no digits, so that no scanner
    takes one for a card number.
    """

    def __init__(self, *, name: str, public_url: str) -> None:
        self._name = name
        self.public_url = public_url
        self.customers: dict[str, Customer] = {}
        self.payment_methods: dict[str, PaymentMethod] = {}
        self.payments: dict[str, PaymentRecord] = {}
        self.refunds: dict[str, Refund] = {}
        self._tables: dict[type[Record], dict[str, Any]] = {
            Customer: self.customers,
            PaymentMethod: self.payment_methods,
            PaymentRecord: self.payments,
            Refund: self.refunds,
        }
        self._by_customer: dict[str, list[PaymentRecord]] = {}
        self._records = 0
        self._changed: dict[str, Record] = {}

    # Changes, for the ledger's file

    def take_changes(self) -> list[Record]:
        """Returns the records that changed since this was last asked."""
        changed = list(self._changed.values())
        self._changed.clear()
        return changed

    def restore(self, shown: Json) -> None:
        """Puts a record back as the file has it."""
        record = KINDS[shown["kind"]].restore(shown)
        known = self._tables[type(record)].get(record.id)
        if known is None:
            self._put(record)
        else:
            for name in record.names():
                setattr(known, name, getattr(record, name))
        self._changed.clear()

    def records(self) -> Iterator[Record]:
        """Yields every record, kind by kind, oldest first."""
        for table in self._tables.values():
            yield from table.values()

    # Requests

    def open_customer(self, metadata: dict[str, str], moment: Moment) -> Customer:
        """Makes a customer."""
        return self._put(
            Customer(
                id=self._new_id(Customer), created=moment.seconds, metadata=metadata
            )
        )

    def open_payment_method(self, form: CardForm, moment: Moment) -> PaymentMethod:
        """Takes a card. Moves no money.

        Raises:
            Refusal: Not a test card, or it has expired: nothing is kept.
        """
        card = find_card(form.number)
        if card is None:
            raise declined(refusal_code(form.number))
        if _has_expired(form.expiry_month, form.expiry_year, moment.now):
            raise declined("invalid_expiry_year")
        return self._put(
            PaymentMethod(
                id=self._new_id(PaymentMethod),
                created=moment.seconds,
                last_four=form.number[-4:],
                expiry_month=form.expiry_month,
                expiry_year=form.expiry_year,
                behaviour=card.behaviour,
                metadata=form.metadata,
            )
        )

    def open_payment(self, form: PaymentForm, moment: Moment) -> PaymentRecord:
        """Charges or authorizes. A declined payment is kept: it can be canceled.

        Raises:
            Refusal: The payment method cannot be used; nothing is kept.
        """
        method = self._usable_method(form)
        if form.customer and form.customer not in self.customers:
            raise refused(404, "resource_missing", "customer")
        payment = PaymentRecord(
            id=self._new_id(PaymentRecord),
            created=moment.seconds,
            status="requires_payment_method",
            amount=form.amount,
            currency=form.currency,
            customer=form.customer,
            payment_method=method.id,
            capture=form.capture,
            off_session=form.off_session,
            store=form.store,
            metadata=form.metadata,
            statement_descriptor_suffix=form.statement_descriptor_suffix,
            return_url=form.return_url,
        )
        method.used = True
        self._changed[method.id] = method
        self._put(payment)
        card = card_that(method.behaviour)
        if moment.decline_code:
            self._decline(payment, moment.decline_code)
        elif _needs_authentication(card.authentication, method, payment):
            self._ask_to_authenticate(payment)
        else:
            self._settle(payment, method, moment)
        return payment

    def confirm(self, target: str, form: ConfirmForm, moment: Moment) -> PaymentRecord:
        """Sends the cardholder to authenticate once more.

        Raises:
            Refusal: The payment does not wait for the cardholder.
        """
        payment = self.payment(target, moment)
        if payment.status != "requires_action":
            raise refused(400, "payment_unexpected_state")
        payment.return_url = form.return_url
        payment.attempts += 1
        payment.redirect_url = (
            f"{self.public_url}/authenticate/{payment.id}?attempt={payment.attempts}"
        )
        self._changed[payment.id] = payment
        return payment

    def capture(self, target: str, form: CaptureForm, moment: Moment) -> PaymentRecord:
        """Collects and releases the rest.

        Raises:
            Refusal: Not authorized, or less is held.
        """
        payment = self.payment(target, moment)
        if payment.status != "requires_capture":
            raise refused(400, "payment_unexpected_state")
        amount = form.amount or payment.capturable
        if amount > payment.capturable:
            raise refused(400, "amount_too_large", "amount")
        payment.captured, payment.capturable = amount, 0
        payment.capture_before = 0
        payment.status = "succeeded"
        self._changed[payment.id] = payment
        return payment

    def cancel(self, target: str, moment: Moment) -> PaymentRecord:
        """Releases what is held, or makes an open payment unconfirmable.

        Raises:
            Refusal: Already collected or canceled.
        """
        payment = self.payment(target, moment)
        if payment.status in ("succeeded", "canceled"):
            raise refused(400, "payment_unexpected_state")
        self._release(payment)
        return payment

    def refund(self, form: RefundForm, moment: Moment) -> Refund:
        """Gives money back.

        Raises:
            Refusal: More than is left of what was collected.
        """
        payment = self.payment(form.payment, moment)
        if not payment.captured:
            raise refused(400, "payment_not_captured", "payment")
        left = payment.captured - payment.refunded
        amount = form.amount or left
        if not 0 < amount <= left:
            raise refused(400, "amount_exceeds_refundable", "amount")
        payment.refunded += amount
        self._changed[payment.id] = payment
        return self._put(
            Refund(
                id=self._new_id(Refund),
                created=moment.seconds,
                payment=payment.id,
                amount=amount,
                currency=payment.currency,
                metadata=form.metadata,
            )
        )

    def authenticate(
        self, target: str, moment: Moment, *, succeeded: bool
    ) -> PaymentRecord:
        """Does what the cardholder does at the redirect_url.

        Raises:
            Refusal: The payment does not wait for the cardholder.
        """
        payment = self.payment(target, moment)
        if payment.status != "requires_action":
            raise refused(400, "payment_unexpected_state")
        payment.redirect_url = ""
        if not succeeded:
            self._decline(payment, "authentication_required")
            return payment
        method = self.payment_methods[payment.payment_method]
        method.set_up = bool(payment.store)
        self._settle(payment, method, moment)
        return payment

    def payment(self, target: str, moment: Moment) -> PaymentRecord:
        """Returns a payment; a hold that ran out is released first.

        Raises:
            Refusal: No such payment.
        """
        payment = self.payments.get(target)
        if payment is None:
            raise refused(404, "resource_missing", "payment")
        if 0 < payment.capture_before <= moment.seconds:
            self._release(payment)
        return payment

    def search(
        self, customer: str, created_from: int, moment: Moment
    ) -> Iterator[PaymentRecord]:
        """Yields payments of one customer, or of all, newest first."""
        candidates = (
            self._by_customer.get(customer, [])
            if customer
            else list(self.payments.values())
        )
        for payment in reversed(candidates):
            if payment.created >= created_from:
                yield self.payment(payment.id, moment)

    # Rules

    def _usable_method(self, form: PaymentForm) -> PaymentMethod:
        method = self.payment_methods.get(form.payment_method)
        if method is None:
            raise refused(404, "resource_missing", "payment_method")
        if method.customer and method.customer != form.customer:
            raise refused(400, "payment_method_customer_mismatch", "customer")
        if method.used and not method.customer:
            raise refused(400, "payment_method_used", "payment_method")
        if form.store and not form.customer:
            raise refused(400, "parameter_missing", "customer")
        return method

    def _settle(
        self, payment: PaymentRecord, method: PaymentMethod, moment: Moment
    ) -> None:
        code = card_that(method.behaviour).decline_code
        if not code and _has_expired(
            method.expiry_month, method.expiry_year, moment.now
        ):
            code = "expired_card"
        if code:
            self._decline(payment, code)
            return
        payment.network_transaction_id = f"ntx_{payment.id}"
        if payment.capture:
            payment.status, payment.captured = "succeeded", payment.amount
        else:
            payment.status, payment.capturable = "requires_capture", payment.amount
            hold = _HOLD_OFF_SESSION if payment.off_session else _HOLD
            payment.capture_before = int((moment.now + hold).timestamp())
        if payment.store:
            method.customer = payment.customer
        self._changed[method.id] = method
        self._changed[payment.id] = payment

    def _ask_to_authenticate(self, payment: PaymentRecord) -> None:
        if payment.off_session or not payment.return_url:
            self._decline(payment, "authentication_required")
            return
        payment.status = "requires_action"
        payment.redirect_url = f"{self.public_url}/authenticate/{payment.id}"

    def _decline(self, payment: PaymentRecord, code: str) -> None:
        payment.status, payment.decline_code = "requires_payment_method", code
        self._changed[payment.id] = payment

    def _release(self, payment: PaymentRecord) -> None:
        payment.status, payment.capturable = "canceled", 0
        payment.capture_before, payment.redirect_url = 0, ""
        self._changed[payment.id] = payment

    # Rows

    def _put(self, record: _R) -> _R:
        table = self._tables[type(record)]
        if record.id not in table:
            self._records += 1
            if isinstance(record, PaymentRecord):
                self._by_customer.setdefault(record.customer, []).append(record)
        table[record.id] = record
        self._changed[record.id] = record
        return record

    def _new_id(self, kind: type[Record]) -> str:
        number = self._records
        letters = ""
        while number or len(letters) < _SUFFIX_LETTERS:
            number, digit = divmod(number, len(_LETTERS))
            letters = _LETTERS[digit] + letters
        return f"{_PREFIXES[kind]}_{self._name}_{letters}"


def _needs_authentication(
    wanted: Authentication, method: PaymentMethod, payment: PaymentRecord
) -> bool:
    if wanted is Authentication.UNLESS_SET_UP:
        return not (payment.off_session and method.set_up)
    return wanted is Authentication.ALWAYS


def _has_expired(month: int, year: int, now: datetime) -> bool:
    try:
        return now >= Expiry(month, year).ends_at
    except CardInvalid:
        return True


def totals_of(books: Books) -> Mapping[str, Mapping[str, int]]:
    """Returns the sums of the books, by currency."""
    totals: dict[str, dict[str, int]] = {}
    for payment in books.payments.values():
        sums = totals.setdefault(
            payment.currency, {"reserved": 0, "captured": 0, "refunded": 0}
        )
        sums["reserved"] += payment.capturable
        sums["captured"] += payment.captured
        sums["refunded"] += payment.refunded
    return totals
