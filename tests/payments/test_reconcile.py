"""The log beside the processor's list: every class, in both directions."""

from datetime import timedelta

import pytest

from gateway.audit.entry import EntryType
from gateway.payments.reconcile import ListedPayment, Match, read_uses, reconcile
from gateway.words.money import Money
from tests.builders.storage import NOW
from tests.builders.vault import an_account
from tests.builders.watched import PRICE, Site

ACCOUNT = an_account()
START, END = NOW - timedelta(days=1), NOW + timedelta(days=1)
LOGGED = {"processor_account": "simulator", "environment": "test"}


class Case:
    """A log and a list, written side by side."""

    def __init__(self, folder):
        self.site = Site(folder)
        self.listed = []

    def use(self, name, outcome="CAPTURED", **changes):
        request_id = self.site.ask()
        values = {"payment": name} | LOGGED | changes
        self.site.use(request_id, **values)
        if outcome:
            self.site.use(request_id, EntryType.USE_OUTCOME, outcome=outcome, **values)

    def move(self, name, action, minor_units, outcome="SUCCEEDED", request_id=None):
        self.site.append(
            EntryType.PAYMENT_OUTCOME,
            request_id=request_id or self.site.ask(),
            action=action,
            payment=name,
            amount=Money(minor_units, "EUR"),
            outcome=outcome,
        )

    def list(self, name, captured=1999, refunded=0, **changes):
        values = {
            "processor_object": f"pi_{len(self.listed)}",
            "payment": name,
            "amount": PRICE,
            "captured": captured,
            "refunded": refunded,
            "created_at": NOW,
        }
        self.listed.append(ListedPayment(**values | changes))

    def lines(self):
        uses = read_uses(self.site.shown.leaves)
        return reconcile(uses, self.listed, account=ACCOUNT, start=START, end=END)

    def matches(self):
        return [line.match for line in self.lines()]


@pytest.fixture
def case(tmp_path):
    made = Case(tmp_path)
    yield made
    made.site.store.close()


class TestReconcile:
    def test_matches_what_both_say(self, case):
        case.use("pay_1")
        case.list("pay_1")

        assert case.matches() == [Match.MATCHED]

    @pytest.mark.parametrize("outcome", ["FAILED", "UNKNOWN", "DECLINED", None])
    def test_takes_what_moved_nothing_as_such(self, case, outcome):
        case.use("pay_1", outcome)

        assert case.matches() == [Match.NOT_EXECUTED]

    @pytest.mark.parametrize("outcome", ["CAPTURED", "AUTHORIZED"])
    def test_finds_a_use_that_the_processor_does_not_know(self, case, outcome):
        case.use("pay_1", outcome)

        [line] = case.lines()
        assert (line.match, line.is_alarm) == (Match.USE_WITHOUT_OBJECT, True)

    def test_finds_an_object_in_our_name_that_was_not_logged(self, case):
        case.list("pay_1")

        [line] = case.lines()
        assert (line.match, line.is_alarm) == (Match.OBJECT_WITHOUT_USE, True)

    def test_finds_a_second_object_of_one_use(self, case):
        case.use("pay_1")
        case.list("pay_1")
        case.list("pay_1")

        assert case.matches() == [Match.MATCHED, Match.OBJECT_WITHOUT_USE]

    def test_calls_the_merchants_other_traffic_foreign(self, case):
        case.list("")

        [line] = case.lines()
        assert (line.match, line.is_alarm) == (Match.FOREIGN, False)

    @pytest.mark.parametrize(
        "changes",
        [
            {"amount": Money(2000, "EUR")},
            {"amount": Money(1999, "USD")},
            {"captured": 1998},
            {"captured": 0},
            {"refunded": 1},
        ],
    )
    def test_finds_what_differs(self, case, changes):
        case.use("pay_1")
        case.list("pay_1", **changes)

        [line] = case.lines()
        assert (line.match, line.is_alarm) == (Match.DIFFERS, True)

    def test_adds_up_captures_and_refunds(self, case):
        case.use("pay_1", "AUTHORIZED")
        case.move("pay_1", "capture", 1500)
        case.move("pay_1", "refund", 300)
        case.move("pay_1", "refund", 999, outcome="FAILED")
        again = case.site.ask()
        case.move("pay_1", "refund", 200, outcome="PENDING", request_id=again)
        case.move("pay_1", "refund", 200, request_id=again)
        case.list("pay_1", captured=1500, refunded=500)

        assert case.matches() == [Match.MATCHED]

    def test_takes_a_hold_that_was_released_as_moving_nothing(self, case):
        case.use("pay_1", "AUTHORIZED")
        case.move("pay_1", "cancel", 1999)
        case.list("pay_1", captured=0)

        assert case.matches() == [Match.MATCHED]

    def test_looks_at_one_account_and_one_period(self, case):
        case.use("pay_1", processor_account="other")
        case.use("pay_2", at=END)
        case.list("pay_3", created_at=END)
        case.list("", created_at=START - timedelta(seconds=1))

        assert case.lines() == []

    def test_finds_an_object_that_was_made_a_moment_after_the_period(self, case):
        case.use("pay_1", at=END - timedelta(seconds=1))
        case.list("pay_1", created_at=END + timedelta(seconds=1))

        assert case.matches() == [Match.MATCHED]
