"""Committing what became of a charge: state, amounts, entry, and the freed key."""

import os
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from gateway.audit.entry import Entry, EntryType
from gateway.audit.ports import Appended
from gateway.errors import PaymentNotFound
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.payment import Payment, PaymentState, Step
from gateway.payments.ports import PaymentUnit
from gateway.payments.processor import (
    ActionRequired,
    Approved,
    Canceled,
    ChargeOutcome,
    Declined,
    Pending,
)
from gateway.unit_of_work import Storage
from gateway.words.identifiers import MerchantId

CREATE_RPC: Final = "CreatePayment"
_SALT_BYTES: Final = 16
_FIRST_CHECK: Final = timedelta(seconds=2)
_CHECK_MAX: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing moved; ``reason`` is neutral and in capitals."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have moved. The resolver finds out."""


@dataclass(frozen=True, slots=True)
class Undecidable:
    """No program can decide."""


Result = ChargeOutcome | Failed | Unknown | Undecidable


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeFacts:
    """What an outcome entry says beside the outcome."""

    merchant: MerchantId
    payment: Payment
    account: ProcessorAccount
    card_opened: bool
    caller: str
    policy_version: int | None = None
    policy_sha256: str | None = None
    salts: tuple[bytes, bytes] = field(
        default_factory=lambda: (os.urandom(_SALT_BYTES), os.urandom(_SALT_BYTES)),
        repr=False,
    )


def apply_result(payment: Payment, result: Result, now: datetime) -> Payment:  # noqa: PLR0911 - one return for each kind of result
    """Returns the payment with the result applied.

    Raises:
        StateConflict: The payment's state does not allow it.
    """
    settled = replace(payment, lease=None, updated_at=now, next_check_at=None)
    match result:
        case Approved():
            whole = result.captured.minor_units > 0
            state = PaymentState.CAPTURED if whole else PaymentState.AUTHORIZED
            authorized = result.authorized.minor_units
            return settled.to(
                state,
                step=Step.DONE,
                authorized=authorized,
                captured=result.captured.minor_units,
                capturable=0 if whole else authorized,
                processor_object=result.processor_object,
                capture_before=None if whole else result.capture_before,
                network_transaction_id=result.network_transaction_id,
                decline=None,
                failure_reason="",
            )
        case Declined():
            return settled.to(
                PaymentState.DECLINED,
                step=Step.DONE,
                decline=result.decline,
                processor_object=result.processor_object,
            )
        case ActionRequired():
            return settled.to(
                PaymentState.REQUIRES_ACTION,
                processor_object=result.processor_object,
                redirect_url=result.redirect_url,
            )
        case Pending():
            return settled.to(
                PaymentState.PENDING, processor_object=result.processor_object
            )
        case Canceled():
            return settled.to(
                PaymentState.CANCELED,
                step=Step.DONE,
                processor_object=result.processor_object,
            )
        case Failed():
            return settled.to(
                PaymentState.FAILED, step=Step.DONE, failure_reason=result.reason
            )
        case Unknown():
            return settled.to(
                PaymentState.UNKNOWN, next_check_at=now + next_wait(payment, now)
            )
        case Undecidable():
            return settled.to(PaymentState.NEEDS_ATTENTION)


def next_wait(payment: Payment, now: datetime) -> timedelta:
    """Returns how long to wait before asking again: longer, the older it is."""
    age = now - payment.created_at
    return max(_FIRST_CHECK, min(age / 2, _CHECK_MAX))


class RecordOutcome:
    """Commits results of charges."""

    def __init__(self, *, storage: Storage[PaymentUnit]) -> None:
        self._storage = storage

    async def record(
        self, facts: ChargeFacts, result: Result, now: datetime
    ) -> tuple[Payment, Appended]:
        """Returns the payment as it now is and its outcome entry.

        Raises:
            StorageUnavailable: Not committed; the payment's lease will run out and the
                resolver will find it.
        """

        def commit(unit: PaymentUnit) -> tuple[Payment, Appended]:
            stored = unit.payments.lock(facts.payment.name)
            if stored is None:
                raise PaymentNotFound
            payment = apply_result(stored, result, now)
            unit.payments.save(payment)
            if payment.charge_once_key and not payment.holds_charge_once_key:
                unit.payments.free_charge_once(payment.charge_once_key, payment.name)
            appended = unit.log.append(_entry(facts, payment, now))
            unit.requests.set_entry_index(
                CREATE_RPC, payment.request_id, appended.index
            )
            if facts.card_opened:
                unit.cards.mark_used(payment.card, now)
            return payment, appended

        return await self._storage.commit(facts.merchant, commit)


def _entry(facts: ChargeFacts, payment: Payment, now: datetime) -> Entry:
    card_salt, object_salt = facts.salts
    named = payment.processor_object
    return Entry(
        type=EntryType.USE_OUTCOME,
        merchant=facts.merchant,
        at=now,
        caller=facts.caller,
        request_id=payment.request_id,
        action="charge",
        purpose=payment.purpose,
        policy_version=facts.policy_version,
        policy_sha256=facts.policy_sha256,
        payment=payment.name,
        processor_account=payment.account_id,
        environment=facts.account.environment.value,
        amount=payment.amount,
        card_opened=facts.card_opened,
        outcome=payment.state.name,
        card=payment.card,
        card_salt=card_salt,
        processor_object=named or None,
        object_salt=object_salt if named else None,
    )
