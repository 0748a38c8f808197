"""The Processor port over Stripe.

A first charge is customers.create, payment_methods.create, payment_intents.create with
confirm: the use case commits after each. docs/processors/stripe.md shows the flow.

Invariants:
  * One client for the process; the key of the processor account goes with each request.
  * The SDK never tries again by itself: the use case does, with the same key.
  * No frame of this module that an exception passes through holds a card number or a
    key in a variable, and no exception leaves with one of the SDK's behind it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypeVar

import stripe
from stripe import RequestOptions

from gateway.cards.security_code import SecurityCode
from gateway.config import ConfigInvalid
from gateway.errors import AmountNotRepresentable, InvariantBroken
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.processor import (
    Capabilities,
    ChargeOrder,
    ChargeOutcome,
    CredentialReference,
    Declined,
    FoundPayment,
    MoveOutcome,
    MoveState,
    ProcessorCall,
    ProcessorRefused,
)
from gateway.payments.reconcile import ListedPayment
from gateway.processors.stripe import outcomes, requests
from gateway.processors.stripe.credentials import ApiKey, CredentialSource, read_key
from gateway.processors.stripe.errors import (
    NOT_FOUND,
    REQUEST_REFUSED,
    VENDOR_ERRORS,
    read_failure,
)
from gateway.processors.stripe.hardening import prints_requests, silence_sdk
from gateway.processors.stripe.money import to_stripe
from gateway.processors.stripe.transport import (
    STRIPE_ADDRESS,
    StripeConnection,
    begin_attempt,
)
from gateway.vault.card_access import OpenedCard
from gateway.vault.ports import CardField
from gateway.words.identifiers import PaymentName
from gateway.words.money import Money
from gateway.words.purposes import MERCHANT_INITIATED, PAYMENT_PURPOSES, Purpose

T = TypeVar("T")
R = TypeVar("R")

Send = Callable[[stripe.StripeClient, RequestOptions], Awaitable[T]]

# docs.stripe.com/api/idempotent_requests: at least so long.
_IDEMPOTENCY_WINDOW: Final = timedelta(hours=24)
_LISTING: Final = timedelta(minutes=10)  # a year of a large account


class StripeProcessor:
    """See Processor. Use it in one event loop.

    Args:
        credentials: Returns the account's secret or restricted key, at every call.
        address: Another address only for tests and stand-ins.

    Raises:
        ConfigInvalid: The address is not safe, or the SDK would print card numbers.
    """

    name: Final = "stripe"
    purposes: Final = PAYMENT_PURPOSES | {Purpose.VERIFICATION}
    # Name and address serve address verification and 3-D Secure. E-mail and phone
    # would too, a little; Stripe does not need them to charge a card.
    fields: Final = frozenset(
        {
            CardField.NUMBER,
            CardField.EXPIRY,
            CardField.BILLING_NAME,
            CardField.BILLING_ADDRESS,
        }
    )
    capabilities: Final = Capabilities(
        customers=True,
        partial_capture=True,
        multiple_captures=False,
        partial_refund=True,
        idempotency_window=_IDEMPOTENCY_WINDOW,
        find_by_creation_time=True,
    )

    def __init__(
        self, *, credentials: CredentialSource, address: str = STRIPE_ADDRESS
    ) -> None:
        if prints_requests():
            raise ConfigInvalid(
                "stripe.log or STRIPE_LOG is set: Stripe's SDK would print card numbers"
            )
        silence_sdk()
        self._credentials = credentials
        self._connection = StripeConnection(address)

    def check_representable(self, amount: Money) -> None:
        """See Processor.check_representable."""
        to_stripe(amount)

    async def create_customer(self, call: ProcessorCall) -> str:
        """See Processor.create_customer."""
        made = await self._send(
            call,
            "create_customer",
            lambda client, options: client.v1.customers.create_async(
                requests.customer(call.metadata), options
            ),
            lambda customer: str(customer.id),
        )
        return _certain(made)

    async def store_card(
        self,
        call: ProcessorCall,
        customer: str,
        card: OpenedCard,
        security_code: SecurityCode | None,
    ) -> CredentialReference | Declined:
        """See Processor.store_card."""
        number, expiry = card.number, card.expiry
        if number is None or expiry is None:
            raise InvariantBroken
        return await self._send(
            call,
            "store_card",
            lambda client, options: client.v1.payment_methods.create_async(
                requests.payment_method(
                    number, expiry, security_code, card.billing, call.metadata
                ),
                options,
            ),
            lambda method: CredentialReference(
                payment_method=method.id, customer=customer
            ),
        )

    async def charge(self, call: ProcessorCall, order: ChargeOrder) -> ChargeOutcome:
        """See Processor.charge."""
        params = _build(lambda: requests.charge(order, call.metadata))
        if order.stores_credential and order.purpose in MERCHANT_INITIATED:
            refused = await self._attach(call, order.reference)
            if refused is not None:
                return refused
        return await self._send(
            call,
            "charge",
            lambda client, options: client.v1.payment_intents.create_async(
                params, options
            ),
            outcomes.read_charge,
        )

    async def confirm(
        self, call: ProcessorCall, processor_object: str, return_url: str
    ) -> ChargeOutcome:
        """See Processor.confirm."""
        return await self._send(
            call,
            "confirm",
            lambda client, options: client.v1.payment_intents.confirm_async(
                processor_object, requests.confirmation(return_url), options
            ),
            outcomes.read_charge,
        )

    async def capture(
        self, call: ProcessorCall, processor_object: str, amount: Money
    ) -> MoveOutcome:
        """See Processor.capture."""
        params = _build(lambda: requests.capture(amount))
        moved = await self._send(
            call,
            "capture",
            lambda client, options: client.v1.payment_intents.capture_async(
                processor_object, params, options
            ),
            outcomes.read_capture,
        )
        return _moved(moved)

    async def cancel(self, call: ProcessorCall, processor_object: str) -> MoveOutcome:
        """See Processor.cancel."""
        moved = await self._send(
            call,
            "cancel",
            lambda client, options: client.v1.payment_intents.cancel_async(
                processor_object, requests.cancellation(), options
            ),
            outcomes.read_cancellation,
        )
        return _moved(moved)

    async def refund(
        self, call: ProcessorCall, processor_object: str, amount: Money
    ) -> MoveOutcome:
        """See Processor.refund."""
        params = _build(
            lambda: requests.refund(processor_object, amount, call.metadata)
        )
        moved = await self._send(
            call,
            "refund",
            lambda client, options: client.v1.refunds.create_async(params, options),
            outcomes.read_refund,
        )
        return _moved(moved)

    async def inquire(
        self, call: ProcessorCall, processor_object: str
    ) -> FoundPayment | None:
        """See Processor.inquire."""
        try:
            found = await self._send(
                call,
                "inquire",
                lambda client, options: client.v1.payment_intents.retrieve_async(
                    processor_object, requests.retrieval(), options
                ),
                outcomes.read_found,
            )
        except ProcessorRefused as refused:
            if refused.failure_reason == NOT_FOUND:
                return None
            raise
        return _certain(found)

    async def find(
        self,
        call: ProcessorCall,
        payment: PaymentName,
        customer: str,
        created_from: datetime,
    ) -> Sequence[FoundPayment]:
        """See Processor.find. Reads every page: a list is never cut short."""

        async def pages(
            client: stripe.StripeClient, options: RequestOptions
        ) -> list[stripe.PaymentIntent]:
            if not customer:
                results = await client.v1.payment_intents.search_async(
                    requests.search(payment), options
                )
                return list(results.data)
            intents: list[stripe.PaymentIntent] = []
            more = True
            while more:
                after = intents[-1].id if intents else ""
                page = await client.v1.payment_intents.list_async(
                    requests.listing(customer, created_from, after), options
                )
                intents.extend(page.data)
                more = page.has_more
            return intents

        found = await self._send(
            call,
            "find",
            pages,
            lambda intents: [
                outcomes.read_found(intent)
                for intent in intents
                if outcomes.carries(intent, payment)
            ],
        )
        return _certain(found)

    async def list_payments(
        self, account: ProcessorAccount, start: datetime, end: datetime
    ) -> Sequence[ListedPayment]:
        """See gateway.payments.reconcile.PaymentLister. Reads every page."""

        async def pages(
            client: stripe.StripeClient, options: RequestOptions
        ) -> list[stripe.PaymentIntent]:
            intents: list[stripe.PaymentIntent] = []
            more = True
            while more:
                after = intents[-1].id if intents else ""
                page = await client.v1.payment_intents.list_async(
                    requests.period(start, end, after), options
                )
                intents.extend(page.data)
                more = page.has_more
            return intents

        call = ProcessorCall(
            account=account, idempotency_key="list", deadline=_LISTING, metadata={}
        )
        listed = await self._send(
            call,
            "list_payments",
            pages,
            lambda intents: [outcomes.read_listed(intent) for intent in intents],
        )
        return _certain(listed)

    async def close(self) -> None:
        """See Processor.close."""
        await self._connection.close()

    async def _attach(
        self, call: ProcessorCall, reference: CredentialReference
    ) -> Declined | None:
        """Keeps the card for its customer before a first charge by the merchant.

        A card that was charged without being kept can never be charged again, and
        Stripe refuses setup_future_usage while the cardholder is away.
        """
        kept = await self._send(
            replace(call, idempotency_key=f"{call.idempotency_key}-attach"),
            "attach",
            lambda client, options: client.v1.payment_methods.attach_async(
                reference.payment_method,
                requests.attachment(reference.customer),
                options,
            ),
            lambda method: method.id,
        )
        return kept if isinstance(kept, Declined) else None

    async def _send(
        self,
        call: ProcessorCall,
        operation: str,
        send: Send[T],
        read: Callable[[T], R],
    ) -> R | Declined:
        """Makes one call and reads its answer.

        Raises:
            ProcessorUnavailable, ProcessorOutcomeUnknown, ProcessorRefused: As in the
                port. None of them has an error of the SDK behind it.
        """
        if prints_requests():
            raise ProcessorRefused("STRIPE_PRINTS_REQUESTS")
        silence_sdk()
        key = read_key(self._credentials, call.account)
        client = self._connection.client()
        attempt = begin_attempt()
        failure: BaseException | Declined
        try:
            async with asyncio.timeout(call.deadline.total_seconds()):
                return read(await send(client, _options(call, key)))
        except asyncio.CancelledError:
            failure = asyncio.CancelledError()
        except VENDOR_ERRORS as error:
            failure = read_failure(error, operation=operation, sent=attempt.sent)
        # Raised here, outside every "except": there the error of the SDK, and with it
        # the request, would hang behind this one as its context.
        if isinstance(failure, Declined):
            return failure
        raise failure


def _options(call: ProcessorCall, key: ApiKey) -> RequestOptions:
    return {
        "api_key": key.reveal(),
        "idempotency_key": call.idempotency_key,
        "max_network_retries": 0,
    }


def _build(build: Callable[[], T]) -> T:
    """Builds parameters that hold an amount.

    Raises:
        ProcessorRefused: Stripe cannot express it.
    """
    try:
        return build()
    except AmountNotRepresentable:
        raise ProcessorRefused("AMOUNT_NOT_REPRESENTABLE") from None


def _certain(answer: T | Declined) -> T:
    """Returns the answer of a call that no bank is asked for."""
    if isinstance(answer, Declined):
        raise ProcessorRefused(REQUEST_REFUSED)
    return answer


def _moved(answer: MoveOutcome | Declined) -> MoveOutcome:
    """Returns the outcome of a move; the bank's no is a failure of the move."""
    if isinstance(answer, Declined):
        return MoveOutcome(state=MoveState.FAILED, failure_reason=answer.decline.reason)
    return answer
