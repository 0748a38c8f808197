"""The Processor port over the simulator, embedded or in a process of its own."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from gateway.cards.security_code import SecurityCode
from gateway.errors import InvariantBroken, ProcessorUnavailable
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
from gateway.processors.simulator.declines import decline_of
from gateway.processors.simulator.ledger import (
    IDEMPOTENCY_WINDOW,
    Answer,
    Ledger,
    Lost,
)
from gateway.vault.card_access import OpenedCard
from gateway.vault.ports import CardField
from gateway.words.identifiers import PaymentName
from gateway.words.money import Money
from gateway.words.purposes import PAYMENT_PURPOSES, Purpose

_OK: Final = 200
_DECLINED: Final = 402
_RATE_LIMITED: Final = 429
_SERVER_ERROR: Final = 500


class Transport(Protocol):
    """How a request reaches the simulator."""

    async def send(
        self, method: str, path: str, key: str, body: Mapping[str, Any]
    ) -> Answer:
        """Returns the answer.

        Raises:
            ProcessorUnavailable: Nothing was sent.
            ProcessorOutcomeUnknown: Sent, and no answer that can be read.
        """

    async def close(self) -> None:
        """Lets connections go."""


class EmbeddedTransport:
    """Calls a ledger in this process."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def send(
        self, method: str, path: str, key: str, body: Mapping[str, Any]
    ) -> Answer:
        """See Transport.send."""
        try:
            return self._ledger.handle(method, path, key, body)
        except Lost as lost:
            raise ProcessorOutcomeUnknown from lost

    async def close(self) -> None:
        """See Transport.close."""


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
        """See Processor.check_representable; the simulator takes ISO 4217 as it is."""

    async def create_customer(self, call: ProcessorCall) -> str:
        """See Processor.create_customer."""
        answer = await self._post(call, "/v1/customers", {"metadata": call.metadata})
        customer: str = answer.body["id"]
        return customer

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
        body: dict[str, Any] = {
            "customer": customer,
            "number": card.number.reveal(),
            "expiry_month": card.expiry.month,
            "expiry_year": card.expiry.year,
        }
        if security_code is not None:
            body["security_code"] = security_code.reveal()
        answer = await self._post(call, "/v1/payment_methods", body)
        if answer.status == _DECLINED:
            return Declined(decline=decline_of(answer.body["error"]))
        return CredentialReference(payment_method=answer.body["id"], customer=customer)

    async def charge(self, call: ProcessorCall, order: ChargeOrder) -> ChargeOutcome:
        """See Processor.charge."""
        body = {
            "amount": order.amount.minor_units,
            "currency": order.amount.currency,
            "customer": order.reference.customer,
            "payment_method": order.reference.payment_method,
            "capture": order.capture,
            "purpose": order.purpose.value,
            "return_url": order.return_url,
            "metadata": dict(call.metadata),
        }
        answer = await self._post(call, "/v1/payments", body)
        return _outcome(answer.body)

    async def capture(
        self, call: ProcessorCall, processor_object: str, amount: Money
    ) -> MoveOutcome:
        """See Processor.capture."""
        body = {"amount": amount.minor_units}
        path = f"/v1/payments/{processor_object}/capture"
        answer = await self._post(call, path, body)
        return _moved(answer)

    async def cancel(self, call: ProcessorCall, processor_object: str) -> MoveOutcome:
        """See Processor.cancel."""
        path = f"/v1/payments/{processor_object}/cancel"
        return _moved(await self._post(call, path, {}))

    async def refund(
        self, call: ProcessorCall, processor_object: str, amount: Money
    ) -> MoveOutcome:
        """See Processor.refund."""
        body = {"payment": processor_object, "amount": amount.minor_units}
        return _moved(await self._post(call, "/v1/refunds", body))

    async def inquire(
        self, call: ProcessorCall, processor_object: str
    ) -> FoundPayment | None:
        """See Processor.inquire."""
        path = f"/v1/payments/{processor_object}"
        answer = await self._transport.send("GET", path, call.idempotency_key, {})
        if answer.status != _OK:
            return None
        return _found(answer.body)

    async def find(
        self,
        call: ProcessorCall,
        payment: PaymentName,
        customer: str,
        created_from: datetime,
    ) -> Sequence[FoundPayment]:
        """See Processor.find."""
        query = {
            "payment": payment,
            "customer": customer,
            "created_from": created_from.isoformat(),
        }
        answer = await self._transport.send(
            "GET", "/v1/payments", call.idempotency_key, query
        )
        _check(answer)
        return [_found(item) for item in answer.body["data"]]

    async def close(self) -> None:
        """See Processor.close."""
        await self._transport.close()

    async def _post(
        self, call: ProcessorCall, path: str, body: Mapping[str, Any]
    ) -> Answer:
        answer = await self._transport.send("POST", path, call.idempotency_key, body)
        _check(answer)
        return answer


def _check(answer: Answer) -> None:
    """Raises for everything that is neither done nor declined."""
    if answer.status in (_OK, _DECLINED):
        return
    if answer.status == _RATE_LIMITED:
        raise ProcessorUnavailable
    if answer.status >= _SERVER_ERROR:
        raise ProcessorOutcomeUnknown
    code = str(answer.body.get("error", ""))
    if code == "idempotency_mismatch":
        raise ProcessorRefused("IDEMPOTENCY_MISMATCH")
    raise ProcessorRefused("REQUEST_REFUSED")


def _moved(answer: Answer) -> MoveOutcome:
    return MoveOutcome(
        state=MoveState.SUCCEEDED, processor_object=str(answer.body["id"])
    )


def _found(body: Mapping[str, Any]) -> FoundPayment:
    return FoundPayment(
        processor_object=body["id"],
        outcome=_outcome(body),
        refunded=Money(body["refunded"], body["currency"]),
    )


def _outcome(body: Mapping[str, Any]) -> ChargeOutcome:
    state = body["state"]
    if state == "declined":
        return Declined(
            decline=decline_of(body["decline"]),
            processor_object=body["id"],
            still_confirmable=body["confirmable"],
        )
    if state == "requires_action":
        return ActionRequired(
            processor_object=body["id"],
            redirect_url=f"https://simulator.invalid/act/{body['id']}",
        )
    if state == "canceled":
        return Canceled(processor_object=body["id"])
    ends = body["capture_before"]
    return Approved(
        processor_object=body["id"],
        authorized=Money(body["authorized"], body["currency"]),
        captured=Money(body["captured"], body["currency"]),
        capture_before=datetime.fromisoformat(ends) if ends else None,
        network_transaction_id=f"simulated-{body['id'][-12:]}",
    )
