"""Payments, moves, the keys that pay once, and the processor's customers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Table,
    bindparam,
    delete,
    insert,
    or_,
    select,
    union,
    update,
)

from gateway.errors import PaymentNotFound
from gateway.payments.payment import Move, Payment
from gateway.payments.payment_event import PaymentEvent
from gateway.payments.payment_lists import (
    Page,
    PaymentFilter,
    PaymentPage,
    RefundFilter,
    RefundPage,
)
from gateway.storage import payment_event_store, payment_list_store
from gateway.storage.codes import store_time
from gateway.storage.database import Connection
from gateway.storage.log_rows import Scope
from gateway.storage.payment_rows import (
    MOVE_COLUMNS,
    MOVE_RESULT,
    PAYMENT_COLUMNS,
    PAYMENT_RESULT,
    move_values,
    payment_values,
    read_move,
    read_payment,
)
from gateway.storage.statements import constant, sql, upsert
from gateway.storage.tables import (
    cards,
    charge_once,
    customers,
    is_unsettled_move,
    is_unsettled_payment,
    moves,
    payments,
    processor_accounts,
    scopes,
)
from gateway.words.identifiers import MerchantId, PaymentName, ProcessorAccountId

_SCOPE: Final[BindParameter[int]] = bindparam("scope")
_CARD: Final = (
    select(cards.c.card)
    .where(cards.c.scope == _SCOPE, cards.c.token == bindparam("card_token"))
    .scalar_subquery()
)
_ACCOUNT: Final = (
    select(processor_accounts.c.account)
    .where(
        processor_accounts.c.scope == _SCOPE,
        processor_accounts.c.name == bindparam("account_name"),
    )
    .scalar_subquery()
)
_OF_PAYMENT: Final = (
    select(payments.c.payment)
    .where(payments.c.scope == _SCOPE, payments.c.name == bindparam("payment_name"))
    .scalar_subquery()
)

_INSERT_PAYMENT: Final = sql(
    insert(payments).values(
        {
            **{column: bindparam(column.name) for column in PAYMENT_COLUMNS},
            payments.c.scope: _SCOPE,
            payments.c.card: _CARD,
            payments.c.account: _ACCOUNT,
        }
    )
)
_UPDATE_PAYMENT: Final = sql(
    update(payments)
    .where(payments.c.scope == _SCOPE, payments.c.name == bindparam("payment_name"))
    .values(
        {
            **{column: bindparam(column.name) for column in PAYMENT_COLUMNS},
            payments.c.card: _CARD,
            payments.c.account: _ACCOUNT,
        }
    )
)
_PAYMENTS: Final = (
    select(*PAYMENT_RESULT)
    .join(cards, cards.c.card == payments.c.card)
    .join(processor_accounts, processor_accounts.c.account == payments.c.account)
    .where(payments.c.scope == _SCOPE)
)
_BY_NAME: Final = sql(_PAYMENTS.where(payments.c.name == bindparam("value")))
# A partial index serves only a query that repeats its condition.
_BY_CHARGE_ONCE_KEY: Final = sql(
    _PAYMENTS.where(
        payments.c.charge_once_key == bindparam("value"),
        payments.c.charge_once_key != constant(""),
    ).order_by(payments.c.payment.desc())
)
_BY_PROCESSOR_OBJECT: Final = sql(
    _PAYMENTS.where(
        payments.c.processor_object == bindparam("value"),
        payments.c.processor_object != constant(""),
    ).order_by(payments.c.payment.desc())
)

_CLAIM: Final = sql(upsert(charge_once).on_conflict_do_nothing())
_HOLDER: Final = sql(
    select(charge_once.c.payment).where(
        charge_once.c.scope == _SCOPE, charge_once.c.key == bindparam("key")
    )
)
_FREE: Final = sql(
    delete(charge_once).where(
        charge_once.c.scope == _SCOPE,
        charge_once.c.key == bindparam("key"),
        charge_once.c.payment == bindparam("payment"),
    )
)

_INSERT_MOVE: Final = sql(
    insert(moves).values(
        {
            **{column: bindparam(column.name) for column in MOVE_COLUMNS},
            moves.c.scope: _SCOPE,
            moves.c.payment: _OF_PAYMENT,
        }
    )
)
_UPDATE_MOVE: Final = sql(
    update(moves)
    .where(moves.c.scope == _SCOPE, moves.c.name == bindparam("move_name"))
    .values({column: bindparam(column.name) for column in MOVE_COLUMNS})
)
_MOVES: Final = (
    select(*MOVE_RESULT)
    .join(payments, payments.c.payment == moves.c.payment)
    .where(moves.c.scope == _SCOPE)
)
_MOVE_BY_NAME: Final = sql(_MOVES.where(moves.c.name == bindparam("value")))
_MOVES_OF_PAYMENT: Final = sql(
    _MOVES.where(payments.c.name == bindparam("value")).order_by(moves.c.move)
)

_FIND_CUSTOMER: Final = sql(
    select(customers.c.customer)
    .join(processor_accounts, processor_accounts.c.account == customers.c.account)
    .where(
        customers.c.scope == _SCOPE,
        processor_accounts.c.scope == _SCOPE,
        processor_accounts.c.name == bindparam("account_name"),
        customers.c.customer_reference == bindparam("customer_reference"),
    )
)
_customer: Final = upsert(customers).values(
    scope=_SCOPE,
    account=_ACCOUNT,
    customer_reference=bindparam("customer_reference"),
    customer=bindparam("customer"),
)
_PUT_CUSTOMER: Final = sql(
    _customer.on_conflict_do_update(
        index_elements=[
            customers.c.scope,
            customers.c.account,
            customers.c.customer_reference,
        ],
        set_={"customer": _customer.excluded.customer},
    )
)


def _is_due(table: Table) -> ColumnElement[bool]:
    now: BindParameter[int] = bindparam("now")
    return or_(table.c.next_check_at.is_(None), table.c.next_check_at <= now) & or_(
        table.c.lease_until.is_(None), table.c.lease_until <= now
    )


# The one query without a scope: the resolver works for every merchant, and learns
# nothing but names.
_due: Final = union(
    select(payments.c.payment).where(is_unsettled_payment(), _is_due(payments)),
    select(moves.c.payment).where(is_unsettled_move(), _is_due(moves)),
).subquery("due")
_UNSETTLED: Final = sql(
    select(scopes.c.merchant, payments.c.name)
    .join(_due, _due.c.payment == payments.c.payment)
    .join(scopes, scopes.c.scope == payments.c.scope)
    .order_by(payments.c.created_at, payments.c.payment)
)


class SqlPaymentStore:
    """See gateway.payments.ports.PaymentStore."""

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._connection = connection
        self._scope = scope

    def add(self, payment: Payment) -> None:
        """See PaymentStore.add.

        Raises:
            InvariantBroken: The merchant lacks the card or the account, or has a
                payment of this name.
        """
        self._connection.execute(_INSERT_PAYMENT, self._payment(payment))

    def find(self, name: PaymentName) -> Payment | None:
        """See PaymentStore.find."""
        return self._one(_BY_NAME, name)

    def lock(self, name: PaymentName) -> Payment | None:
        """See PaymentStore.lock. One unit writes at a time, so to read is to lock."""
        return self.find(name)

    def find_by_charge_once_key(self, key: str) -> Payment | None:
        """See PaymentStore.find_by_charge_once_key."""
        return self._one(_BY_CHARGE_ONCE_KEY, key)

    def find_by_processor_object(self, processor_object: str) -> Payment | None:
        """See PaymentStore.find_by_processor_object."""
        return self._one(_BY_PROCESSOR_OBJECT, processor_object)

    def save(self, payment: Payment) -> None:
        """See PaymentStore.save.

        Raises:
            PaymentNotFound: The merchant has no payment of this name.
        """
        values = {**self._payment(payment), "payment_name": payment.name}
        if self._connection.execute(_UPDATE_PAYMENT, values).rowcount != 1:
            raise PaymentNotFound

    def claim_charge_once(self, key: str, payment: PaymentName) -> PaymentName | None:
        """See PaymentStore.claim_charge_once. To claim again is to hold already."""
        claim = {"scope": self._scope.row, "key": key, "payment": payment}
        if self._connection.execute(_CLAIM, claim).rowcount == 1:
            return None
        holder = self._connection.execute(
            _HOLDER, {"scope": self._scope.row, "key": key}
        ).fetchone()[0]
        return None if holder == payment else PaymentName(holder)

    def free_charge_once(self, key: str, payment: PaymentName) -> None:
        """See PaymentStore.free_charge_once."""
        claim = {"scope": self._scope.row, "key": key, "payment": payment}
        self._connection.execute(_FREE, claim)

    def add_move(self, move: Move) -> None:
        """See PaymentStore.add_move.

        Raises:
            InvariantBroken: The merchant lacks the payment, or has a move of this name.
        """
        self._connection.execute(_INSERT_MOVE, self._move(move))

    def find_move(self, name: str) -> Move | None:
        """See PaymentStore.find_move."""
        where = {"scope": self._scope.row, "value": name}
        row = self._connection.execute(_MOVE_BY_NAME, where).fetchone()
        return None if row is None else read_move(row)

    def moves(self, payment: PaymentName) -> Sequence[Move]:
        """See PaymentStore.moves."""
        where = {"scope": self._scope.row, "value": payment}
        rows = self._connection.execute(_MOVES_OF_PAYMENT, where)
        return [read_move(row) for row in rows]

    def save_move(self, move: Move) -> None:
        """See PaymentStore.save_move.

        Raises:
            PaymentNotFound: The merchant has no move of this name.
        """
        values = {**self._move(move), "move_name": move.name}
        if self._connection.execute(_UPDATE_MOVE, values).rowcount != 1:
            raise PaymentNotFound

    def list_payments(self, wanted: PaymentFilter, page: Page) -> PaymentPage:
        """See PaymentStore.list_payments."""
        return payment_list_store.list_payments(
            self._connection, self._scope, wanted, page
        )

    def list_refunds(self, wanted: RefundFilter, page: Page) -> RefundPage:
        """See PaymentStore.list_refunds."""
        return payment_list_store.list_refunds(
            self._connection, self._scope, wanted, page
        )

    def append_event(self, event: PaymentEvent) -> None:
        """See PaymentStore.append_event."""
        payment_event_store.append_event(self._connection, self._scope, event)

    def events(
        self, after: int, limit: int, payment: PaymentName | None = None
    ) -> Sequence[PaymentEvent]:
        """See PaymentStore.events."""
        return payment_event_store.events(
            self._connection, self._scope, after, limit, payment
        )

    def find_customer(
        self, account_id: ProcessorAccountId, customer_reference: str
    ) -> str | None:
        """See PaymentStore.find_customer."""
        row = self._connection.execute(
            _FIND_CUSTOMER, self._customer(account_id, customer_reference)
        ).fetchone()
        return None if row is None else str(row[0])

    def put_customer(
        self, account_id: ProcessorAccountId, customer_reference: str, customer: str
    ) -> None:
        """See PaymentStore.put_customer.

        Raises:
            InvariantBroken: The merchant has no such account.
        """
        row = self._customer(account_id, customer_reference)
        self._connection.execute(_PUT_CUSTOMER, {**row, "customer": customer})

    def _one(self, statement: str, value: str) -> Payment | None:
        where = {"scope": self._scope.row, "value": value}
        row = self._connection.execute(statement, where).fetchone()
        return None if row is None else read_payment(row)

    def _payment(self, payment: Payment) -> dict[str, object]:
        return {
            **payment_values(payment),
            "scope": self._scope.row,
            "card_token": payment.card,
            "account_name": payment.account_id,
        }

    def _move(self, move: Move) -> dict[str, object]:
        return {
            **move_values(move),
            "scope": self._scope.row,
            "payment_name": move.payment,
        }

    def _customer(
        self, account_id: ProcessorAccountId, customer_reference: str
    ) -> dict[str, int | str]:
        return {
            "scope": self._scope.row,
            "account_name": account_id,
            "customer_reference": customer_reference,
        }


def find_unsettled(
    connection: Connection, now: datetime, limit: int
) -> list[tuple[MerchantId, PaymentName]]:
    """See gateway.payments.ports.UnsettledPayments."""
    due = connection.execute(_UNSETTLED, {"now": store_time(now)})
    rows = due.fetchmany(limit)
    return [(MerchantId(merchant), PaymentName(name)) for merchant, name in rows]
