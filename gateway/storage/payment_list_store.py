"""Lists of payments and refunds: one statement for each set of filters.

Invariants:
  * A page is found by an index that the filters choose, in the order of the list: the
    cost of a page does not grow with the number of payments. (Of one customer's cards
    the payments are sorted.)
  * A position is the last row's time and number, so that rows which come meanwhile
    neither repeat nor hide others.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    Table,
    UnaryExpression,
    bindparam,
    or_,
    select,
)
from sqlalchemy.sql.operators import custom_op

from gateway.payments.payment import MoveKind
from gateway.payments.payment_lists import (
    Page,
    PaymentFilter,
    PaymentPage,
    RefundFilter,
    RefundPage,
)
from gateway.storage.codes import (
    MOVE_KINDS,
    MOVE_STATUSES,
    PAYMENT_STATES,
    store_time,
)
from gateway.storage.database import Connection
from gateway.storage.log_rows import Scope
from gateway.storage.payment_rows import (
    MOVE_RESULT,
    PAYMENT_RESULT,
    read_move,
    read_payment,
)
from gateway.storage.statements import constant, sql
from gateway.storage.tables import cards, moves, payments, processor_accounts

_BEFORE_ALL: Final = datetime(1970, 1, 1, tzinfo=UTC)
_AFTER_ALL: Final = datetime(9999, 12, 31, tzinfo=UTC)
_SCOPE: Final[BindParameter[int]] = bindparam("scope")

_OF_CARD: Final = (
    select(cards.c.card)
    .where(cards.c.scope == _SCOPE, cards.c.token == bindparam("card"))
    .scalar_subquery()
)
_OF_CUSTOMER: Final = select(cards.c.card).where(
    cards.c.scope == _SCOPE,
    cards.c.customer_reference == bindparam("customer_reference"),
    cards.c.customer_reference != constant(""),
)
# The first of these that is asked for leads, because it leaves the fewest rows. SQLite
# keeps no statistics that would tell it so: what the others compare is written so that
# no index serves it.
_LEADING: Final = (
    "merchant_reference",
    "card",
    "customer_reference",
    "amount",
    "state",
)


def _no_index(column: ColumnElement[int]) -> ColumnElement[int]:
    """Returns ``+column``: equal to the column, and nothing that an index holds."""
    return UnaryExpression(column, operator=custom_op("+"), type_=column.type)


def _conditions(name: str, *, leads: bool) -> tuple[ColumnElement[bool], ...]:
    """Returns what a filter asks of a payment."""
    table = payments.c
    card = table.card if leads else _no_index(table.card)
    match name:
        case "merchant_reference":
            # A partial index serves only a query that repeats its condition.
            wanted = table.merchant_reference == bindparam(name)
            return wanted, table.merchant_reference != constant("")
        case "card":
            return (card == _OF_CARD,)
        case "customer_reference":
            return (card.in_(_OF_CUSTOMER),)
        case "amount":
            units = table.minor_units if leads else _no_index(table.minor_units)
            same_currency = table.currency == bindparam("currency")
            return units == bindparam("minor_units"), same_currency
        case "state":
            state = table.state if leads else _no_index(table.state)
            return (state == bindparam(name),)
        case _:
            return (cards.c.last_four == bindparam("last_four"),)


PAYMENT_FILTERS: Final = (*_LEADING, "last_four")
_MOVE_CONDITIONS: Final = {
    "payment": (payments.c.name == bindparam("payment"),),
    "status": (moves.c.status == bindparam("status"),),
}
REFUND_FILTERS: Final = tuple(_MOVE_CONDITIONS)


@cache
def payments_sql(filters: frozenset[str]) -> str:
    """Returns the statement for these filters; times and position are in each."""
    leading = next((name for name in _LEADING if name in filters), "")
    scope: ColumnElement[int] = payments.c.scope
    if leading in ("card", "customer_reference"):
        scope = _no_index(scope)  # the card's own index knows no merchant
    statement = (
        select(*PAYMENT_RESULT, payments.c.payment)
        .join(cards, cards.c.card == payments.c.card)
        .join(processor_accounts, processor_accounts.c.account == payments.c.account)
        .where(
            scope == _SCOPE,
            payments.c.created_at >= bindparam("created_from"),
            payments.c.created_at < bindparam("created_before"),
        )
    )
    for name in sorted(filters):
        statement = statement.where(*_conditions(name, leads=name == leading))
    return sql(_newest_first(statement, payments, payments.c.payment))


@cache
def refunds_sql(filters: frozenset[str]) -> str:
    """Returns the statement for these filters; the position is in each."""
    kind: ColumnElement[int] = moves.c.kind
    if "payment" in filters:
        kind = _no_index(kind)
    statement = (
        select(*MOVE_RESULT, moves.c.move)
        .join(payments, payments.c.payment == moves.c.payment)
        .where(moves.c.scope == _SCOPE, payments.c.scope == _SCOPE)
        .where(kind == constant(MOVE_KINDS.code(MoveKind.REFUND)))
    )
    for name in sorted(filters):
        statement = statement.where(*_MOVE_CONDITIONS[name])
    return sql(_newest_first(statement, moves, moves.c.move))


def _newest_first(
    statement: Select[Any], table: Table, number: ColumnElement[int]
) -> Select[Any]:
    made = table.c.created_at
    after: BindParameter[int] = bindparam("after_time")
    # "Not later" finds the place in the index; the rest tells equal times apart.
    is_later_page = or_(made < after, number < bindparam("after_number"))
    return (
        statement.where(made <= after, is_later_page)
        .order_by(made.desc(), number.desc())
        .limit(bindparam("limit"))
        # Left out, SQLAlchemy would write a parameter of its own for SQLite.
        .offset(constant(0))
    )


def list_payments(
    connection: Connection, scope: Scope, wanted: PaymentFilter, page: Page
) -> PaymentPage:
    """See gateway.payments.ports.PaymentStore.list_payments."""
    values: dict[str, int | str] = {
        "scope": scope.row,
        "created_from": store_time(wanted.created_from or _BEFORE_ALL),
        "created_before": store_time(wanted.created_before or _AFTER_ALL),
        "merchant_reference": wanted.merchant_reference,
        "customer_reference": wanted.customer_reference,
        "card": wanted.card or "",
        "last_four": wanted.last_four,
    }
    if wanted.state is not None:
        values["state"] = PAYMENT_STATES.code(wanted.state)
    if wanted.amount is not None:
        values["minor_units"] = wanted.amount.minor_units
        values["currency"] = wanted.amount.currency
    filters = frozenset(name for name in PAYMENT_FILTERS if getattr(wanted, name))
    rows = _fetch(connection, payments_sql(filters), values, page)
    listed = [(read_payment(row[:-1]), row[-1]) for row in rows[: page.size]]
    position = ""
    if len(rows) > page.size:
        last, number = listed[-1]
        position = _show_position(last.created_at, number)
    return PaymentPage([payment for payment, _ in listed], position)


def list_refunds(
    connection: Connection, scope: Scope, wanted: RefundFilter, page: Page
) -> RefundPage:
    """See gateway.payments.ports.PaymentStore.list_refunds."""
    values: dict[str, int | str] = {
        "scope": scope.row,
        "payment": wanted.payment or "",
    }
    if wanted.status is not None:
        values["status"] = MOVE_STATUSES.code(wanted.status)
    filters = frozenset(name for name in REFUND_FILTERS if getattr(wanted, name))
    rows = _fetch(connection, refunds_sql(filters), values, page)
    listed = [(read_move(row[:-1]), row[-1]) for row in rows[: page.size]]
    position = ""
    if len(rows) > page.size:
        last, number = listed[-1]
        position = _show_position(last.created_at, number)
    return RefundPage([refund for refund, _ in listed], position)


def _fetch(
    connection: Connection,
    statement: str,
    values: Mapping[str, int | str],
    page: Page,
) -> list[tuple[Any, ...]]:
    """Returns one row more than the page has, if there is one."""
    time, number = store_time(_AFTER_ALL), 0
    if page.after:
        time, number = (int(part) for part in page.after.split("."))
    place = {"after_time": time, "after_number": number, "limit": page.size + 1}
    return connection.execute(statement, {**values, **place}).fetchall()


def _show_position(made: datetime, number: int) -> str:
    return f"{store_time(made)}.{number}"
