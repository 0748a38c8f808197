"""Asking the processor step by step: customer, payment method, charge.

Invariants:
  * Each answer is committed before the next call; no transaction is open during one.
  * Each call has its own idempotency key, made of the payment's name.
  * A step commits only under its worker's own lease (leases.py), so nobody sends a
    charge that the resolver has given up.
  * The security code goes into ``store_card`` only (I4).
  * A card that was erased meanwhile is not handed on, and gets no reference (I10).
  * Before the charge is sent nothing can have moved: whatever fails then is FAILED.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from gateway.audit.ports import Appended
from gateway.cards.security_code import SecurityCode
from gateway.errors import (
    CardTokenNotFound,
    GatewayError,
    InvariantBroken,
    ProcessorUnavailable,
)
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.asking import Asking
from gateway.payments.boundaries import Boundary, Reached
from gateway.payments.charge_results import Failed, Result, Unknown
from gateway.payments.leases import new_lease
from gateway.payments.payment import Payment, PaymentState, Step
from gateway.payments.ports import PaymentUnit
from gateway.payments.processor import (
    IDEMPOTENCY_MISMATCH,
    ChargeOrder,
    CredentialReference,
    Declined,
    MoveState,
    Processor,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
)
from gateway.payments.record_outcome import ChargeFacts, RecordOutcome
from gateway.unit_of_work import Storage
from gateway.vault.card_access import CardAccess, Intent
from gateway.vault.ports import StoredCard
from gateway.words.clock import Clock
from gateway.words.lifecycles import CardState
from gateway.words.purposes import MERCHANT_INITIATED

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A committed payment and everything that charging it needs.

    ``lease`` is how long each step may hold the payment.
    """

    payment: Payment
    intent: Intent
    account: ProcessorAccount
    processor: Processor
    lease: timedelta
    security_code: SecurityCode | None = field(default=None, repr=False)


class TakenOver(Exception):
    """The lease ended and another worker has the payment: this one stops."""


class _NothingMoved(Exception):
    """The charge was not sent."""

    def __init__(self, result: Failed | Declined) -> None:
        super().__init__()
        self.result = result


@dataclass(slots=True)
class _Run:
    """A charge on its way: as last committed, and what was opened for it."""

    charge: Charge
    card_opened: bool = False
    used: bool = False


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
            TakenOver: Another worker has the payment now.
            StorageUnavailable, AuditUnavailable: A step did not commit; the resolver
                goes on from there.
        """
        run = _Run(charge)
        try:
            reference = await self._reference(run)
            await self._hold_for_charge(run)
            self._reached(Boundary.CHARGING)
            result = await self.send_charge(run.charge, reference)
            self._reached(Boundary.CHARGED)
        except _NothingMoved as stopped:
            result = stopped.result
        facts = ChargeFacts(
            merchant=charge.intent.use.merchant,
            payment=run.charge.payment,
            account=charge.account,
            card_opened=run.card_opened,
            used=run.used,
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
            if refused.failure_reason == IDEMPOTENCY_MISMATCH:
                return Unknown()
            return Failed(refused.failure_reason)
        if isinstance(outcome, Declined) and outcome.still_confirmable:
            return await self.close_declined(
                charge.account, processor, payment, outcome
            )
        return outcome

    async def close_declined(
        self,
        account: ProcessorAccount,
        processor: Processor,
        payment: Payment,
        outcome: Declined,
    ) -> Result:
        """Makes a declined object unconfirmable before its charge_once_key is freed.

        Until the processor confirmed that, the payment stays UNKNOWN and holds its key.
        """
        self._reached(Boundary.DECLINED)
        call = self._asking.call(account, payment, f"{payment.name}-release")
        still_open = Unknown(outcome.processor_object)
        try:
            released = await self._asking.ask(
                lambda: processor.cancel(call, outcome.processor_object)
            )
        except (ProcessorOutcomeUnknown, ProcessorUnavailable, ProcessorRefused):
            return still_open
        self._reached(Boundary.RELEASED)
        return outcome if released.state is MoveState.SUCCEEDED else still_open

    async def _reference(self, run: _Run) -> CredentialReference:
        """Opens the reference, or gives the card to the processor and keeps one."""
        try:
            if run.charge.payment.step is Step.CHARGE:
                return await self._open_reference(run)
            return await self._store_card(run)
        except ProcessorOutcomeUnknown as error:
            # No money step was sent: it cannot have moved any.
            raise _NothingMoved(Failed("PROCESSOR_UNAVAILABLE")) from error
        except ProcessorRefused as refused:
            raise _NothingMoved(Failed(refused.failure_reason)) from refused
        except GatewayError as error:
            if not isinstance(error, ProcessorUnavailable):
                fields = {"payment": run.charge.payment.name, "reason": error.reason}
                _log.error("the charge was not sent", extra=fields)
            raise _NothingMoved(Failed(error.reason.value)) from error

    async def _open_reference(self, run: _Run) -> CredentialReference:
        charge = run.charge
        kept = await self._access.open_reference(charge.intent, charge.processor)
        if kept is None:
            raise InvariantBroken
        run.used = True
        self._reached(Boundary.OPENED)
        return read_reference(kept)

    async def _store_card(self, run: _Run) -> CredentialReference:
        charge = run.charge
        payment, processor = charge.payment, charge.processor
        opened = await self._access.open_card(charge.intent, processor)
        run.used = run.card_opened = True
        self._reached(Boundary.OPENED)
        customer = await self._customer(run)
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

        def keep(unit: PaymentUnit, stored: Payment) -> Payment:
            unit.cards.put_reference(payment.card, sealed)
            return replace(stored, step=Step.CHARGE)

        await self._commit_step(run, keep)
        self._reached(Boundary.REFERENCE_COMMITTED)
        return answer

    async def _customer(self, run: _Run) -> str:
        """Returns the processor's customer, making it at the first charge."""
        charge = run.charge
        payment, processor = charge.payment, charge.processor
        if not processor.capabilities.customers:
            return ""
        account_id = charge.account.account_id
        whose = customer_key(charge.intent.card)
        known = await self._storage.read(
            charge.intent.use.merchant,
            lambda unit: unit.payments.find_customer(account_id, whose),
        )
        if known is None:
            key = f"{payment.name}-customer"
            call = self._asking.call(charge.account, payment, key)
            known = await self._asking.ask(lambda: processor.create_customer(call))
            self._reached(Boundary.CUSTOMER_MADE)
        made: str = known

        def keep(unit: PaymentUnit, stored: Payment) -> Payment:
            _refuse_erased(unit, stored)
            # The first one stays: the resolver searches by it.
            customer = unit.payments.find_customer(account_id, whose)
            if customer is None:
                unit.payments.put_customer(account_id, whose, made)
                customer = made
            return replace(stored, step=Step.PAYMENT_METHOD, customer=customer)

        await self._commit_step(run, keep)
        self._reached(Boundary.CUSTOMER_COMMITTED)
        return run.charge.payment.customer

    async def _hold_for_charge(self, run: _Run) -> None:
        """Makes sure that the lease covers the charge."""
        lease, now = run.charge.payment.lease, self._clock.now()
        if lease is None or lease.until - now < self._asking.deadline:
            await self._commit_step(run, lambda _unit, stored: stored)

    async def _commit_step(
        self, run: _Run, change: Callable[[PaymentUnit, Payment], Payment]
    ) -> None:
        """Commits an answer under the worker's own lease, and renews the lease.

        Raises:
            TakenOver: The row has another lease, or the payment is decided.
        """
        charge = run.charge
        mine = charge.payment.lease
        if mine is None:
            raise InvariantBroken
        renewed = new_lease(mine.instance, self._clock.now(), charge.lease)

        def commit(unit: PaymentUnit) -> Payment | None:
            stored = unit.payments.lock(charge.payment.name)
            if stored is None:
                raise InvariantBroken
            if stored.state is not PaymentState.SUBMITTED or stored.lease != mine:
                return None
            changed = replace(change(unit, stored), lease=renewed)
            unit.payments.save(changed)
            return changed

        changed = await self._storage.commit(charge.intent.use.merchant, commit)
        if changed is None:
            raise TakenOver
        run.charge = replace(charge, payment=changed)


def _refuse_erased(unit: PaymentUnit, payment: Payment) -> None:
    """Raises if the card was erased since it was opened: it goes no further (I10).

    Raises:
        CardTokenNotFound: It was.
    """
    card = unit.cards.lock(payment.card)
    if card is None or card.state is CardState.ERASED:
        raise CardTokenNotFound


def customer_key(card: StoredCard) -> str:
    """Returns the name that the processor's customer is kept under."""
    return card.customer_reference or card.token


def show_reference(reference: CredentialReference) -> bytes:
    """Returns the bytes that are sealed."""
    return json.dumps([reference.payment_method, reference.customer]).encode()


def read_reference(content: bytes) -> CredentialReference:
    """Reads what ``show_reference`` made."""
    payment_method, customer = json.loads(content)
    return CredentialReference(payment_method=payment_method, customer=customer)
