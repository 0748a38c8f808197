"""Asking the processor step by step: customer, payment method, charge.

Invariants:
  * Each answer is committed before the next call; no transaction is open during one.
  * Each call has its own idempotency key, made of the payment's name.
  * The security code goes into ``store_card`` only (I4).
  * Before the charge is sent nothing can have moved: whatever fails then is FAILED.
"""

import json
import logging
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.audit.ports import Appended
from gateway.cards.security_code import SecurityCode
from gateway.errors import GatewayError, ProcessorUnavailable
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.asking import Asking
from gateway.payments.boundaries import Boundary, Reached
from gateway.payments.payment import Payment, Step
from gateway.payments.ports import PaymentUnit
from gateway.payments.processor import (
    ChargeOrder,
    CredentialReference,
    Declined,
    Processor,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
)
from gateway.payments.record_outcome import (
    ChargeFacts,
    Failed,
    RecordOutcome,
    Result,
    Unknown,
)
from gateway.unit_of_work import Storage
from gateway.vault.card_access import CardAccess, Intent
from gateway.words.clock import Clock
from gateway.words.purposes import MERCHANT_INITIATED

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A committed payment and everything that charging it needs."""

    payment: Payment
    intent: Intent
    account: ProcessorAccount
    processor: Processor
    security_code: SecurityCode | None = field(default=None, repr=False)


class _NothingMoved(Exception):
    """The charge was not sent."""

    def __init__(self, result: Failed | Declined) -> None:
        super().__init__()
        self.result = result


class ProcessorSteps:
    """Runs a committed payment to its outcome."""

    def __init__(
        self,
        *,
        storage: Storage[PaymentUnit],
        access: CardAccess,
        outcomes: RecordOutcome,
        asking: Asking,
        clock: Clock,
        reached: Reached,
    ) -> None:
        self._storage = storage
        self._access = access
        self._outcomes = outcomes
        self._asking = asking
        self._clock = clock
        self._reached = reached

    async def run(self, charge: Charge) -> tuple[Payment, Appended]:
        """Returns the payment with its outcome, and the outcome's entry.

        Raises:
            StorageUnavailable: A step did not commit; the resolver goes on from there.
        """
        card_opened = charge.payment.step is not Step.CHARGE
        try:
            reference, charge = await self._reference(charge)
            self._reached(Boundary.CHARGING)
            result = await self.send_charge(charge, reference)
            self._reached(Boundary.CHARGED)
        except _NothingMoved as stopped:
            result = stopped.result
        return await self.record(charge, result, card_opened=card_opened)

    async def record(
        self, charge: Charge, result: Result, *, card_opened: bool
    ) -> tuple[Payment, Appended]:
        """Commits the outcome."""
        facts = ChargeFacts(
            merchant=charge.intent.use.merchant,
            payment=charge.payment,
            account=charge.account,
            card_opened=card_opened,
            caller=charge.payment.caller,
        )
        done = await self._outcomes.record(facts, result, self._clock.now())
        self._reached(Boundary.OUTCOME_COMMITTED)
        return done

    async def send_charge(
        self, charge: Charge, reference: CredentialReference
    ) -> Result:
        """Sends the charge; a body rebuilt from the same payment is the same."""
        payment, processor = charge.payment, charge.processor
        order = ChargeOrder(
            payment=payment.name,
            amount=payment.amount,
            purpose=payment.purpose,
            reference=reference,
            capture=payment.capture_automatically,
            # Set by the step that stored the card: a replay builds the same body.
            stores_credential=bool(payment.customer),
            off_session_later=bool(
                charge.intent.card.mandate.purposes & MERCHANT_INITIATED
            ),
            statement_descriptor_suffix=payment.statement_descriptor_suffix,
            return_url=payment.return_url,
        )
        call = self._asking.call(charge.account, payment, f"{payment.name}-charge")
        try:
            outcome = await self._asking.ask(lambda: processor.charge(call, order))
        except ProcessorOutcomeUnknown:
            return Unknown()
        except ProcessorUnavailable:
            return Failed("PROCESSOR_UNAVAILABLE")
        except ProcessorRefused as refused:
            return Failed(refused.failure_reason)
        if isinstance(outcome, Declined) and outcome.still_confirmable:
            return await self.close_declined(charge, outcome)
        return outcome

    async def close_declined(self, charge: Charge, outcome: Declined) -> Result:
        """Makes a declined object unconfirmable before its charge_once_key is freed.

        Until the processor confirmed that, the payment stays UNKNOWN and holds its key.
        """
        payment, processor = charge.payment, charge.processor
        call = self._asking.call(charge.account, payment, f"{payment.name}-release")
        try:
            await self._asking.ask(
                lambda: processor.cancel(call, outcome.processor_object)
            )
        except (ProcessorOutcomeUnknown, ProcessorUnavailable, ProcessorRefused):
            return Unknown()
        return outcome

    async def _reference(self, charge: Charge) -> tuple[CredentialReference, Charge]:
        """Opens the reference, or gives the card to the processor and keeps one."""
        try:
            if charge.payment.step is Step.CHARGE:
                kept = await self._access.open_reference(
                    charge.intent, charge.processor
                )
                self._reached(Boundary.OPENED)
                if kept is not None:
                    return read_reference(kept), charge
            return await self._store_card(charge)
        except GatewayError as error:
            if isinstance(error, ProcessorUnavailable):
                raise _NothingMoved(Failed("PROCESSOR_UNAVAILABLE")) from error
            _log.error(
                "the charge was not sent",
                extra={"payment": charge.payment.name, "reason": error.reason},
            )
            raise _NothingMoved(Failed(error.reason.value)) from error
        except ProcessorOutcomeUnknown as error:
            raise _NothingMoved(Failed("PROCESSOR_UNAVAILABLE")) from error
        except ProcessorRefused as refused:
            raise _NothingMoved(Failed(refused.failure_reason)) from refused

    async def _store_card(self, charge: Charge) -> tuple[CredentialReference, Charge]:
        payment, processor = charge.payment, charge.processor
        opened = await self._access.open_card(charge.intent, processor)
        self._reached(Boundary.OPENED)
        customer, charge = await self._customer(charge)
        call = self._asking.call(charge.account, payment, f"{payment.name}-method")
        answer = await self._asking.ask(
            lambda: processor.store_card(call, customer, opened, charge.security_code)
        )
        self._reached(Boundary.CARD_STORED)
        if isinstance(answer, Declined):
            raise _NothingMoved(answer)
        sealed = await self._access.seal_reference(
            charge.intent, charge.account.account_id, show_reference(answer)
        )

        def keep(unit: PaymentUnit) -> Payment:
            unit.cards.put_reference(payment.card, sealed)
            changed = replace(charge.payment, step=Step.CHARGE)
            unit.payments.save(changed)
            return changed

        changed = await self._storage.commit(charge.intent.use.merchant, keep)
        self._reached(Boundary.REFERENCE_COMMITTED)
        return answer, replace(charge, payment=changed)

    async def _customer(self, charge: Charge) -> tuple[str, Charge]:
        """Returns the processor's customer, making it at the first charge."""
        payment, processor = charge.payment, charge.processor
        if not processor.capabilities.customers:
            return "", charge
        merchant = charge.intent.use.merchant
        account_id = charge.account.account_id
        whose = charge.intent.card.customer_reference or payment.card
        customer = await self._storage.read(
            merchant, lambda unit: unit.payments.find_customer(account_id, whose)
        )
        if customer is None:
            key = f"{payment.name}-customer"
            call = self._asking.call(charge.account, payment, key)
            customer = await self._asking.ask(lambda: processor.create_customer(call))
            self._reached(Boundary.CUSTOMER_MADE)
        known: str = customer

        def keep(unit: PaymentUnit) -> Payment:
            unit.payments.put_customer(account_id, whose, known)
            changed = replace(payment, step=Step.PAYMENT_METHOD, customer=known)
            unit.payments.save(changed)
            return changed

        changed = await self._storage.commit(merchant, keep)
        self._reached(Boundary.CUSTOMER_COMMITTED)
        return known, replace(charge, payment=changed)


def show_reference(reference: CredentialReference) -> bytes:
    """Returns the bytes that are sealed."""
    return json.dumps([reference.payment_method, reference.customer]).encode()


def read_reference(content: bytes) -> CredentialReference:
    """Reads what ``show_reference`` made."""
    payment_method, customer = json.loads(content)
    return CredentialReference(payment_method=payment_method, customer=customer)
