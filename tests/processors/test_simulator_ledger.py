"""The simulated bank's rules, asked directly."""

from datetime import timedelta

import pytest

from gateway.errors import StorageUnavailable
from gateway.processors.simulator.ledger import Ledger
from gateway.processors.simulator.wire import Operation, Request
from tests.processors.simulator_harness import MovingClock, totals_of

OK = "4242424242424242"
UNLESS_SET_UP = "4000002500003155"
ALWAYS = "4000002760003184"
THEN_DECLINED = "4000008260003178"
BACK = "https://shop.example/back"


class Bank:
    """A ledger and shorter ways to ask it."""

    def __init__(self, file=None, clock=None, **options):
        self.clock = clock or MovingClock()
        self.ledger = Ledger(file, self.clock, **options)
        self.asked = 0

    def ask(self, operation, body, target="", key=""):
        self.asked += 1
        request = Request(
            operation=operation,
            target=target,
            key=key or f"key-{self.asked}",
            body=body,
        )
        return self.ledger.handle(request)

    def card(self, number=OK, year=2031, **changes):
        card = {"number": number, "expiry_month": 12, "expiry_year": year}
        return self.ask(Operation.PAYMENT_METHOD, {"card": card} | changes)

    def customer(self):
        return self.ask(Operation.CUSTOMER, {}).body["id"]

    def pay(self, method, key="", **changes):
        body = {"amount": 1000, "currency": "USD", "payment_method": method}
        return self.ask(Operation.PAYMENT, body | changes, key=key)

    def stored(self, number=OK):
        """Returns a customer and a payment method that belongs to it."""
        customer, method = self.customer(), self.card(number).body["id"]
        first = self.pay(
            method, customer=customer, store="off_session", return_url=BACK
        )
        if first.body["status"] == "requires_action":
            self.ledger.authenticate(first.body["id"], succeeded=True)
        return customer, method

    def captured(self):
        return totals_of(self.ledger.dump()).captured


@pytest.fixture
def bank():
    return Bank()


def code_of(answer):
    return answer.body["error"]["code"]


class TestKeys:
    def test_replay_the_first_answer_for_a_day(self, bank):
        _, method = bank.stored()
        body = {"amount": 1, "currency": "USD", "payment_method": "gone"}
        first = bank.ask(Operation.PAYMENT, body, key="k")

        bank.clock.advance(hours=23, minutes=59)
        again = bank.ask(Operation.PAYMENT, body, key="k")

        assert (first.status, again.status) == (404, 404)
        assert (first.replayed, again.replayed) == (False, True)
        assert method

    @pytest.mark.parametrize("forget", ["day", "prune"])
    def test_that_were_forgotten_let_a_replay_move_money_again(self, bank, forget):
        """Why the gateway replays within minutes and searches after that."""
        customer, method = bank.stored()
        before = bank.captured()
        bank.pay(method, key="k", customer=customer)
        if forget == "day":
            bank.clock.advance(hours=24)
        else:
            bank.ledger.prune_keys()

        bank.pay(method, key="k", customer=customer)

        assert bank.captured() == before + 2000

    def test_are_not_taken_by_a_request_that_failed_validation(self, bank):
        customer, method = bank.stored()
        wrong = bank.pay(method, key="k", customer=customer, amount=0)

        right = bank.pay(method, key="k", customer=customer)

        assert (wrong.status, right.status) == (400, 200)

    @pytest.mark.parametrize("key", ["", "x" * 256])
    def test_are_required_and_bounded(self, bank, key):
        request = Request(operation=Operation.CUSTOMER, key=key)

        assert code_of(bank.ledger.handle(request)) == "idempotency_key_missing"

    def test_tell_two_cards_apart(self, bank):
        def store(number):
            card = {"number": number, "expiry_month": 12, "expiry_year": 2031}
            return bank.ask(Operation.PAYMENT_METHOD, {"card": card}, key="k")

        store(OK)

        assert code_of(store("5555555555554444")) == "idempotency_mismatch"

    def test_ignore_the_security_code(self, bank):
        def store(code):
            card = {"number": OK, "expiry_month": 12, "expiry_year": 2031}
            card["security_code"] = code
            return bank.ask(Operation.PAYMENT_METHOD, {"card": card}, key="k")

        assert store("123").body == store("321").body


class TestPaymentMethods:
    @pytest.mark.parametrize(
        ("number", "code"),
        [
            ("4242424242424241", "incorrect_number"),
            ("not a number", "incorrect_number"),
            ("４２４２４２４２４２４２４２４２", "incorrect_number"),
            # Another processor's test card: to this one it could be a real one.
            ("5454545454545454", "test_mode_live_card"),
        ],
    )
    def test_refuse_what_is_no_test_card(self, bank, number, code):
        answer = bank.card(number)

        assert (answer.status, code_of(answer)) == (402, code)
        assert bank.ledger.dump() == []

    def test_refuse_a_card_that_has_expired(self, bank):
        assert code_of(bank.card(year=2025)) == "invalid_expiry_year"

    def test_decline_once_the_card_has_expired(self, bank):
        customer, method = bank.stored()
        bank.clock.advance(days=365 * 6)

        assert code_of(bank.pay(method, customer=customer)) == "expired_card"

    def test_that_are_attached_need_their_customer(self, bank):
        _, method = bank.stored()
        other = bank.customer()
        before = bank.captured()

        for customer in ("", other):
            answer = bank.pay(method, customer=customer)
            assert code_of(answer) == "payment_method_customer_mismatch"
        assert bank.captured() == before

    def test_that_are_not_attached_are_used_up_by_a_decline_too(self, bank):
        method = bank.card("4000000000009995").body["id"]
        bank.pay(method)

        assert code_of(bank.pay(method)) == "payment_method_used"

    def test_belong_to_nobody_when_the_first_charge_is_declined(self, bank):
        customer = bank.customer()
        method = bank.card("4000000000009995").body["id"]
        bank.pay(method, customer=customer, store="off_session")

        again = bank.pay(method, customer=customer)

        assert code_of(again) == "payment_method_used"


class TestAuthentication:
    @pytest.mark.parametrize(
        ("number", "status"),
        [(UNLESS_SET_UP, "succeeded"), (ALWAYS, "requires_payment_method")],
    )
    def test_of_a_stored_card_off_session(self, bank, number, status):
        customer, method = bank.stored(number)

        answer = bank.pay(method, customer=customer, off_session=True)

        shown = answer.body if answer.status == 200 else answer.body["error"]["payment"]
        assert shown["status"] == status

    def test_is_asked_again_on_session(self, bank):
        customer, method = bank.stored(UNLESS_SET_UP)

        answer = bank.pay(method, customer=customer, return_url=BACK)

        assert answer.body["status"] == "requires_action"

    def test_does_not_help_a_card_without_money(self, bank):
        answer = bank.pay(bank.card(THEN_DECLINED).body["id"], return_url=BACK)

        payment = bank.ledger.authenticate(answer.body["id"], succeeded=True)

        assert payment.decline_code == "insufficient_funds"
        assert bank.captured() == 0


class TestHolds:
    @pytest.mark.parametrize(("off_session", "hours"), [(False, 168), (True, 114)])
    def test_end_by_themselves(self, bank, off_session, hours):
        customer, method = bank.stored()
        held = bank.pay(
            method, customer=customer, capture=False, off_session=off_session
        ).body
        bank.clock.advance(hours=hours)

        answer = bank.ask(Operation.CAPTURE, {"amount": 1000}, held["id"])

        assert code_of(answer) == "payment_unexpected_state"
        read = bank.ask(Operation.READ, {}, held["id"]).body
        assert (read["status"], read["capturable"]) == ("canceled", 0)


class TestRefunds:
    def test_need_money_that_was_collected(self, bank):
        customer, method = bank.stored()
        held = bank.pay(method, customer=customer, capture=False).body

        answer = bank.ask(Operation.REFUND, {"payment": held["id"]})

        assert code_of(answer) == "payment_not_captured"

    def test_give_back_what_is_left_when_no_amount_is_named(self, bank):
        customer, method = bank.stored()
        payment = bank.pay(method, customer=customer).body["id"]
        bank.ask(Operation.REFUND, {"payment": payment, "amount": 1})

        answer = bank.ask(Operation.REFUND, {"payment": payment})

        assert answer.body["amount"] == 999


class TestForms:
    @pytest.mark.parametrize(
        "change",
        [
            {"amount": True},
            {"amount": "1000"},
            {"amount": 10.5},
            {"amount": -1},
            {"amount": 100_000_000},
            {"amount": 1001, "currency": "KWD"},
            {"capture": "yes"},
            {"store": "always"},
            {"metadata": {"a": 1}},
            {"metadata": {str(number): "" for number in range(51)}},
            {"return_url": "x" * 2049},
            {"purpose": "marketing"},
            {"payment_method": None},
        ],
    )
    def test_refuse_what_is_not_of_the_documented_form(self, bank, change):
        method = bank.card().body["id"]

        answer = bank.pay(method, **change)

        assert answer.status == 400
        assert bank.pay(method).status == 200

    def test_never_quote_a_value(self, bank):
        body = {"card": {"number": OK, OK: "1", "expiry_month": "13"}}
        answer = bank.ask(Operation.PAYMENT_METHOD, body)

        assert OK not in str(answer)


class TestLedger:
    def test_answers_the_same_when_asked_the_same(self):
        answers = []
        for _ in range(2):
            bank = Bank(name="twin")
            customer, method = bank.stored()
            answers.append([bank.pay(method, customer=customer), bank.ledger.dump()])

        assert answers[0] == answers[1]

    def test_keeps_the_names_of_two_banks_apart(self):
        assert Bank().customer() != Bank().customer()

    def test_continues_where_its_file_ends(self, tmp_path):
        file, clock = tmp_path / "ledger.jsonl", MovingClock()
        bank = Bank(file, clock)
        customer, method = bank.stored(UNLESS_SET_UP)
        held = bank.pay(method, customer=customer, off_session=True, capture=False)
        bank.ask(Operation.CAPTURE, {"amount": 300}, held.body["id"])
        bank.ask(Operation.REFUND, {"payment": held.body["id"], "amount": 100})
        bank.ledger.advance(timedelta(hours=1))
        bank.ledger.close()

        again = Bank(file, clock)

        assert again.ledger.dump() == bank.ledger.dump()
        assert again.ledger.now() == bank.ledger.now()
        again.asked = bank.asked
        assert again.customer() not in str(bank.ledger.dump())
        again.ledger.close()

    def test_remembers_its_answers_across_a_restart(self, tmp_path):
        file, clock = tmp_path / "ledger.jsonl", MovingClock()
        bank = Bank(file, clock)
        customer, method = bank.stored()
        first = bank.pay(method, customer=customer, key="k")
        bank.ledger.close()

        again = Bank(file, clock)

        replayed = again.pay(method, customer=customer, key="k")
        assert (replayed.body, replayed.replayed) == (first.body, True)
        mismatch = again.pay(method, customer=customer, key="k", amount=7)
        assert code_of(mismatch) == "idempotency_mismatch"
        again.ledger.prune_keys()
        again.ledger.close()
        last = Bank(file, clock)
        assert not last.pay(method, customer=customer, key="k").replayed
        last.ledger.close()

    def test_cuts_off_a_last_line_that_was_never_finished(self, tmp_path):
        file = tmp_path / "ledger.jsonl"
        bank = Bank(file)
        bank.customer()
        bank.ledger.close()
        whole = file.read_bytes()
        file.write_bytes(whole + b'{"kind": "pay')

        again = Bank(file)

        assert again.ledger.dump() == bank.ledger.dump()
        assert file.read_bytes() == whole
        again.ledger.close()

    @pytest.mark.parametrize(
        "content",
        [
            b"{}\n",
            b"[]\n",
            b"no JSON\n",
            b"\xff\n",
            b'{"kind":"ledger","version":2}\n',
            b'{"kind":"ledger","version":1,"name":"a","salt":"00"}\n{}\n',
        ],
    )
    def test_refuses_a_file_that_is_no_ledger(self, tmp_path, content):
        file = tmp_path / "ledger.jsonl"
        file.write_bytes(content)

        for _ in range(2):  # the second time finds the file unlocked
            with pytest.raises(StorageUnavailable):
                Ledger(file)
        assert file.read_bytes() == content

    def test_lets_one_user_in(self, tmp_path):
        file = tmp_path / "ledger.jsonl"
        first = Ledger(file)

        with pytest.raises(StorageUnavailable):
            Ledger(file)
        first.close()
        Ledger(file).close()

    def test_answers_nothing_more_once_its_file_is_gone(self, tmp_path):
        bank = Bank(tmp_path / "ledger.jsonl")
        method = bank.card().body["id"]
        bank.ledger.close()

        for _ in range(2):
            with pytest.raises(StorageUnavailable):
                bank.pay(method, key="k")
