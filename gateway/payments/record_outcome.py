"""Committing what became of a charge: state, amounts, entry, and the charge_once_key.

Invariants:
  * A fact of the processor's is written down whoever brings it, also after the lease.
  * What is no fact (failed, unknown) counts only from the worker that holds the lease:
    nobody gives up what somebody else is still sending.
  * Every record is an entry, also one that changes nothing.
"""

import logging
import os
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from gateway.audit.entry import Entry, EntryType
from gateway.audit.ports import Appended
from gateway.errors import InvariantBroken
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.charge_results import (
    Result,
    apply_result,
    check_against,
    event_of,
    is_fact,
    next_wait,
)
from gateway.payments.keep_changes import keep_payment, put_off
from gateway.payments.payment import Payment, PaymentState
from gateway.payments.ports import PaymentUnit
from gateway.payments.transitions import Event
from gateway.unit_of_work import Storage
from gateway.words.identifiers import MerchantId, RequestId

_log: Final = logging.getLogger(__name__)

CREATE_RPC: Final = "CreatePayment"
_SALT_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeFacts:
    """What an outcome entry says beside the outcome.

    Attributes:
        payment: As the worker last saw it, with the worker's lease.
        card_opened: The card itself was opened, not only its reference.
        used: The card or its reference was opened in this call.
        refunded: Minor units that the processor already gave back.
        action: What the entry calls it: ``charge``, ``confirm`` or ``abandon``.
        rpc: The RPC that asked, and its request id; None for the gateway itself.
    """

    merchant: MerchantId
    payment: Payment
    account: ProcessorAccount
    card_opened: bool = False
    used: bool = False
    refunded: int = 0
    action: str = "charge"
    rpc: str | None = None
    request_id: RequestId | None = None
    salts: tuple[bytes, bytes] = field(
        default_factory=lambda: (os.urandom(_SALT_BYTES), os.urandom(_SALT_BYTES)),
        repr=False,
    )


class RecordOutcome:
    """Commits results of charges."""

    def __init__(self, *, storage: Storage[PaymentUnit]) -> None:
        self._storage = storage

    async def record(
        self, facts: ChargeFacts, result: Result, now: datetime
    ) -> tuple[Payment, Appended]:
        """Returns the payment as it now is and the outcome's entry.

        Raises:
            StorageUnavailable, AuditUnavailable: Not committed; the payment's lease
                will run out and the resolver will find it.
        """

        def commit(unit: PaymentUnit) -> tuple[Payment, Appended]:
            stored = unit.payments.lock(facts.payment.name)
            if stored is None:
                raise InvariantBroken
            payment, event = _settle(unit, stored, facts, result, now)
            keep_payment(unit, stored, payment, event)
            appended = unit.log.append(_entry(facts, payment, now))
            unit.requests.set_entry_index(
                CREATE_RPC, payment.request_id, appended.index
            )
            if facts.rpc is not None and facts.request_id is not None:
                unit.requests.set_entry_index(
                    facts.rpc, facts.request_id, appended.index
                )
            if facts.used:
                unit.cards.mark_used(payment.card, now)
            return payment, appended

        payment, appended = await self._storage.commit(facts.merchant, commit)
        if payment.state is PaymentState.NEEDS_ATTENTION:
            _log.error("a person must decide", extra={"payment": payment.name})
        return payment, appended

    async def put_off(
        self, facts: ChargeFacts, check_at: datetime, *, absent: int = 0
    ) -> None:
        """Lets the payment go until its next check; nothing was learnt.

        Raises:
            StorageUnavailable: Not committed; the lease will run out.
        """

        def commit(unit: PaymentUnit) -> None:
            stored = unit.payments.lock(facts.payment.name)
            if stored is not None and stored.lease == facts.payment.lease:
                put_off(unit, stored, check_at, absent)

        await self._storage.commit(facts.merchant, commit)


def _settle(
    unit: PaymentUnit,
    stored: Payment,
    facts: ChargeFacts,
    result: Result,
    now: datetime,
) -> tuple[Payment, Event | None]:
    """Returns the payment after the result and why, and moves the key with it."""
    if not is_fact(result) and stored.lease != facts.payment.lease:
        return stored, None
    result = check_against(stored, result, facts.refunded)
    event = event_of(stored, result)
    name, key = stored.name, stored.charge_once_key
    key_taken = False
    if key and event in (Event.LATE_SUCCESS, Event.UNDECIDABLE):
        key_taken = unit.payments.claim_charge_once(key, name) is not None
    payment = apply_result(
        stored, result, now, key_taken=key_taken, refunded=facts.refunded
    )
    if event is None and stored.lease and stored.lease == facts.payment.lease:
        check_at = now + next_wait(stored, now)
        payment = replace(stored, lease=None, next_check_at=check_at)
    if key and not payment.holds_charge_once_key:
        unit.payments.free_charge_once(key, name)
    return payment, event


def _entry(facts: ChargeFacts, payment: Payment, now: datetime) -> Entry:
    card_salt, object_salt = facts.salts
    named = payment.processor_object
    is_use = facts.action == "charge"
    return Entry(
        type=EntryType.USE_OUTCOME if is_use else EntryType.PAYMENT_OUTCOME,
        merchant=facts.merchant,
        at=now,
        caller=payment.caller,
        request_id=facts.request_id or payment.request_id,
        action=facts.action,
        purpose=payment.purpose,
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
