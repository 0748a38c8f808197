"""Committing what became of a capture, cancel or refund.

Invariants:
  * A fact of the processor's is written down whoever brings it; what is no fact counts
    only from the worker that holds the move's lease.
  * A move is settled once: its amount leaves the reserved sum exactly when its status
    does.
  * Every record is an entry, also one that changes nothing.
"""

import os
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from gateway.audit.entry import Entry, EntryType
from gateway.audit.ports import Appended
from gateway.errors import InvariantBroken, StateConflict
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.keep_changes import keep_move, keep_payment
from gateway.payments.move_rules import Answer, MoveCommand, MoveRules
from gateway.payments.payment import (
    MOVE_TRANSITIONS,
    Move,
    MoveKind,
    MoveStatus,
    Payment,
)
from gateway.payments.ports import PaymentUnit
from gateway.payments.record_outcome import CREATE_RPC
from gateway.payments.transitions import Event, advance, conflict
from gateway.unit_of_work import Storage
from gateway.words.clock import Clock
from gateway.words.identifiers import MerchantId

RPCS: Final = {
    MoveKind.CAPTURE: "CapturePayment",
    MoveKind.CANCEL: "CancelPayment",
    MoveKind.REFUND: "RefundPayment",
}
_SALT_BYTES: Final = 16
_FIRST_CHECK: Final = timedelta(seconds=2)
_CHECK_MAX: Final = timedelta(hours=1)
# A person works on it; the resolver looks again, in case the processor settles it.
_ATTENTION_CHECK: Final = timedelta(days=1)


class RecordMove:
    """Commits results of moves of one kind."""

    def __init__(
        self, *, rules: MoveRules, storage: Storage[PaymentUnit], clock: Clock
    ) -> None:
        self._rules = rules
        self._rpc = RPCS[rules.kind]
        self._storage = storage
        self._clock = clock

    async def record(
        self,
        merchant: MerchantId,
        account: ProcessorAccount,
        move: Move,
        answer: Answer,
    ) -> tuple[Payment, Move, Appended]:
        """Returns payment and move as they now are; ``move`` has the worker's lease.

        Raises:
            StorageUnavailable, AuditUnavailable: Not committed; the lease will run out
                and the resolver will find it.
        """
        now, salt = self._clock.now(), os.urandom(_SALT_BYTES)

        def commit(unit: PaymentUnit) -> tuple[Payment, Move, Appended]:
            stored = unit.payments.lock(move.payment)
            before = unit.payments.find_move(move.name)
            if stored is None or before is None:
                raise InvariantBroken
            payment, after = stored, before
            if _counts(answer, before, move):
                after = _apply(answer, before, now)
                payment = self._rules.settle(stored, before, after)
                if answer.needs_attention:
                    payment = advance(payment, Event.UNDECIDABLE)
                payment = replace(payment, updated_at=now)
                keep_move(unit, stored, payment, after)
                _move_key(unit, payment)
            intent = intent_entry(merchant, account, after)
            appended = unit.log.append(_outcome_entry(intent, after, now, salt))
            unit.requests.set_entry_index(self._rpc, move.request_id, appended.index)
            unit.requests.set_entry_index(
                CREATE_RPC, payment.request_id, appended.index
            )
            return payment, after, appended

        return await self._storage.commit(merchant, commit)


def _counts(answer: Answer, stored: Move, mine: Move) -> bool:
    """Whether the answer changes the stored move."""
    if not answer.is_fact and stored.lease != mine.lease:
        return False
    return answer.status in MOVE_TRANSITIONS[stored.status]


def _apply(answer: Answer, move: Move, now: datetime) -> Move:
    """Returns the move after the answer."""
    check_at = None
    if answer.status is MoveStatus.UNKNOWN:
        wait = max(_FIRST_CHECK, min((now - move.created_at) / 2, _CHECK_MAX))
        check_at = now + (_ATTENTION_CHECK if answer.needs_attention else wait)
    return replace(
        move,
        status=answer.status,
        failure_reason=answer.failure_reason,
        processor_object=answer.processor_object or move.processor_object,
        lease=None,
        updated_at=now,
        next_check_at=check_at,
    )


def _move_key(unit: PaymentUnit, payment: Payment) -> None:
    """Frees or takes the charge_once_key as the payment's state says."""
    key = payment.charge_once_key
    if key and payment.holds_charge_once_key:
        unit.payments.claim_charge_once(key, payment.name)
    elif key:
        unit.payments.free_charge_once(key, payment.name)


def expire(
    unit: PaymentUnit,
    command: MoveCommand,
    account: ProcessorAccount,
    stored: Payment,
    expired: Payment,
) -> StateConflict:
    """Commits a lapsed reservation and returns the conflict to raise afterwards."""
    keep_payment(unit, stored, expired)
    _move_key(unit, expired)
    entry = Entry(
        type=EntryType.PAYMENT_OUTCOME,
        merchant=command.merchant,
        at=expired.updated_at,
        caller=command.caller,
        request_id=command.request_id,
        action="expire",
        payment=expired.name,
        processor_account=expired.account_id,
        environment=account.environment.value,
        amount=expired.amount,
        card_opened=False,
        outcome=expired.state.name,
    )
    appended = unit.log.append(entry)
    unit.requests.set_entry_index(CREATE_RPC, expired.request_id, appended.index)
    return conflict(expired)


def intent_entry(merchant: MerchantId, account: ProcessorAccount, move: Move) -> Entry:
    """Returns the entry that commits before the processor is asked."""
    return Entry(
        type=EntryType.PAYMENT_INTENT,
        merchant=merchant,
        at=move.created_at,
        caller=move.caller,
        request_id=move.request_id,
        action=move.kind.value,
        payment=move.payment,
        processor_account=account.account_id,
        environment=account.environment.value,
        amount=move.amount,
        card_opened=False,
    )


def _outcome_entry(intent: Entry, move: Move, now: datetime, salt: bytes) -> Entry:
    """Returns the outcome's entry; the processor's name only as a salted hash."""
    named = move.processor_object
    return replace(
        intent,
        type=EntryType.PAYMENT_OUTCOME,
        at=now,
        outcome=move.status.name,
        processor_object=named or None,
        object_salt=salt if named else None,
    )
