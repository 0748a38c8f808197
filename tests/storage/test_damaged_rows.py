"""A damaged card or payment is our fault, and no answer blames the caller for it."""

import sqlite3

import pytest

from gateway.errors import IntegrityViolation
from tests.builders.payments import a_till
from tests.builders.storage import SHOP

CARD = [
    "expiry = -5",
    "expiry = 'x'",
    "purposes = 0",
    "purposes = 256",  # marketing, which no mandate can grant
    "purposes = 1.5",
    "state = 99",
    "created_at = 9000000000000000000",
]
PAYMENT = [
    "minor_units = -1",
    "minor_units = 'x'",
    "currency = 'XXX'",
    "metadata = '4242424242424242'",
    "metadata = '{'",
    "decline = '{}'",
    "request_id = x'00'",
    "updated_at = 'x'",
    "state = 99",
]
MOVE = ["minor_units = -1", "currency = ''", "kind = 9", "created_at = 'x'"]


@pytest.fixture
async def paid(tmp_path):
    async with a_till(tmp_path) as till:
        payment = (await till.charge()).payment
        await till.refund(payment, 100)
        yield till, payment


def damage(till, statement):
    connection = sqlite3.connect(till.vault.folder / "bailee.db")
    with connection:
        connection.execute(statement)
    connection.close()


class TestDamagedRow:
    @pytest.mark.parametrize("change", CARD)
    async def test_of_a_card_is_an_integrity_violation(self, paid, change):
        till, payment = paid
        damage(till, f"UPDATE cards SET {change}")

        with pytest.raises(IntegrityViolation):
            await till.vault.find(payment.card)

    @pytest.mark.parametrize("change", PAYMENT)
    async def test_of_a_payment_is_an_integrity_violation(self, paid, change):
        till, payment = paid
        damage(till, f"UPDATE payments SET {change}")

        with pytest.raises(IntegrityViolation):
            await till.find(payment)

    @pytest.mark.parametrize("change", MOVE)
    async def test_of_a_refund_is_an_integrity_violation(self, paid, change):
        till, payment = paid
        damage(till, f"UPDATE moves SET {change}")

        with pytest.raises(IntegrityViolation):
            await till.storage.read(
                SHOP, lambda unit: unit.payments.moves(payment.name)
            )
