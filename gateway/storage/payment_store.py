"""Payments, moves, and the keys that pay once. See payments/ports.py."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from gateway.payments.payment import Move, Payment
from gateway.storage.payment_rows import (
    MOVE_COLUMNS,
    PAYMENT_COLUMNS,
    move_values,
    payment_values,
    read_move,
    read_payment,
)
from gateway.storage.rows import Connection, to_milliseconds
from gateway.words.identifiers import MerchantId, PaymentName, ProcessorAccountId


def _insert(table: str, columns: Sequence[str]) -> str:
    names = ", ".join(columns)
    values = ", ".join(f":{column}" for column in columns)
    return f"INSERT INTO {table} (merchant_id, {names}) VALUES (:merchant_id, {values})"


def _update(table: str, columns: Sequence[str]) -> str:
    changes = ", ".join(f"{column} = :{column}" for column in columns)
    return (
        f"UPDATE {table} SET {changes} "
        "WHERE merchant_id = :merchant_id AND name = :name"
    )


_ADD: Final = _insert("payments", PAYMENT_COLUMNS)
_SAVE: Final = _update("payments", PAYMENT_COLUMNS)
_SELECT: Final = (
    f"SELECT {', '.join(PAYMENT_COLUMNS)} FROM payments WHERE merchant_id = ?"
)
_BY_NAME: Final = f"{_SELECT} AND name = ?"
# The partial indexes need their condition repeated.
_BY_KEY: Final = (
    f"{_SELECT} AND charge_once_key = ? AND charge_once_key <> '' "
    "ORDER BY id DESC LIMIT 1"
)
_BY_OBJECT: Final = f"{_SELECT} AND processor_object = ? AND processor_object <> ''"
_ADD_MOVE: Final = _insert("moves", MOVE_COLUMNS)
_SAVE_MOVE: Final = _update("moves", MOVE_COLUMNS)
_MOVES: Final = f"SELECT {', '.join(MOVE_COLUMNS)} FROM moves WHERE merchant_id = ?"
_MOVE_BY_NAME: Final = f"{_MOVES} AND name = ?"
_MOVES_OF: Final = f"{_MOVES} AND payment = ? ORDER BY id"
_CLAIM: Final = "INSERT OR IGNORE INTO charge_once VALUES (?, ?, ?)"
_HOLDER: Final = "SELECT payment FROM charge_once WHERE merchant_id = ? AND key = ?"
_FREE: Final = (
    "DELETE FROM charge_once WHERE merchant_id = ? AND key = ? AND payment = ?"
)
_FIND_CUSTOMER: Final = (
    "SELECT customer FROM processor_customers "
    "WHERE merchant_id = ? AND account = ? AND customer_reference = ?"
)
_PUT_CUSTOMER: Final = "INSERT OR REPLACE INTO processor_customers VALUES (?, ?, ?, ?)"
_DUE: Final = (
    "{status} IN ('submitted', 'unknown') AND (next_check_at IS NULL OR "
    "next_check_at <= :now) AND (lease_until IS NULL OR lease_until <= :now)"
)
_UNSETTLED: Final = (
    "SELECT merchants.name, due.payment FROM ("
    "SELECT merchant_id, name AS payment, created_at FROM payments WHERE "
    f"{_DUE.format(status='state')} UNION "
    "SELECT merchant_id, payment, created_at FROM moves WHERE "
    f"{_DUE.format(status='status')}"
    ") AS due JOIN merchants ON merchants.id = due.merchant_id "
    "GROUP BY due.merchant_id, due.payment ORDER BY MIN(due.created_at) LIMIT :limit"
)


class SqlitePaymentStore:
    """See PaymentStore."""

    def __init__(self, connection: Connection, merchant_id: int) -> None:
        self._connection = connection
        self._merchant_id = merchant_id

    def add(self, payment: Payment) -> None:
        """See PaymentStore.add."""
        values = payment_values(payment) | {"merchant_id": self._merchant_id}
        self._connection.execute(_ADD, values)

    def find(self, name: PaymentName) -> Payment | None:
        """See PaymentStore.find."""
        return self._one(_BY_NAME, name)

    def lock(self, name: PaymentName) -> Payment | None:
        """See PaymentStore.lock; SQLite has one writer."""
        return self.find(name)

    def find_by_charge_once_key(self, key: str) -> Payment | None:
        """See PaymentStore.find_by_charge_once_key."""
        return self._one(_BY_KEY, key)

    def find_by_processor_object(self, processor_object: str) -> Payment | None:
        """See PaymentStore.find_by_processor_object."""
        return self._one(_BY_OBJECT, processor_object)

    def save(self, payment: Payment) -> None:
        """See PaymentStore.save."""
        values = payment_values(payment) | {"merchant_id": self._merchant_id}
        self._connection.execute(_SAVE, values)

    def claim_charge_once(self, key: str, payment: PaymentName) -> PaymentName | None:
        """See PaymentStore.claim_charge_once."""
        self._connection.execute(_CLAIM, (self._merchant_id, key, payment))
        row = self._connection.execute(_HOLDER, (self._merchant_id, key)).fetchone()
        return None if row[0] == payment else PaymentName(row[0])

    def free_charge_once(self, key: str, payment: PaymentName) -> None:
        """See PaymentStore.free_charge_once."""
        self._connection.execute(_FREE, (self._merchant_id, key, payment))

    def add_move(self, move: Move) -> None:
        """See PaymentStore.add_move."""
        values = move_values(move) | {"merchant_id": self._merchant_id}
        self._connection.execute(_ADD_MOVE, values)

    def find_move(self, name: str) -> Move | None:
        """See PaymentStore.find_move."""
        values = (self._merchant_id, name)
        row = self._connection.execute(_MOVE_BY_NAME, values).fetchone()
        return None if row is None else read_move(row)

    def moves(self, payment: PaymentName) -> Sequence[Move]:
        """See PaymentStore.moves."""
        values = (self._merchant_id, payment)
        rows = self._connection.execute(_MOVES_OF, values).fetchall()
        return [read_move(row) for row in rows]

    def save_move(self, move: Move) -> None:
        """See PaymentStore.save_move."""
        values = move_values(move) | {"merchant_id": self._merchant_id}
        self._connection.execute(_SAVE_MOVE, values)

    def find_customer(
        self, account_id: ProcessorAccountId, customer_reference: str
    ) -> str | None:
        """See PaymentStore.find_customer."""
        values = (self._merchant_id, account_id, customer_reference)
        row = self._connection.execute(_FIND_CUSTOMER, values).fetchone()
        return None if row is None else str(row[0])

    def put_customer(
        self, account_id: ProcessorAccountId, customer_reference: str, customer: str
    ) -> None:
        """See PaymentStore.put_customer."""
        values = (self._merchant_id, account_id, customer_reference, customer)
        self._connection.execute(_PUT_CUSTOMER, values)

    def _one(self, statement: str, value: str) -> Payment | None:
        row = self._connection.execute(statement, (self._merchant_id, value)).fetchone()
        return None if row is None else read_payment(row)


def find_unsettled(
    connection: Connection, now: datetime, limit: int
) -> Sequence[tuple[MerchantId, PaymentName]]:
    """See UnsettledPayments.unsettled."""
    values = {"now": to_milliseconds(now), "limit": limit}
    rows = connection.execute(_UNSETTLED, values).fetchall()
    return [(MerchantId(merchant), PaymentName(payment)) for merchant, payment in rows]
