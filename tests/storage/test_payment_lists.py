"""SQLite lists payments, refunds and events, each by the index made for it."""

import re
import sqlite3
from itertools import chain, combinations

import pytest

from gateway.storage.payment_list_store import (
    PAYMENT_FILTERS,
    REFUND_FILTERS,
    payments_sql,
    refunds_sql,
)
from gateway.storage.schema import migrate
from tests.builders.storage import open_shop
from tests.contract.payment_events_contract import PaymentEventsContract
from tests.contract.payment_lists_contract import PaymentListsContract

# Which index leads when several filters are set: the one that leaves the fewest rows.
LEADING = {
    "merchant_reference": "payments_by_merchant_reference (scope=? AND merchant_refer",
    "card": "payments_by_card (card=? AND created_at",
    "customer_reference": "payments_by_card (card=? AND created_at",
    "amount": "payments_by_amount (scope=? AND minor_units=? AND currency=? AND crea",
    "state": "payments_by_state (scope=? AND state=? AND created_at",
    "": "payments_by_time (scope=? AND created_at",
}


def sets_of(names):
    return [
        frozenset(chosen)
        for chosen in chain.from_iterable(
            combinations(names, size) for size in range(len(names) + 1)
        )
    ]


@pytest.fixture
async def storage(tmp_path):
    opened = await open_shop(tmp_path)
    yield opened
    await opened.close()


class TestSqlitePaymentLists(PaymentListsContract):
    pass


class TestSqlitePaymentEvents(PaymentEventsContract):
    pass


@pytest.fixture(scope="module")
def plan_of(tmp_path_factory):
    path = tmp_path_factory.mktemp("plans") / "bailee.db"
    migrate(path)
    connection = sqlite3.connect(path)
    names = [*PAYMENT_FILTERS, *REFUND_FILTERS, "scope", "minor_units", "currency"]
    names += ["created_from", "created_before", "after_time", "after_number", "limit"]

    def plan(statement):
        values = dict.fromkeys(names, 1)
        rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
        return [step for *_, step in rows]

    yield plan
    connection.close()


class TestPlans:
    @pytest.mark.parametrize("filters", sets_of(PAYMENT_FILTERS), ids=sorted)
    def test_payments_come_by_an_index_in_the_lists_order(self, plan_of, filters):
        plan = plan_of(payments_sql(filters))

        leading = next((name for name in LEADING if name in filters), "")
        assert LEADING[leading] in str(plan)
        assert not any(step.startswith("SCAN") for step in plan), plan
        is_sorted = any("TEMP B-TREE" in step for step in plan)
        assert is_sorted == (leading == "customer_reference"), plan

    @pytest.mark.parametrize("filters", sets_of(REFUND_FILTERS), ids=sorted)
    def test_refunds_come_by_an_index(self, plan_of, filters):
        plan = plan_of(refunds_sql(filters))

        assert not any(step.startswith("SCAN") for step in plan), plan
        is_sorted = any("TEMP B-TREE" in step for step in plan)
        assert is_sorted == ("payment" in filters), plan

    def test_name_the_merchant(self):
        """covers: I9."""
        texts = [payments_sql(each) for each in sets_of(PAYMENT_FILTERS)]
        texts += [refunds_sql(each) for each in sets_of(REFUND_FILTERS)]

        assert all(re.search(r"payments\.scope\)? = :scope", text) for text in texts)
