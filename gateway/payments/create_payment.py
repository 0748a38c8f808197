"""CreatePayment: charge or authorize a card. Steps as in docs/architecture.md.

Invariants:
  * Claims, decision, intent entry and the SUBMITTED payment commit together (I2, I6).
  * After that commit every call ends in a payment, not in an error: nothing may lose
    the payment's name. What is not known yet is UNKNOWN.
  * The caller's cancellation does not stop a payment.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from gateway.audit.ports import Receipt
from gateway.cards.brands import brand_named
from gateway.cards.security_code import SecurityCode
from gateway.errors import (
    AlreadyCharged,
    GatewayError,
    InvariantBroken,
    PolicyDenied,
    RequestIdReused,
    RequestInProgress,
)
from gateway.idempotency.claims import Repeated, Reused, claim, look_up
from gateway.idempotency.ports import RequestRecord
from gateway.payments.accounts import Accounts
from gateway.payments.boundaries import Boundary, Reached
from gateway.payments.keep_changes import add_payment
from gateway.payments.kept_tasks import KeptTasks
from gateway.payments.leases import is_live, new_lease
from gateway.payments.payment import Payment, PaymentState, Step
from gateway.payments.payment_order import (
    CreatePaymentCommand,
    payment_of,
    use_of,
)
from gateway.payments.ports import PaymentUnit
from gateway.payments.processor_steps import Charge, ProcessorSteps, TakenOver
from gateway.payments.record_outcome import CREATE_RPC
from gateway.unit_of_work import Storage
from gateway.vault.card_access import CardAccess, Denial, Intent, Use
from gateway.vault.ports import StoredCard
from gateway.vault.seal_card import NewCard, PreparedCard, Refusal, SealCard
from gateway.vault.sealed_input import (
    EnvelopeContext,
    SealedInput,
)
from gateway.words.clock import Clock
from gateway.words.identifiers import CardTokenName, PaymentName
from gateway.words.purposes import Purpose

_log: Final = logging.getLogger(__name__)

__all__ = ["CreatePayment", "CreatePaymentCommand", "PaymentResult"]

_ASK_AGAIN: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentResult:
    """The payment as it is now; ``card`` is the token of a new card."""

    payment: Payment
    receipt: Receipt
    replayed: bool = False
    card: StoredCard | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Opened:
    """What the caller sealed, opened inside this call."""

    prepared: PreparedCard | None = None
    security_code: SecurityCode | None = None
    warnings: tuple[str, ...] = ()


class _DeniedNewCard(Exception):
    """A new card is not stored when its charge is denied: undoes the unit."""

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule = rule


class CreatePayment:
    """Moves money at most once for each request id and charge_once_key (I6)."""

    def __init__(  # noqa: PLR0913 - what it uses, by keyword
        self,
        *,
        storage: Storage[PaymentUnit],
        access: CardAccess,
        sealed_input: SealedInput,
        seal_card: SealCard,
        accounts: Accounts,
        steps: ProcessorSteps,
        clock: Clock,
        reached: Reached,
        instance: str,
        lease: timedelta,
    ) -> None:
        self._storage = storage
        self._access = access
        self._sealed_input = sealed_input
        self._seal_card = seal_card
        self._accounts = accounts
        self._steps = steps
        self._clock = clock
        self._reached = reached
        self._instance = instance
        self._lease = lease
        self._tasks: KeptTasks[PaymentResult] = KeptTasks()

    async def execute(self, command: CreatePaymentCommand) -> PaymentResult:
        """Returns the payment: charged, declined, failed, or with unknown outcome.

        Raises:
            RequestInvalid: A merchant-initiated payment without charge_once_key, or an
                amount of nothing.
            RequestIdReused: The request id came before with another request.
            RequestInProgress: The first call still runs; names the payment.
            AlreadyCharged: The charge_once_key is held; names the payment.
            PolicyDenied: The use is not allowed; the denial is in the log.
            CardTokenNotFound, ProcessorAccountNotFound, AmountNotRepresentable,
            SealedCardRejected, CardInvalid, CardExpired: Nothing is recorded.
            KeyUnavailable, StorageUnavailable, AuditUnavailable: Nothing was charged.
        """
        # Step 1 looks before anything is opened; the claim itself is in the unit.
        earlier = await self._storage.read(
            command.merchant,
            lambda unit: look_up(
                unit.requests, CREATE_RPC, command.request_id, command.digest
            ),
        )
        if isinstance(earlier, Repeated):
            return await self._repeat(command, earlier.record)
        if isinstance(earlier, Reused):
            return await self._refuse_reuse(command)
        command.check()
        return await self._tasks.run(self._create(command))

    async def drain(self) -> None:
        """Waits until no payment is between two steps."""
        await self._tasks.drain()

    async def _create(self, command: CreatePaymentCommand) -> PaymentResult:
        account, processor = await self._accounts.choose(
            command.merchant, command.account_id
        )
        processor.check_representable(command.amount)
        opened = await self._open(command)
        now = self._clock.now()
        use = use_of(command, _token_of(command, opened), account, now)
        payment = payment_of(command, use, new_lease(self._instance, now, self._lease))
        submitted = await self._submit(command, opened, use, payment)
        if isinstance(submitted, Repeated):
            return await self._repeat(command, submitted.record)
        if isinstance(submitted, Reused):
            raise RequestIdReused
        intent, payment = submitted
        self._reached(Boundary.SUBMITTED)
        charge = Charge(
            payment=payment,
            intent=intent,
            account=account,
            processor=processor,
            lease=self._lease,
            security_code=opened.security_code,
        )
        payment, receipt = await self._charge(command, charge)
        return PaymentResult(
            payment=payment,
            receipt=receipt,
            card=None if opened.prepared is None else opened.prepared.stored,
            warnings=opened.warnings,
        )

    async def _charge(
        self, command: CreatePaymentCommand, charge: Charge
    ) -> tuple[Payment, Receipt]:
        """Runs the steps. The intent is durable: from here on there is a payment."""
        try:
            payment, appended = await self._steps.run(charge)
        except TakenOver:
            return await self._read(command, charge.payment.name)
        except GatewayError as error:
            # It may have been charged, and the database does not say so. The resolver
            # finds out; until then the honest answer is UNKNOWN, and proof of the
            # intent.
            fields = {"payment": charge.payment.name, "reason": error.reason}
            _log.error("outcome not recorded", extra=fields)
            unknown = replace(charge.payment, state=PaymentState.UNKNOWN)
            return unknown, charge.intent.appended.receipt()
        return payment, appended.receipt()

    async def _submit(
        self,
        command: CreatePaymentCommand,
        opened: _Opened,
        use: Use,
        payment: Payment,
    ) -> tuple[Intent, Payment] | Repeated | Reused:
        """Claims, decides and records in one unit (steps 1 to 3)."""

        def submit(
            unit: PaymentUnit,
        ) -> tuple[Intent, Payment] | Denial | Refusal | Repeated | Reused:
            earlier = claim(
                unit.requests, CREATE_RPC, command.request_id, command.digest
            )
            if earlier is not None:
                return earlier
            key = command.charge_once_key
            holder = unit.payments.claim_charge_once(key, payment.name) if key else None
            if holder is not None:
                raise _already_charged(unit, holder)
            intent = self._decide(unit, opened, use)
            if not isinstance(intent, Intent):
                unit.payments.free_charge_once(key, payment.name)
                return intent
            _check_security_code(opened, intent)
            # With a security code the card opens, although there is a reference: the
            # code can only go into a new payment method (I4).
            by_reference = intent.reference is not None and not opened.security_code
            step = Step.CHARGE if by_reference else Step.CUSTOMER
            submitted = replace(payment, step=step)
            add_payment(unit, submitted)
            unit.requests.add(
                RequestRecord(
                    rpc=CREATE_RPC,
                    request_id=command.request_id,
                    digest=command.digest,
                    resource=payment.name,
                    entry_index=intent.appended.index,
                    created_at=use.at,
                )
            )
            return intent, submitted

        try:
            done = await self._storage.commit(command.merchant, submit)
        except _DeniedNewCard as denied:
            rule = denied.rule
            done = await self._storage.commit(
                command.merchant, lambda unit: self._access.deny(unit, use, rule)
            )
        if isinstance(done, Refusal):
            raise _denied(done.rule, done.purpose)
        if isinstance(done, Denial):
            raise _denied(done.rule, command.purpose)
        return done

    def _decide(
        self, unit: PaymentUnit, opened: _Opened, use: Use
    ) -> Intent | Denial | Refusal:
        """Asks the policy; a new card is stored first, so that the door finds it."""
        if opened.prepared is None:
            return self._access.intend(unit, use)
        refusal = opened.prepared.refuse(unit)
        if refusal is not None:
            return refusal
        opened.prepared.add(unit)
        intent = self._access.intend(unit, use)
        if isinstance(intent, Denial):
            raise _DeniedNewCard(intent.rule)
        return intent

    async def _open(self, command: CreatePaymentCommand) -> _Opened:
        """Opens what the caller sealed, and prepares a new card for storing."""
        now = self._clock.now()
        context = EnvelopeContext(
            merchant=command.merchant, rpc=CREATE_RPC, request_id=command.request_id
        )
        code = None
        if command.security_code is not None:
            code = self._sealed_input.open_security_code(
                command.security_code, context, now
            )
        if isinstance(command.card, str):
            return _Opened(security_code=code)
        received = self._sealed_input.open_card(command.card, context, now)
        prepared = await self._seal_card.prepare(
            NewCard(
                merchant=command.merchant,
                received=received,
                customer_reference=command.customer_reference,
                mandate=command.mandate,
                caller=command.caller,
                request_id=command.request_id,
                now=now,
            )
        )
        return _Opened(prepared, received.security_code or code, received.warnings)

    async def _refuse_reuse(self, command: CreatePaymentCommand) -> PaymentResult:
        """Counts the mismatch, commits the count, and refuses."""
        await self._storage.commit(
            command.merchant,
            lambda unit: claim(
                unit.requests, CREATE_RPC, command.request_id, command.digest
            ),
        )
        raise RequestIdReused

    async def _repeat(
        self, command: CreatePaymentCommand, record: RequestRecord
    ) -> PaymentResult:
        """Returns what the first call made, as it is now."""
        name = PaymentName(record.resource)
        payment, receipt = await self._read(command, name)
        running = is_live(payment.lease, self._clock.now())
        if payment.state is PaymentState.SUBMITTED and running:
            raise RequestInProgress(
                metadata={"payment": payment.name}, retry_delay=_ASK_AGAIN
            )
        card = None
        if not isinstance(command.card, str):
            card = await self._storage.read(
                command.merchant, lambda unit: unit.cards.find(payment.card)
            )
        return PaymentResult(payment=payment, receipt=receipt, replayed=True, card=card)

    async def _read(
        self, command: CreatePaymentCommand, name: PaymentName
    ) -> tuple[Payment, Receipt]:
        """Returns the payment and proof of its newest entry, from one snapshot."""

        def read(unit: PaymentUnit) -> tuple[Payment, Receipt]:
            payment = unit.payments.find(name)
            record = unit.requests.find(CREATE_RPC, command.request_id)
            if payment is None or record is None:
                raise InvariantBroken
            return payment, unit.log.receipt(record.entry_index)

        return await self._storage.read(command.merchant, read)


def _token_of(command: CreatePaymentCommand, opened: _Opened) -> CardTokenName:
    if isinstance(command.card, str):
        return command.card
    if opened.prepared is None:
        raise InvariantBroken
    return opened.prepared.stored.token


def _check_security_code(opened: _Opened, intent: Intent) -> None:
    """Checks a code against the card it is for; only the unit knows a stored card.

    Raises:
        CardInvalid: Of another length than the card's brand uses.
    """
    if opened.security_code is not None:
        brand = brand_named(intent.card.brand)
        brand.check_security_code(opened.security_code, field="security_code")


def _denied(rule: str, purpose: Purpose) -> PolicyDenied:
    return PolicyDenied(metadata={"rule": rule, "purpose": purpose.value})


def _already_charged(unit: PaymentUnit, holder: PaymentName) -> AlreadyCharged:
    payment = unit.payments.find(holder)
    if payment is None:
        raise InvariantBroken
    return AlreadyCharged(
        metadata={
            "payment": payment.name,
            "state": payment.state.name,
            "minor_units": str(payment.amount.minor_units),
            "currency": payment.amount.currency,
        }
    )
