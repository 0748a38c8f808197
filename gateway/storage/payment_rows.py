"""Between payments, moves and their rows."""

import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement

from gateway.payments.payment import Lease, Move, Payment
from gateway.payments.processor import Decline, DeclineClass, RetryAdvice
from gateway.storage.codes import (
    MOVE_KINDS,
    MOVE_ORIGINS,
    MOVE_STATUSES,
    PAYMENT_STATES,
    PURPOSES,
    STEPS,
    damage_is_integrity,
    read_optional_time,
    read_request_id,
    read_time,
    store_optional_time,
    store_request_id,
    store_time,
)
from gateway.storage.tables import cards, moves, payments, processor_accounts
from gateway.words.money import Money

# What is stored as it is, under the name it has in Payment.
_PLAIN: Final = (
    "name",
    "caller",
    "authorized",
    "capturable",
    "captured",
    "refunded",
    "refund_pending",
    "charge_once_key",
    "processor_object",
    "customer",
    "failure_reason",
    "redirect_url",
    "merchant_reference",
    "description",
    "statement_descriptor_suffix",
    "return_url",
    "network_transaction_id",
    "absent_inquiries",
)
_CODED: Final = (
    "request_id",
    "state",
    "step",
    "minor_units",
    "currency",
    "purpose",
    "capture_automatically",
    "created_at",
    "updated_at",
    "lease_instance",
    "lease_until",
    "capture_before",
    "decline",
    "metadata",
    "next_check_at",
)
_MOVE_PLAIN: Final = ("name", "caller", "processor_object", "failure_reason", "reason")
_MOVE_CODED: Final = (
    "kind",
    "request_id",
    "status",
    "minor_units",
    "currency",
    "created_at",
    "updated_at",
    "lease_instance",
    "lease_until",
    "next_check_at",
    "origin",
)

# The columns of a payment's own row, and what a query for payments selects.
PAYMENT_COLUMNS: Final = [payments.c[name] for name in (*_PLAIN, *_CODED)]
PAYMENT_RESULT: Final[list[ColumnElement[Any]]] = [
    *PAYMENT_COLUMNS,
    cards.c.token.label("card_token"),
    processor_accounts.c.name.label("account_name"),
]
MOVE_COLUMNS: Final = [moves.c[name] for name in (*_MOVE_PLAIN, *_MOVE_CODED)]
MOVE_RESULT: Final[list[ColumnElement[Any]]] = [
    *MOVE_COLUMNS,
    payments.c.name.label("payment_name"),
]
_PAYMENT_NAMES: Final = [column.name for column in PAYMENT_RESULT]
_MOVE_NAMES: Final = [column.name for column in MOVE_RESULT]


def payment_values(payment: Payment) -> dict[str, object]:
    """Returns the payment's columns by name."""
    return {
        **{name: getattr(payment, name) for name in _PLAIN},
        **_lease_values(payment.lease),
        "request_id": store_request_id(payment.request_id),
        "state": PAYMENT_STATES.code(payment.state),
        "step": STEPS.code(payment.step),
        "minor_units": payment.amount.minor_units,
        "currency": payment.amount.currency,
        "purpose": PURPOSES.code(payment.purpose),
        "capture_automatically": int(payment.capture_automatically),
        "created_at": store_time(payment.created_at),
        "updated_at": store_time(payment.updated_at),
        "capture_before": store_optional_time(payment.capture_before),
        "decline": _store_decline(payment.decline),
        "metadata": _store_map(payment.metadata),
        "next_check_at": store_optional_time(payment.next_check_at),
    }


@damage_is_integrity
def read_payment(row: tuple[Any, ...]) -> Payment:
    """Returns the payment of a row of PAYMENT_RESULT."""
    of = dict(zip(_PAYMENT_NAMES, row, strict=True))
    return Payment(
        **{name: of[name] for name in _PLAIN},
        request_id=read_request_id(of["request_id"]),
        state=PAYMENT_STATES.word(of["state"]),
        step=STEPS.word(of["step"]),
        amount=Money(of["minor_units"], of["currency"]),
        card=of["card_token"],
        purpose=PURPOSES.word(of["purpose"]),
        capture_automatically=bool(of["capture_automatically"]),
        account_id=of["account_name"],
        created_at=read_time(of["created_at"]),
        updated_at=read_time(of["updated_at"]),
        lease=_read_lease(of),
        capture_before=read_optional_time(of["capture_before"]),
        decline=_read_decline(of["decline"]),
        metadata=_read_map(of["metadata"]),
        next_check_at=read_optional_time(of["next_check_at"]),
    )


def move_values(move: Move) -> dict[str, object]:
    """Returns the columns of a capture, cancel or refund by name."""
    return {
        **{name: getattr(move, name) for name in _MOVE_PLAIN},
        **_lease_values(move.lease),
        "kind": MOVE_KINDS.code(move.kind),
        "origin": MOVE_ORIGINS.code(move.origin),
        "request_id": store_request_id(move.request_id),
        "status": MOVE_STATUSES.code(move.status),
        "minor_units": move.amount.minor_units,
        "currency": move.amount.currency,
        "created_at": store_time(move.created_at),
        "updated_at": store_time(move.updated_at),
        "next_check_at": store_optional_time(move.next_check_at),
    }


@damage_is_integrity
def read_move(row: tuple[Any, ...]) -> Move:
    """Returns the capture, cancel or refund of a row of MOVE_RESULT."""
    of = dict(zip(_MOVE_NAMES, row, strict=True))
    return Move(
        **{name: of[name] for name in _MOVE_PLAIN},
        kind=MOVE_KINDS.word(of["kind"]),
        origin=MOVE_ORIGINS.word(of["origin"]),
        payment=of["payment_name"],
        request_id=read_request_id(of["request_id"]),
        status=MOVE_STATUSES.word(of["status"]),
        amount=Money(of["minor_units"], of["currency"]),
        created_at=read_time(of["created_at"]),
        updated_at=read_time(of["updated_at"]),
        lease=_read_lease(of),
        next_check_at=read_optional_time(of["next_check_at"]),
    )


def _lease_values(lease: Lease | None) -> dict[str, object]:
    if lease is None:
        return {"lease_instance": None, "lease_until": None}
    return {"lease_instance": lease.instance, "lease_until": store_time(lease.until)}


def _read_lease(of: Mapping[str, Any]) -> Lease | None:
    if of["lease_until"] is None:
        return None
    return Lease(instance=of["lease_instance"], until=read_time(of["lease_until"]))


def _store_map(values: Mapping[str, str]) -> str:
    return json.dumps(dict(values), ensure_ascii=False, separators=(",", ":"))


def _read_map(stored: str) -> Mapping[str, str]:
    return {str(key): str(value) for key, value in json.loads(stored).items()}


def _store_decline(decline: Decline | None) -> str | None:
    if decline is None:
        return None
    return _store_map(
        {
            "reason": decline.reason,
            "class": decline.decline_class,
            "retry": decline.retry,
            "code": decline.processor_code,
        }
    )


def _read_decline(stored: str | None) -> Decline | None:
    if stored is None:
        return None
    of = json.loads(stored)
    return Decline(
        reason=of["reason"],
        decline_class=DeclineClass(of["class"]),
        retry=RetryAdvice(of["retry"]),
        processor_code=of["code"],
    )
