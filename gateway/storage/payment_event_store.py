"""The events of payments: appended in the unit that makes them, read by position."""

from typing import Any, Final

from sqlalchemy import BindParameter, bindparam, func, insert, select

from gateway.payments.payment_event import MovedEvent, PaymentEvent, Sums
from gateway.storage.codes import (
    EVENT_KINDS,
    MOVE_STATUSES,
    PAYMENT_STATES,
    read_time,
    store_time,
)
from gateway.storage.database import Connection
from gateway.storage.log_rows import Scope
from gateway.storage.statements import constant, sql
from gateway.storage.tables import moves, payment_events, payments
from gateway.words.identifiers import PaymentName
from gateway.words.money import Money

_SCOPE: Final[BindParameter[int]] = bindparam("scope")
_SUMS: Final = ("authorized", "capturable", "captured", "refunded", "refund_pending")

_PAYMENT: Final = (
    select(payments.c.payment)
    .where(payments.c.scope == _SCOPE, payments.c.name == bindparam("payment_name"))
    .scalar_subquery()
)
_MOVE: Final = (
    select(moves.c.move)
    .where(moves.c.scope == _SCOPE, moves.c.name == bindparam("move_name"))
    .scalar_subquery()
)
_NEXT: Final = (
    select(
        func.coalesce(func.max(payment_events.c.position), constant(0)) + constant(1)
    )
    .where(payment_events.c.scope == _SCOPE)
    .scalar_subquery()
)
_GIVEN: Final = ("kind", "at", "previous_state", "state", *_SUMS, "move_status")
_APPEND: Final = sql(
    insert(payment_events).values(
        {
            **{payment_events.c[name]: bindparam(name) for name in _GIVEN},
            payment_events.c.scope: _SCOPE,
            payment_events.c.position: _NEXT,
            payment_events.c.payment: _PAYMENT,
            payment_events.c.move: _MOVE,
        }
    )
)
_RESULT: Final = [
    payment_events.c.position,
    payments.c.name.label("payment_name"),
    *(payment_events.c[name] for name in _GIVEN),
    payments.c.currency,
    moves.c.name.label("move_name"),
    moves.c.minor_units.label("move_minor_units"),
]
_NAMES: Final = [column.name for column in _RESULT]
_EVENTS: Final = (
    select(*_RESULT)
    .join(payments, payments.c.payment == payment_events.c.payment)
    .outerjoin(moves, moves.c.move == payment_events.c.move)
    .where(
        payment_events.c.scope == _SCOPE,
        payment_events.c.position > bindparam("after"),
    )
    .order_by(payment_events.c.position)
    .limit(bindparam("limit"))
    # Left out, SQLAlchemy would write a parameter of its own for SQLite.
    .offset(constant(0))
)
_ALL_EVENTS: Final = sql(_EVENTS)
_EVENTS_OF_PAYMENT: Final = sql(_EVENTS.where(payment_events.c.payment == _PAYMENT))


def append_event(connection: Connection, scope: Scope, event: PaymentEvent) -> None:
    """See gateway.payments.ports.PaymentStore.append_event."""
    moved = event.moved
    previous = event.previous_state
    connection.execute(
        _APPEND,
        {
            "scope": scope.row,
            "payment_name": event.payment,
            "kind": EVENT_KINDS.code(event.kind),
            "at": store_time(event.at),
            "previous_state": None
            if previous is None
            else PAYMENT_STATES.code(previous),
            "state": PAYMENT_STATES.code(event.state),
            **{name: getattr(event.sums, name) for name in _SUMS},
            "move_name": None if moved is None else moved.name,
            "move_status": None if moved is None else MOVE_STATUSES.code(moved.status),
        },
    )


def events(
    connection: Connection,
    scope: Scope,
    after: int,
    limit: int,
    payment: PaymentName | None,
) -> list[PaymentEvent]:
    """See gateway.payments.ports.PaymentStore.events."""
    statement = _ALL_EVENTS if payment is None else _EVENTS_OF_PAYMENT
    where = {
        "scope": scope.row,
        "after": after,
        "limit": limit,
        "payment_name": payment or "",
    }
    return [_read(row) for row in connection.execute(statement, where)]


def _read(row: tuple[Any, ...]) -> PaymentEvent:
    of = dict(zip(_NAMES, row, strict=True))
    previous = of["previous_state"]
    moved = None
    if of["move_name"] is not None:
        moved = MovedEvent(
            name=of["move_name"],
            status=MOVE_STATUSES.word(of["move_status"]),
            amount=Money(of["move_minor_units"], of["currency"]),
        )
    return PaymentEvent(
        position=of["position"],
        payment=of["payment_name"],
        kind=EVENT_KINDS.word(of["kind"]),
        at=read_time(of["at"]),
        previous_state=None if previous is None else PAYMENT_STATES.word(previous),
        state=PAYMENT_STATES.word(of["state"]),
        currency=of["currency"],
        sums=Sums(**{name: of[name] for name in _SUMS}),
        moved=moved,
    )
