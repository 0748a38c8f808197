"""ConfirmPayment: going on with a payment that waited for the cardholder.

The processor is looked at first: most often the cardholder has acted, and the payment
is decided. If it still waits, and the caller brings a new return_url, it is confirmed
again, which gives a new next_action.

Invariants:
  * No card is opened, and nothing is asked that CreatePayment did not ask for already.
  * The payment keeps its charge_once_key unless the processor says that it is over.
  * The intent entry commits before the processor is asked; the caller's cancellation
    does not stop it.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from gateway.audit.entry import Entry, EntryType
from gateway.audit.ports import Appended, Receipt
from gateway.errors import (
    GatewayError,
    InvariantBroken,
    PaymentNotFound,
    ProcessorUnavailable,
    RequestIdReused,
    RequestInProgress,
)
from gateway.idempotency.claims import Repeated, Reused, claim
from gateway.idempotency.ports import RequestRecord
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.accounts import Accounts
from gateway.payments.asking import Asking
from gateway.payments.boundaries import Boundary, Reached
from gateway.payments.charge_results import Failed, Result, Unknown
from gateway.payments.keep_changes import take_payment
from gateway.payments.kept_tasks import KeptTasks
from gateway.payments.leases import is_live, new_lease
from gateway.payments.looking import Looking, Silent
from gateway.payments.payment import Payment, PaymentState
from gateway.payments.ports import PaymentUnit
from gateway.payments.processor import (
    ActionRequired,
    FoundPayment,
    Processor,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
)
from gateway.payments.record_outcome import CREATE_RPC, ChargeFacts, RecordOutcome
from gateway.payments.transitions import conflict
from gateway.unit_of_work import Storage
from gateway.words.clock import Clock
from gateway.words.identifiers import MerchantId, PaymentName, RequestId

_log: Final = logging.getLogger(__name__)

CONFIRM_RPC: Final = "ConfirmPayment"
_ASK_AGAIN: Final = timedelta(seconds=1)
# Being asked about, or not known: there is nothing to confirm yet.
_NOT_YET: Final = (
    PaymentState.SUBMITTED,
    PaymentState.UNKNOWN,
    PaymentState.NEEDS_ATTENTION,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmPaymentCommand:
    """Which payment goes on; ``return_url`` asks for a new next_action."""

    merchant: MerchantId
    caller: str
    request_id: RequestId
    digest: bytes
    payment: PaymentName
    return_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """The payment as it is now."""

    payment: Payment
    receipt: Receipt
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """A payment whose intent has committed, under this worker's lease."""

    payment: Payment
    intent: Appended


class ConfirmPayment:
    """Goes on with payments in REQUIRES_ACTION."""

    def __init__(  # noqa: PLR0913 - what it uses, by keyword
        self,
        *,
        storage: Storage[PaymentUnit],
        accounts: Accounts,
        looking: Looking,
        outcomes: RecordOutcome,
        asking: Asking,
        clock: Clock,
        reached: Reached,
        instance: str,
        lease: timedelta,
    ) -> None:
        self._storage = storage
        self._accounts = accounts
        self._looking = looking
        self._outcomes = outcomes
        self._asking = asking
        self._clock = clock
        self._reached = reached
        self._instance = instance
        self._lease = lease
        self._tasks: KeptTasks[Confirmed] = KeptTasks()

    async def execute(self, command: ConfirmPaymentCommand) -> Confirmed:
        """Returns the payment: decided, still waiting, or with unknown outcome.

        A payment that is decided already is returned as it is.

        Raises:
            PaymentNotFound: No such payment for this merchant.
            StateConflict: It is being asked about; there is nothing to confirm yet.
            RequestIdReused, RequestInProgress: See CreatePayment.
            ProcessorAccountNotFound, StorageUnavailable, AuditUnavailable: Nothing was
                sent.
        """
        return await self._tasks.run(self._execute(command))

    async def drain(self) -> None:
        """Waits until no confirmation is between two steps."""
        await self._tasks.drain()

    async def _execute(self, command: ConfirmPaymentCommand) -> Confirmed:
        payment = await self._storage.read(
            command.merchant, lambda unit: unit.payments.find(command.payment)
        )
        if payment is None:
            raise PaymentNotFound
        account, processor = await self._accounts.of(command.merchant, payment)
        taken = await self._submit(command, account)
        if isinstance(taken, Reused):
            raise RequestIdReused
        if isinstance(taken, Confirmed):
            return taken
        self._reached(Boundary.CONFIRM_SUBMITTED)
        try:
            result, refunded = await self._ask(command, account, processor, taken)
            self._reached(Boundary.CONFIRMED)
            facts = ChargeFacts(
                merchant=command.merchant,
                payment=taken.payment,
                account=account,
                refunded=refunded,
                action="confirm",
                rpc=CONFIRM_RPC,
                request_id=command.request_id,
            )
            done, appended = await self._outcomes.record(
                facts, result, self._clock.now()
            )
        except GatewayError as error:
            # It may have been charged, and the database does not say so: as in
            # CreatePayment.
            fields = {"payment": command.payment, "reason": error.reason}
            _log.error("outcome not recorded", extra=fields)
            unknown = replace(taken.payment, state=PaymentState.UNKNOWN)
            return Confirmed(payment=unknown, receipt=taken.intent.receipt())
        return Confirmed(payment=done, receipt=appended.receipt())

    async def _submit(
        self, command: ConfirmPaymentCommand, account: ProcessorAccount
    ) -> _Taken | Confirmed | Reused:
        """Claims, takes the payment and records the intent in one unit."""
        now = self._clock.now()
        lease = new_lease(self._instance, now, self._lease)

        def submit(unit: PaymentUnit) -> _Taken | Confirmed | Reused:
            earlier = claim(
                unit.requests, CONFIRM_RPC, command.request_id, command.digest
            )
            if isinstance(earlier, Reused):
                return earlier
            stored = unit.payments.lock(command.payment)
            if stored is None:
                raise PaymentNotFound
            busy = is_live(stored.lease, now)
            if isinstance(earlier, Repeated):
                if busy:
                    raise _in_progress(stored)
                receipt = unit.log.receipt(earlier.record.entry_index)
                return Confirmed(payment=stored, receipt=receipt, replayed=True)
            if stored.state in _NOT_YET:
                raise conflict(stored)
            if stored.state is not PaymentState.REQUIRES_ACTION:
                return _as_it_is(unit, stored)
            if busy:
                raise _in_progress(stored)
            taken = take_payment(unit, stored, lease)
            intent = unit.log.append(_intent_entry(command, account, taken))
            unit.requests.add(
                RequestRecord(
                    rpc=CONFIRM_RPC,
                    request_id=command.request_id,
                    digest=command.digest,
                    resource=taken.name,
                    entry_index=intent.index,
                    created_at=now,
                )
            )
            return _Taken(payment=taken, intent=intent)

        return await self._storage.commit(command.merchant, submit)

    async def _ask(
        self,
        command: ConfirmPaymentCommand,
        account: ProcessorAccount,
        processor: Processor,
        taken: _Taken,
    ) -> tuple[Result, int]:
        """Looks, and confirms again if the cardholder has still to act."""
        payment = taken.payment
        try:
            found = await self._looking.inquire(account, processor, payment)
        except Silent:
            return Failed("PROCESSOR_UNAVAILABLE"), 0
        if found is None:
            return Failed("NOT_FOUND_AT_PROCESSOR"), 0
        waits = isinstance(found.outcome, ActionRequired)
        if waits and command.return_url:
            key = f"{payment.name}-confirm-{command.request_id}"
            call = self._asking.call(account, payment, key)
            try:
                outcome = await self._asking.ask(
                    lambda: processor.confirm(
                        call, payment.processor_object, command.return_url
                    )
                )
            except ProcessorOutcomeUnknown:
                return Unknown(payment.processor_object), 0
            except ProcessorUnavailable:
                return Failed("PROCESSOR_UNAVAILABLE"), 0
            except ProcessorRefused as refused:
                return Failed(refused.failure_reason), 0
            found = FoundPayment(
                processor_object=payment.processor_object, outcome=outcome
            )
        return await self._looking.result_of(account, processor, payment, found)


def _as_it_is(unit: PaymentUnit, payment: Payment) -> Confirmed:
    """Returns a payment that needs no confirmation, with proof of its newest entry."""
    record = unit.requests.find(CREATE_RPC, payment.request_id)
    if record is None:
        raise InvariantBroken
    return Confirmed(payment=payment, receipt=unit.log.receipt(record.entry_index))


def _in_progress(payment: Payment) -> RequestInProgress:
    return RequestInProgress(metadata={"payment": payment.name}, retry_delay=_ASK_AGAIN)


def _intent_entry(
    command: ConfirmPaymentCommand, account: ProcessorAccount, payment: Payment
) -> Entry:
    return Entry(
        type=EntryType.PAYMENT_INTENT,
        merchant=command.merchant,
        at=payment.updated_at,
        caller=command.caller,
        request_id=command.request_id,
        action="confirm",
        payment=payment.name,
        processor_account=account.account_id,
        environment=account.environment.value,
        amount=payment.amount,
        card_opened=False,
    )
