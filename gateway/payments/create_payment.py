"""CreatePayment: charge or authorize a card. Steps as in docs/architecture.md."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from gateway.audit.ports import Receipt
from gateway.cards.security_code import SecurityCode
from gateway.errors import (
    AlreadyCharged,
    InvariantBroken,
    PolicyDenied,
    RequestIdReused,
    RequestInProgress,
    RequestInvalid,
)
from gateway.idempotency.claims import Repeated, Reused, claim, look_up
from gateway.idempotency.ports import RequestRecord
from gateway.payments.accounts import Accounts
from gateway.payments.boundaries import Boundary, Reached
from gateway.payments.payment import Lease, Payment, PaymentState, Step
from gateway.payments.ports import PaymentUnit
from gateway.payments.processor_steps import Charge, ProcessorSteps
from gateway.payments.record_outcome import CREATE_RPC
from gateway.policy.mandate import Mandate
from gateway.unit_of_work import Storage
from gateway.vault.card_access import CardAccess, Denial, Intent, Use
from gateway.vault.ports import StoredCard
from gateway.vault.seal_card import NewCard, PreparedCard, SealCard
from gateway.vault.sealed_input import (
    EnvelopeContext,
    PlainForm,
    ReceivedCard,
    SealedForm,
    SealedInput,
)
from gateway.words.clock import Clock
from gateway.words.identifiers import (
    CardTokenName,
    MerchantId,
    PaymentName,
    RequestId,
    new_name,
)
from gateway.words.money import Money
from gateway.words.purposes import MERCHANT_INITIATED, Purpose, Verb

_SALT_BYTES: Final = 16
_ASK_AGAIN: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePaymentCommand:
    """A charge that somebody asks for. ``card`` is a token or a new card."""

    merchant: MerchantId
    caller: str
    request_id: RequestId
    digest: bytes
    card: CardTokenName | SealedForm | PlainForm = field(repr=False)
    amount: Money
    purpose: Purpose
    charge_once_key: str = ""
    capture_automatically: bool = True
    security_code: SealedForm | None = field(default=None, repr=False)
    account_id: str = ""
    merchant_reference: str = ""
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    statement_descriptor_suffix: str = ""
    return_url: str = ""
    customer_reference: str = ""
    mandate: Mandate = field(default_factory=Mandate)


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
        self._running: set[asyncio.Task[PaymentResult]] = set()

    async def execute(self, command: CreatePaymentCommand) -> PaymentResult:
        """Returns the payment: charged, declined, failed, or with unknown outcome.

        Raises:
            RequestInvalid: A merchant-initiated payment without charge_once_key.
            RequestIdReused: The request id came before with another request.
            RequestInProgress: The first call still runs; names the payment.
            AlreadyCharged: The charge_once_key is held; names the payment.
            PolicyDenied: The use is not allowed; the denial is in the log.
            CardTokenNotFound, ProcessorAccountNotFound, AmountNotRepresentable,
            SealedCardRejected, CardInvalid, CardExpired: Nothing is recorded.
            KeyUnavailable, StorageUnavailable, AuditUnavailable: Nothing was charged.
        """
        earlier = await self._storage.read(
            command.merchant,
            lambda unit: look_up(
                unit.requests, CREATE_RPC, command.request_id, command.digest
            ),
        )
        if earlier is not None:
            return await self._repeat(command, await self._count(command))
        if command.purpose in MERCHANT_INITIATED and not command.charge_once_key:
            raise RequestInvalid(
                "charge_once_key", "is required when the merchant starts the payment"
            )
        # The caller may leave; the payment goes on to its outcome.
        task = asyncio.ensure_future(self._create(command))
        self._running.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Waits until no payment is between two steps."""
        if self._running:
            await asyncio.wait(self._running)

    def _forget(self, task: "asyncio.Task[PaymentResult]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody may have

    async def _create(self, command: CreatePaymentCommand) -> PaymentResult:
        account, processor = await self._accounts.choose(
            command.merchant, command.account_id
        )
        processor.check_representable(command.amount)
        opened = await self._open(command)
        now = self._clock.now()
        token = _token_of(command, opened)
        name = PaymentName(new_name("pay"))
        use = Use(
            merchant=command.merchant,
            token=token,
            verb=Verb.CHARGE,
            purpose=command.purpose,
            caller=command.caller,
            request_id=command.request_id,
            at=now,
            card_salt=os.urandom(_SALT_BYTES),
            account=account,
            payment=name,
            amount=command.amount,
        )
        payment = Payment(
            name=name,
            request_id=command.request_id,
            state=PaymentState.SUBMITTED,
            step=Step.CUSTOMER,
            amount=command.amount,
            card=token,
            purpose=command.purpose,
            capture_automatically=command.capture_automatically,
            account_id=account.account_id,
            created_at=now,
            updated_at=now,
            caller=command.caller,
            lease=Lease(instance=self._instance, until=now + self._lease),
            charge_once_key=command.charge_once_key,
            merchant_reference=command.merchant_reference,
            description=command.description,
            statement_descriptor_suffix=command.statement_descriptor_suffix,
            return_url=command.return_url,
            metadata=command.metadata,
        )
        submitted = await self._submit(command, opened, use, payment)
        if not isinstance(submitted, tuple):
            return await self._repeat(command, submitted)
        intent, payment = submitted
        self._reached(Boundary.SUBMITTED)
        charge = Charge(
            payment=payment,
            intent=intent,
            account=account,
            processor=processor,
            security_code=opened.security_code,
        )
        payment, appended = await self._steps.run(charge)
        return PaymentResult(
            payment=payment,
            receipt=appended.receipt(),
            card=None if opened.prepared is None else opened.prepared.stored,
            warnings=opened.warnings,
        )

    async def _submit(
        self,
        command: CreatePaymentCommand,
        opened: _Opened,
        use: Use,
        payment: Payment,
    ) -> tuple[Intent, Payment] | Repeated | Reused:
        """Claims, decides and records in one unit."""

        def submit(
            unit: PaymentUnit,
        ) -> tuple[Intent, Payment] | Denial | Repeated | Reused:
            earlier = claim(
                unit.requests, CREATE_RPC, command.request_id, command.digest
            )
            if earlier is not None:
                return earlier
            key = command.charge_once_key
            holder = unit.payments.claim_charge_once(key, payment.name) if key else None
            if holder is not None:
                raise _already_charged(unit, holder)
            if opened.prepared is not None:
                opened.prepared.add(unit)
            intent = self._access.intend(unit, use)
            if isinstance(intent, Denial):
                if opened.prepared is not None:
                    raise _DeniedNewCard(intent.rule)
                if key:
                    unit.payments.free_charge_once(key, payment.name)
                return intent
            has_reference = intent.reference is not None
            recollected = opened.security_code is not None
            step = Step.CHARGE if has_reference and not recollected else Step.CUSTOMER
            submitted = replace(payment, step=step)
            unit.payments.add(submitted)
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
        if isinstance(done, Denial):
            raise PolicyDenied(
                metadata={"rule": done.rule, "purpose": command.purpose.value}
            )
        return done

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
        prepared = await self._prepare(command, received)
        return _Opened(prepared, received.security_code or code, received.warnings)

    async def _prepare(
        self, command: CreatePaymentCommand, received: ReceivedCard
    ) -> PreparedCard:
        return await self._seal_card.prepare(
            NewCard(
                merchant=command.merchant,
                received=received,
                customer_reference=command.customer_reference,
                mandate=command.mandate,
                caller=command.caller,
                request_id=command.request_id,
                now=self._clock.now(),
            )
        )

    async def _count(self, command: CreatePaymentCommand) -> Repeated | Reused | None:
        """Looks the id up again in a unit of its own, where a mismatch is counted."""
        return await self._storage.commit(
            command.merchant,
            lambda unit: claim(
                unit.requests, CREATE_RPC, command.request_id, command.digest
            ),
        )

    async def _repeat(
        self, command: CreatePaymentCommand, earlier: Repeated | Reused | None
    ) -> PaymentResult:
        """Returns what the first call made, as it is now."""
        if not isinstance(earlier, Repeated):
            raise RequestIdReused
        record = earlier.record

        def read(unit: PaymentUnit) -> PaymentResult:
            payment = unit.payments.find(PaymentName(record.resource))
            if payment is None:
                raise InvariantBroken
            return PaymentResult(
                payment=payment,
                receipt=unit.log.receipt(record.entry_index),
                replayed=True,
                card=None
                if isinstance(command.card, str)
                else unit.cards.find(payment.card),
            )

        result = await self._storage.read(command.merchant, read)
        refuse_in_progress(result.payment, self._clock)
        return result


def refuse_in_progress(payment: Payment, clock: Clock) -> None:
    """Raises while the first call still works on the payment.

    Raises:
        RequestInProgress: Names the payment and says when to ask again.
    """
    lease = payment.lease
    if payment.state is not PaymentState.SUBMITTED or lease is None:
        return
    if lease.until > clock.now():
        raise RequestInProgress(
            metadata={"payment": payment.name}, retry_delay=_ASK_AGAIN
        )


def _token_of(command: CreatePaymentCommand, opened: _Opened) -> CardTokenName:
    if isinstance(command.card, str):
        return command.card
    if opened.prepared is None:
        raise InvariantBroken
    return opened.prepared.stored.token


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
