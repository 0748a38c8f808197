"""Stripe, through its official SDK, asynchronous on aiohttp.

Invariants:
  * One client for the process; the API key goes with each call, for its account.
  * Whatever may have been executed is ProcessorOutcomeUnknown: a lost connection, a
    timeout, a 5xx (Stripe stores and replays it), an unreadable body.
  * No SDK exception leaves this module, not even as a cause: it may hold the body.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import aiohttp
import stripe

from gateway.cards.security_code import SecurityCode
from gateway.errors import ProcessorUnavailable
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.processor import (
    ActionRequired,
    Approved,
    Canceled,
    Capabilities,
    ChargeOrder,
    ChargeOutcome,
    CredentialReference,
    Declined,
    FoundPayment,
    MoveOutcome,
    MoveState,
    Pending,
    ProcessorCall,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
)
from gateway.processors.stripe import requests
from gateway.processors.stripe.declines import classify
from gateway.processors.stripe.hardening import GuardedClient, harden
from gateway.processors.stripe.money import check_representable, from_stripe, to_stripe
from gateway.vault.card_access import OpenedCard
from gateway.vault.ports import CardField
from gateway.words.identifiers import PaymentName
from gateway.words.money import Money
from gateway.words.purposes import PAYMENT_PURPOSES, Purpose

T = TypeVar("T")

_RAW_CARDS: Final = "Sending credit card numbers directly to the Stripe API"
_RATE_LIMITED: Final = 429
_SERVER_ERROR: Final = 500
_CLIENT_ERROR: Final = 400
_CONFLICT: Final = 409
_PAGE: Final = 100

CredentialSource = Callable[[ProcessorAccount], str]


class StripeProcessor:
    """See Processor."""

    name: Final = "stripe"
    purposes: Final = PAYMENT_PURPOSES | {Purpose.VERIFICATION}
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
        # docs.stripe.com/api/idempotent_requests: keys live for at least 24 hours.
        idempotency_window=timedelta(hours=24),
        find_by_creation_time=True,
    )

    def __init__(
        self, *, credentials: CredentialSource, base_url: str = "", timeout: float = 80
    ) -> None:
        """Makes the adapter; the connection pool is opened at the first call.

        Args:
            credentials: Returns the API key of an account.
            base_url: Another server for every Stripe address, in tests.
            timeout: Seconds; the use case's own deadline is shorter.
        """
        harden()
        self._credentials = credentials
        self._base_url = base_url
        self._timeout = timeout
        self._client: stripe.StripeClient | None = None
        self._http: GuardedClient | None = None

    def check_representable(self, amount: Money) -> None:
        """See Processor.check_representable."""
        check_representable(amount)

    async def create_customer(self, call: ProcessorCall) -> str:
        """See Processor.create_customer."""
        api, options = self._open(call)
        made = await _sent(
            lambda: api.customers.create_async(
                requests.customer(call.metadata), options
            )
        )
        return str(made.id)

    async def store_card(
        self,
        call: ProcessorCall,
        customer: str,
        card: OpenedCard,
        security_code: SecurityCode | None,
    ) -> CredentialReference | Declined:
        """See Processor.store_card."""
        api, options = self._open(call)
        body = requests.payment_method(card, security_code, call.metadata)
        try:
            made = await _sent(lambda: api.payment_methods.create_async(body, options))
        except _CardDeclined as declined:
            return declined.outcome
        return CredentialReference(payment_method=str(made.id), customer=customer)

    async def charge(self, call: ProcessorCall, order: ChargeOrder) -> ChargeOutcome:
        """See Processor.charge."""
        api, options = self._open(call)
        body = requests.charge(order, call.metadata)
        try:
            made = await _sent(lambda: api.payment_intents.create_async(body, options))
        except _CardDeclined as declined:
            return declined.outcome
        return _outcome(made)

    async def capture(
        self, call: ProcessorCall, processor_object: str, amount: Money
    ) -> MoveOutcome:
        """See Processor.capture."""
        api, options = self._open(call)
        made = await _sent(
            lambda: api.payment_intents.capture_async(
                processor_object, {"amount_to_capture": to_stripe(amount)}, options
            )
        )
        return _moved(made, {"succeeded": MoveState.SUCCEEDED})

    async def cancel(self, call: ProcessorCall, processor_object: str) -> MoveOutcome:
        """See Processor.cancel."""
        api, options = self._open(call)
        made = await _sent(
            lambda: api.payment_intents.cancel_async(processor_object, {}, options)
        )
        return _moved(made, {"canceled": MoveState.SUCCEEDED})

    async def refund(
        self, call: ProcessorCall, processor_object: str, amount: Money
    ) -> MoveOutcome:
        """See Processor.refund."""
        api, options = self._open(call)
        made = await _sent(
            lambda: api.refunds.create_async(
                {
                    "payment_intent": processor_object,
                    "amount": to_stripe(amount),
                    "metadata": dict(call.metadata),
                },
                options,
            )
        )
        states = {"succeeded": MoveState.SUCCEEDED, "failed": MoveState.FAILED}
        return _moved(made, states | {"canceled": MoveState.FAILED})

    async def inquire(
        self, call: ProcessorCall, processor_object: str
    ) -> FoundPayment | None:
        """See Processor.inquire."""
        api, options = self._open(call)
        try:
            made = await _sent(
                lambda: api.payment_intents.retrieve_async(
                    processor_object, {"expand": ["latest_charge"]}, options
                )
            )
        except ProcessorRefused:
            return None
        return _found(made)

    async def find(
        self,
        call: ProcessorCall,
        payment: PaymentName,
        customer: str,
        created_from: datetime,
    ) -> Sequence[FoundPayment]:
        """See Processor.find.

        Lists by customer and creation time and matches our name in the metadata:
        Stripe's search is only eventually consistent.
        """
        api, options = self._open(call)
        query: dict[str, Any] = {
            "created": {"gte": int(created_from.timestamp())},
            "limit": _PAGE,
            "expand": ["data.latest_charge"],
        }
        if customer:
            query["customer"] = customer
        page = await _sent(lambda: api.payment_intents.list_async(query, options))
        found = []
        async for item in page.auto_paging_iter():
            if _our_name(item) == payment:
                found.append(_found(item))
        return found

    async def close(self) -> None:
        """See Processor.close."""
        if self._http is not None:
            await self._http.close_async()  # type: ignore[no-untyped-call]

    def _open(self, call: ProcessorCall) -> tuple[Any, Any]:
        """Returns the v1 services and this call's options."""
        if self._client is None:
            # The session reads no proxy and no netrc from the environment.
            session = aiohttp.ClientSession(trust_env=False)
            self._http = GuardedClient(timeout=self._timeout, session=session)
            self._http._internally_managed_session = True  # noqa: SLF001 - ours to close
            addresses = {
                name: self._base_url
                for name in ("api", "files", "connect", "meter_events")
                if self._base_url
            }
            self._client = stripe.StripeClient(
                "unused-every-call-brings-its-own",
                http_client=self._http,
                max_network_retries=0,
                base_addresses=addresses,  # type: ignore[arg-type]
            )
        options = {
            "api_key": self._credentials(call.account),
            "idempotency_key": call.idempotency_key,
            "max_network_retries": 0,
        }
        return self._client.v1, options


class _CardDeclined(Exception):
    """Stripe's 402: a value outside this module."""

    def __init__(self, outcome: Declined) -> None:
        super().__init__()
        self.outcome = outcome


async def _sent(send: Callable[[], Awaitable[T]]) -> T:
    """Awaits a call and converts what it raises; cuts the SDK's exception off."""
    converted: Exception
    try:
        return await send()
    except stripe.CardError as error:
        converted = _CardDeclined(_declined(error))
    except stripe.APIConnectionError as error:
        never_sent = isinstance(error.__cause__, aiohttp.ClientConnectorError)
        converted = ProcessorUnavailable() if never_sent else ProcessorOutcomeUnknown()
    except stripe.StripeError as error:
        converted = _convert(error)
    except (TimeoutError, aiohttp.ClientError, ValueError):
        converted = ProcessorOutcomeUnknown()
    # Outside the handler, so that the SDK's exception is not even the context.
    raise converted


def _convert(error: stripe.StripeError) -> Exception:
    status = error.http_status or 0
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return ProcessorRefused("CREDENTIAL_REJECTED")
    if isinstance(error, stripe.RateLimitError) or status == _RATE_LIMITED:
        return ProcessorUnavailable()
    if isinstance(error, stripe.IdempotencyError):
        return ProcessorRefused("IDEMPOTENCY_MISMATCH")
    # Below 400: an answer that is no JSON. It was executed, and nobody can read how.
    if status >= _SERVER_ERROR or status < _CLIENT_ERROR or status == _CONFLICT:
        return ProcessorOutcomeUnknown()
    if _RAW_CARDS in str(error.user_message or ""):
        return ProcessorRefused("RAW_CARDS_NOT_ENABLED")
    return ProcessorRefused("REQUEST_REFUSED")


def _declined(error: stripe.CardError) -> Declined:
    details = error.error
    intent = getattr(details, "payment_intent", None)
    name = str(getattr(intent, "id", "") or "")
    status = getattr(intent, "status", "")
    return Declined(
        decline=classify(
            code=error.code,
            decline_code=getattr(details, "decline_code", None),
            advice_code=getattr(details, "advice_code", None),
            network_advice_code=getattr(details, "network_advice_code", None),
        ),
        processor_object=name,
        still_confirmable=bool(name) and status not in ("canceled", "succeeded"),
    )


def _outcome(intent: Any) -> ChargeOutcome:  # noqa: ANN401 - the SDK's object
    name = str(intent.id)
    match intent.status:
        case "succeeded" | "requires_capture":
            return _approved(intent)
        case "canceled":
            return Canceled(processor_object=name)
        case "requires_action":
            action = getattr(intent, "next_action", None)
            target = getattr(action, "redirect_to_url", None)
            url = str(getattr(target, "url", "") or "")
            return ActionRequired(processor_object=name, redirect_url=url)
        case "requires_payment_method":
            last = getattr(intent, "last_payment_error", None)
            decline = classify(
                code=getattr(last, "code", None),
                decline_code=getattr(last, "decline_code", None),
                advice_code=getattr(last, "advice_code", None),
            )
            return Declined(
                decline=decline, processor_object=name, still_confirmable=True
            )
        case _:
            return Pending(processor_object=name)


def _approved(intent: Any) -> Approved:  # noqa: ANN401 - the SDK's object
    charge = getattr(intent, "latest_charge", None)
    details = getattr(getattr(charge, "payment_method_details", None), "card", None)
    ends = getattr(details, "capture_before", None)
    captured = int(intent.amount_received or 0)
    return Approved(
        processor_object=str(intent.id),
        authorized=from_stripe(int(intent.amount), intent.currency),
        captured=from_stripe(captured, intent.currency),
        capture_before=None if ends is None else datetime.fromtimestamp(ends, UTC),
        network_transaction_id=str(
            getattr(details, "network_transaction_id", "") or ""
        ),
    )


def _our_name(intent: Any) -> str:  # noqa: ANN401 - the SDK's object
    """Returns the payment's name that we put into the metadata, if it is ours."""
    metadata = intent.metadata
    if not metadata or "bailee_payment" not in metadata:
        return ""
    return str(metadata["bailee_payment"])


def _found(intent: Any) -> FoundPayment:  # noqa: ANN401 - the SDK's object
    charge = getattr(intent, "latest_charge", None)
    refunded = int(getattr(charge, "amount_refunded", 0) or 0)
    return FoundPayment(
        processor_object=str(intent.id),
        outcome=_outcome(intent),
        refunded=from_stripe(refunded, intent.currency),
    )


def _moved(made: Any, states: dict[str, MoveState]) -> MoveOutcome:  # noqa: ANN401 - the SDK's object
    state = states.get(str(made.status), MoveState.PENDING)
    reason = "REFUND_FAILED" if state is MoveState.FAILED else ""
    return MoveOutcome(
        state=state, processor_object=str(made.id), failure_reason=reason
    )
