"""Between payments, moves and their rows."""

import json
from typing import Any, Final

from gateway.payments.payment import (
    Lease,
    Move,
    MoveKind,
    MoveStatus,
    Payment,
    PaymentState,
    Step,
)
from gateway.payments.processor import Decline, DeclineClass, RetryAdvice
from gateway.storage.rows import Row, from_milliseconds, moment, to_milliseconds
from gateway.words.identifiers import (
    CardTokenName,
    PaymentName,
    ProcessorAccountId,
    RequestId,
)
from gateway.words.money import Money
from gateway.words.purposes import Purpose

PAYMENT_COLUMNS: Final = (
    "name",
    "request_id",
    "state",
    "step",
    "amount",
    "currency",
    "card",
    "purpose",
    "capture_automatically",
    "account",
    "caller",
    "created_at",
    "updated_at",
    "lease_instance",
    "lease_until",
    "authorized",
    "capturable",
    "captured",
    "refunded",
    "refund_pending",
    "charge_once_key",
    "processor_object",
    "customer",
    "capture_before",
    "decline",
    "failure_reason",
    "redirect_url",
    "merchant_reference",
    "description",
    "statement_descriptor_suffix",
    "return_url",
    "metadata",
    "network_transaction_id",
    "absent_inquiries",
    "next_check_at",
)
MOVE_COLUMNS: Final = (
    "name",
    "kind",
    "payment",
    "request_id",
    "status",
    "amount",
    "currency",
    "caller",
    "created_at",
    "updated_at",
    "lease_instance",
    "lease_until",
    "processor_object",
    "failure_reason",
    "reason",
    "next_check_at",
)


def payment_values(payment: Payment) -> dict[str, Any]:
    """Returns the payment's columns."""
    lease = payment.lease
    return {
        "name": payment.name,
        "request_id": payment.request_id,
        "state": payment.state.value,
        "step": payment.step.value,
        "amount": payment.amount.minor_units,
        "currency": payment.amount.currency,
        "card": payment.card,
        "purpose": payment.purpose.value,
        "capture_automatically": int(payment.capture_automatically),
        "account": payment.account_id,
        "caller": payment.caller,
        "created_at": to_milliseconds(payment.created_at),
        "updated_at": to_milliseconds(payment.updated_at),
        "lease_instance": lease and lease.instance,
        "lease_until": lease and to_milliseconds(lease.until),
        "authorized": payment.authorized,
        "capturable": payment.capturable,
        "captured": payment.captured,
        "refunded": payment.refunded,
        "refund_pending": payment.refund_pending,
        "charge_once_key": payment.charge_once_key,
        "processor_object": payment.processor_object,
        "customer": payment.customer,
        "capture_before": to_milliseconds(payment.capture_before),
        "decline": _show_decline(payment.decline),
        "failure_reason": payment.failure_reason,
        "redirect_url": payment.redirect_url,
        "merchant_reference": payment.merchant_reference,
        "description": payment.description,
        "statement_descriptor_suffix": payment.statement_descriptor_suffix,
        "return_url": payment.return_url,
        "metadata": json.dumps(dict(payment.metadata)) if payment.metadata else "",
        "network_transaction_id": payment.network_transaction_id,
        "absent_inquiries": payment.absent_inquiries,
        "next_check_at": to_milliseconds(payment.next_check_at),
    }


def read_payment(row: Row) -> Payment:
    """Returns the payment of a row of PAYMENT_COLUMNS."""
    of = dict(zip(PAYMENT_COLUMNS, row, strict=True))
    return Payment(
        name=PaymentName(of["name"]),
        request_id=RequestId(of["request_id"]),
        state=PaymentState(of["state"]),
        step=Step(of["step"]),
        amount=Money(of["amount"], of["currency"]),
        card=CardTokenName(of["card"]),
        purpose=Purpose(of["purpose"]),
        capture_automatically=bool(of["capture_automatically"]),
        account_id=ProcessorAccountId(of["account"]),
        caller=of["caller"],
        created_at=moment(of["created_at"]),
        updated_at=moment(of["updated_at"]),
        lease=_read_lease(of["lease_instance"], of["lease_until"]),
        authorized=of["authorized"],
        capturable=of["capturable"],
        captured=of["captured"],
        refunded=of["refunded"],
        refund_pending=of["refund_pending"],
        charge_once_key=of["charge_once_key"],
        processor_object=of["processor_object"],
        customer=of["customer"],
        capture_before=from_milliseconds(of["capture_before"]),
        decline=_read_decline(of["decline"]),
        failure_reason=of["failure_reason"],
        redirect_url=of["redirect_url"],
        merchant_reference=of["merchant_reference"],
        description=of["description"],
        statement_descriptor_suffix=of["statement_descriptor_suffix"],
        return_url=of["return_url"],
        metadata=json.loads(of["metadata"]) if of["metadata"] else {},
        network_transaction_id=of["network_transaction_id"],
        absent_inquiries=of["absent_inquiries"],
        next_check_at=from_milliseconds(of["next_check_at"]),
    )


def move_values(move: Move) -> dict[str, Any]:
    """Returns the columns of a capture, cancel or refund."""
    lease = move.lease
    return {
        "name": move.name,
        "kind": move.kind.value,
        "payment": move.payment,
        "request_id": move.request_id,
        "status": move.status.value,
        "amount": move.amount.minor_units,
        "currency": move.amount.currency,
        "caller": move.caller,
        "created_at": to_milliseconds(move.created_at),
        "updated_at": to_milliseconds(move.updated_at),
        "lease_instance": lease and lease.instance,
        "lease_until": lease and to_milliseconds(lease.until),
        "processor_object": move.processor_object,
        "failure_reason": move.failure_reason,
        "reason": move.reason,
        "next_check_at": to_milliseconds(move.next_check_at),
    }


def read_move(row: Row) -> Move:
    """Returns the capture, cancel or refund of a row of MOVE_COLUMNS."""
    of = dict(zip(MOVE_COLUMNS, row, strict=True))
    return Move(
        name=of["name"],
        kind=MoveKind(of["kind"]),
        payment=PaymentName(of["payment"]),
        request_id=RequestId(of["request_id"]),
        status=MoveStatus(of["status"]),
        amount=Money(of["amount"], of["currency"]),
        caller=of["caller"],
        created_at=moment(of["created_at"]),
        updated_at=moment(of["updated_at"]),
        lease=_read_lease(of["lease_instance"], of["lease_until"]),
        processor_object=of["processor_object"],
        failure_reason=of["failure_reason"],
        reason=of["reason"],
        next_check_at=from_milliseconds(of["next_check_at"]),
    )


def _read_lease(instance: str | None, until: int | None) -> Lease | None:
    if instance is None or until is None:
        return None
    return Lease(instance=instance, until=moment(until))


def _show_decline(decline: Decline | None) -> str | None:
    if decline is None:
        return None
    parts = (
        decline.reason,
        decline.decline_class,
        decline.retry,
        decline.processor_code,
    )
    return json.dumps(parts)


def _read_decline(text: str | None) -> Decline | None:
    if text is None:
        return None
    reason, decline_class, retry, code = json.loads(text)
    return Decline(
        reason=reason,
        decline_class=DeclineClass(decline_class),
        retry=RetryAdvice(retry),
        processor_code=code,
    )
