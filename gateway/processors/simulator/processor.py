"""The Processor port over the simulator, embedded or in a process of its own.

Invariants:
  * Only an answer that was understood whole counts; any other is
    ProcessorOutcomeUnknown, for a refusal too: it might not be the processor's.
  * A decline code that is not in the table is OTHER and never soft.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, TypeVar

from gateway.cards.details import BillingDetails
from gateway.cards.security_code import SecurityCode
from gateway.errors import (
    AmountNotRepresentable,
    GatewayError,
    InvariantBroken,
    ProcessorUnavailable,
)
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
    ProcessorCall,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
)
from gateway.payments.reconcile import ListedPayment
from gateway.processors.simulator.declines import decline_for
from gateway.processors.simulator.embedded_transport import EmbeddedTransport
from gateway.processors.simulator.ledger import IDEMPOTENCY_WINDOW
from gateway.processors.simulator.wire import (
    AMOUNT_MAX,
    THREE_DECIMALS,
    Answer,
    NoAnswer,
    NotSent,
    Operation,
    Request,
    Transport,
)
from gateway.vault.card_access import OpenedCard
from gateway.vault.ports import CardField
from gateway.words.identifiers import PaymentName
from gateway.words.money import Money
from gateway.words.purposes import MERCHANT_INITIATED, PAYMENT_PURPOSES, Purpose

__all__ = ["EmbeddedTransport", "SimulatorProcessor"]

_T = TypeVar("_T")
_OK: Final = 200
_LISTING: Final = timedelta(minutes=10)  # a year of a large account
_DECLINED: Final = 402
_NOT_FOUND: Final = 404
_RATE_LIMITED: Final = 429
# What a refusal's code means, in the words that the Stripe adapter uses too; any other
# is REQUEST_REFUSED.
_REFUSALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "idempotency_mismatch": "IDEMPOTENCY_MISMATCH",
        "payment_unexpected_state": "STATE_CONFLICT",
        "payment_not_captured": "NOT_REFUNDABLE",
        "amount_too_large": "AMOUNT_INVALID",
        "amount_exceeds_refundable": "AMOUNT_INVALID",
        "amount_invalid": "AMOUNT_INVALID",
        "resource_missing": "NOT_FOUND_AT_PROCESSOR",
    }
)


class SimulatorProcessor:
    """See Processor."""

    name: Final = "simulator"
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
        idempotency_window=IDEMPOTENCY_WINDOW,
        find_by_creation_time=True,
    )

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def check_representable(self, amount: Money) -> None:
        """See Processor.check_representable: Stripe's rules for most currencies."""
        units = amount.minor_units
        if not 1 <= units <= AMOUNT_MAX:
            raise AmountNotRepresentable
        if amount.currency in THREE_DECIMALS and units % 10:
            raise AmountNotRepresentable

    async def create_customer(self, call: ProcessorCall) -> str:
        """See Processor.create_customer."""
        answer = await self._post(call, Operation.CUSTOMER, "", {})
        return _understand(lambda: _text(answer.body, "id"))

    async def store_card(
        self,
        call: ProcessorCall,
        customer: str,
        card: OpenedCard,
        security_code: SecurityCode | None,
    ) -> CredentialReference | Declined:
        """See Processor.store_card."""
        if card.number is None or card.expiry is None:
            raise InvariantBroken
        details: dict[str, object] = {
            "number": card.number.reveal(),
            "expiry_month": card.expiry.month,
            "expiry_year": card.expiry.year,
        }
        if security_code is not None:
            details["security_code"] = security_code.reveal()
        body: dict[str, object] = {"card": details, "billing": _billing(card.billing)}
        answer = await self._post(call, Operation.PAYMENT_METHOD, "", body)
        if answer.status == _DECLINED:
            return _understand(lambda: _declined(answer.body["error"]))
        return _understand(
            lambda: CredentialReference(
                payment_method=_text(answer.body, "id"), customer=customer
            )
        )

    async def charge(self, call: ProcessorCall, order: ChargeOrder) -> ChargeOutcome:
        """See Processor.charge."""
        later = "off_session" if order.off_session_later else "on_session"
        body: dict[str, object] = {
            "amount": order.amount.minor_units,
            "currency": order.amount.currency,
            "payment_method": order.reference.payment_method,
            "customer": order.reference.customer,
            "capture": order.capture,
            "off_session": order.purpose in MERCHANT_INITIATED,
            "store": later if order.stores_credential else "",
            "return_url": order.return_url,
            "statement_descriptor_suffix": order.statement_descriptor_suffix,
        }
        answer = await self._post(call, Operation.PAYMENT, "", body)
        if answer.status == _DECLINED:
            return _understand(lambda: _declined(answer.body["error"]))
        return _understand(lambda: _outcome(answer.body))

    async def confirm(
        self, call: ProcessorCall, processor_object: str, return_url: str
    ) -> ChargeOutcome:
        """See Processor.confirm."""
        body: dict[str, object] = {"return_url": return_url}
        answer = await self._post(call, Operation.CONFIRM, processor_object, body)
        if answer.status == _DECLINED:
            return _understand(lambda: _declined(answer.body["error"]))
        return _understand(lambda: _outcome(answer.body))

    async def capture(
        self, call: ProcessorCall, processor_object: str, amount: Money
    ) -> MoveOutcome:
        """See Processor.capture."""
        body: dict[str, object] = {"amount": amount.minor_units}
        return await self._move(call, Operation.CAPTURE, processor_object, body)

    async def cancel(self, call: ProcessorCall, processor_object: str) -> MoveOutcome:
        """See Processor.cancel."""
        return await self._move(call, Operation.CANCEL, processor_object, {})

    async def refund(
        self, call: ProcessorCall, processor_object: str, amount: Money
    ) -> MoveOutcome:
        """See Processor.refund."""
        body: dict[str, object] = {
            "payment": processor_object,
            "amount": amount.minor_units,
        }
        return await self._move(call, Operation.REFUND, "", body)

    async def inquire(
        self, call: ProcessorCall, processor_object: str
    ) -> FoundPayment | None:
        """See Processor.inquire."""
        request = Request(operation=Operation.READ, target=processor_object)
        answer = await self._send(call, request)
        if answer.status == _NOT_FOUND and _error_code(answer) == "resource_missing":
            return None
        _check(answer)
        return _understand(lambda: _found(answer.body))

    async def find(
        self,
        call: ProcessorCall,
        payment: PaymentName,
        customer: str,
        created_from: datetime,
    ) -> Sequence[FoundPayment]:
        """See Processor.find. Without a customer all payments are looked through."""
        query = {"created_from": str(int(created_from.timestamp()))}
        if customer:
            query["customer"] = customer
        request = Request(operation=Operation.SEARCH, body=query)
        answer = await self._send(call, request)
        _check(answer)
        return _understand(
            lambda: [
                _found(shown)
                for shown in answer.body["data"]
                if shown["metadata"].get("bailee_payment") == payment
            ]
        )

    async def list_payments(
        self, account: ProcessorAccount, start: datetime, end: datetime
    ) -> Sequence[ListedPayment]:
        """See gateway.payments.reconcile.PaymentLister."""
        query = {"created_from": str(int(start.timestamp()))}
        request = Request(operation=Operation.SEARCH, body=query)
        call = ProcessorCall(
            account=account, idempotency_key="list", deadline=_LISTING, metadata={}
        )
        answer = await self._send(call, request)
        _check(answer)
        found = _understand(lambda: [_listed(shown) for shown in answer.body["data"]])
        return [item for item in found if item.created_at < end]

    async def close(self) -> None:
        """See Processor.close."""
        await self._transport.close()

    async def _move(
        self,
        call: ProcessorCall,
        operation: Operation,
        target: str,
        body: dict[str, object],
    ) -> MoveOutcome:
        answer = await self._post(call, operation, target, body)
        return _understand(
            lambda: MoveOutcome(
                state=MoveState.SUCCEEDED, processor_object=_text(answer.body, "id")
            )
        )

    async def _post(
        self,
        call: ProcessorCall,
        operation: Operation,
        target: str,
        body: dict[str, object],
    ) -> Answer:
        body["metadata"] = dict(call.metadata)
        request = Request(
            operation=operation, target=target, key=call.idempotency_key, body=body
        )
        answer = await self._send(call, request)
        if answer.status != _DECLINED:
            _check(answer)
        return answer

    async def _send(self, call: ProcessorCall, request: Request) -> Answer:
        try:
            return await self._transport.send(request, call.deadline)
        except NotSent as error:
            raise ProcessorUnavailable from error
        except NoAnswer as error:
            raise ProcessorOutcomeUnknown from error


def _check(answer: Answer) -> None:
    """Raises for everything that was not done."""
    status = answer.status
    if status == _OK:
        return
    if status == _RATE_LIMITED:
        raise ProcessorUnavailable
    code = _error_code(answer)
    # 409: a request with the same key is being executed; what comes of it is not known.
    # 5xx, 3xx and bodies that name no error: the same.
    if code and status in (400, _NOT_FOUND):
        raise ProcessorRefused(_REFUSALS.get(code, "REQUEST_REFUSED"))
    raise ProcessorOutcomeUnknown


def _error_code(answer: Answer) -> str:
    error = answer.body.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else ""


def _understand(read: Callable[[], _T]) -> _T:
    """Reads an answer; one that lacks something is no answer.

    Raises:
        ProcessorOutcomeUnknown: Something is missing or of the wrong kind.
    """
    try:
        return read()
    except (KeyError, TypeError, ValueError, AttributeError, GatewayError) as error:
        raise ProcessorOutcomeUnknown from error


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body[name]
    if not isinstance(value, str) or not value:
        raise TypeError(name)
    return value


def _billing(billing: BillingDetails | None) -> dict[str, str]:
    """Returns name and address, and no more: what was declared in ``fields``."""
    if billing is None:
        return {}
    names = ("name", "line1", "line2", "city", "region", "postal_code", "country")
    return {name: text for name in names if (text := getattr(billing, name))}


def _found(shown: Mapping[str, Any]) -> FoundPayment:
    outcome = _outcome(shown)
    moved = isinstance(outcome, Approved)
    return FoundPayment(
        processor_object=_text(shown, "id"),
        outcome=outcome,
        refunded=Money(shown["refunded"], shown["currency"]) if moved else None,
    )


def _listed(shown: Mapping[str, Any]) -> ListedPayment:
    return ListedPayment(
        processor_object=_text(shown, "id"),
        payment=shown["metadata"].get("bailee_payment", ""),
        amount=Money(shown["amount"], shown["currency"]),
        captured=shown["captured"],
        refunded=shown["refunded"],
        created_at=datetime.fromtimestamp(shown["created"], UTC),
    )


def _declined(error: Mapping[str, Any]) -> Declined:
    """Returns the decline of a 402; its payment stays open until it is canceled."""
    payment = error.get("payment")
    return Declined(
        decline=decline_for(_text(error, "code")),
        processor_object="" if payment is None else _text(payment, "id"),
        still_confirmable=payment is not None,
    )


def _outcome(shown: Mapping[str, Any]) -> ChargeOutcome:
    payment, status = _text(shown, "id"), shown["status"]
    if status == "requires_payment_method":
        return _declined({"code": shown["decline_code"], "payment": shown})
    if status == "requires_action":
        return ActionRequired(
            processor_object=payment, redirect_url=_text(shown, "redirect_url")
        )
    if status == "canceled":
        return Canceled(processor_object=payment)
    if status not in ("succeeded", "requires_capture"):
        raise ValueError(status)
    currency, ends = shown["currency"], shown["capture_before"]
    return Approved(
        processor_object=payment,
        authorized=Money(shown["amount"], currency),
        captured=Money(shown["captured"], currency),
        capture_before=datetime.fromtimestamp(ends, UTC) if ends else None,
        network_transaction_id=shown["network_transaction_id"],
    )
