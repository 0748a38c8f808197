"""The resolver: what never answered is found out, never guessed. covers: I6."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.errors import AlreadyCharged
from gateway.payments.move_rules import Answer
from gateway.payments.payment import MoveStatus, PaymentState
from gateway.payments.processor import (
    Approved,
    FoundPayment,
    MoveOutcome,
    MoveState,
    ProcessorRefused,
)
from gateway.payments.record_outcome import ChargeFacts, RecordOutcome
from gateway.words.money import Money
from tests.builders.payments import DECLINED, LEASE, NEEDS_ACTION, PRICE
from tests.builders.storage import SHOP
from tests.builders.vault import a_delete_command, a_form, an_account
from tests.fakes.processor import Fault, Gate
from tests.payments.records import approved, canceled, pending

S = PaymentState
WINDOW = timedelta(hours=24)
QUARTER = timedelta(minutes=15)


class Died(BaseException):
    """The process ends here: nothing after it runs."""


async def lost_charge(till, fault=Fault.LOST_AFTER, **changes):
    """Returns a payment whose answer never came."""
    token = await till.stored_with_reference()
    till.processor.spoil("charge", fault)
    payment = (await till.charge(token, charge_once_key="k", **changes)).payment
    assert payment.state is S.UNKNOWN
    till.processor.calls.clear()
    return payment


async def settled(till, payment, after=timedelta(seconds=3)):
    await till.settle(after)
    return await till.find(payment)


def found(outcome=None, refunded=0, named="pi_1"):
    return FoundPayment(
        processor_object=named,
        outcome=outcome or approved(1999, 1999, named=named),
        refunded=Money(refunded, "USD"),
    )


class TestBeforeTheCharge:
    @pytest.mark.parametrize("operation", ["customer", "store"])
    async def test_nothing_moved(self, till, operation):
        """A process that died there never sent a charge, and never will."""
        till.processor.spoil(operation, Died())
        with pytest.raises(Died):
            await till.charge(charge_once_key="k")

        await till.settle()

        (payment,) = await _payments(till)
        assert (payment.state, payment.failure_reason) == (S.FAILED, "NOT_EXECUTED")
        assert till.processor.keys("charge") == []
        assert (await till.charge(charge_once_key="k")).payment.captured == 1999

    async def test_leaves_a_payment_with_a_live_lease_alone(self, till):
        till.processor.spoil("store", Died())
        with pytest.raises(Died):
            await till.charge()

        assert await till.settle(LEASE - timedelta(seconds=1)) == 0
        assert (await _payments(till))[0].state is S.SUBMITTED


class TestYoungCharge:
    @pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER])
    async def test_is_sent_again_with_the_same_key_and_body(self, till, fault):
        payment = await lost_charge(till, fault)

        after = await settled(till, payment)

        assert (after.state, after.captured) == (S.CAPTURED, 1999)
        assert till.processor.calls == [("charge", f"{payment.name}-charge")]
        assert till.processor.orders[-1] == till.processor.orders[-2]
        assert till.collected(payment) == 1999

    async def test_is_sent_again_after_its_first_card_was_stored(self, till):
        """The body of a first charge is rebuilt too, and without a security code."""
        till.processor.spoil("charge", Fault.LOST_AFTER)
        payment = (await till.charge()).payment

        assert (await settled(till, payment)).state is S.CAPTURED
        assert till.processor.orders[-1] == till.processor.orders[-2]
        assert till.processor.orders[-1].stores_credential
        assert len(till.processor.codes) == 1
        assert till.collected() == 1999

    async def test_goes_through_the_door_again(self, till):
        payment = await lost_charge(till)

        await settled(till, payment)

        types = [entry["type"] for entry in await till.outcomes(payment)]
        assert types == ["use.intent", "use.outcome"] * 2

    async def test_settles_a_payment_whose_process_died(self, till):
        token = await till.stored_with_reference()
        till.processor.spoil("charge", Died())
        with pytest.raises(Died):
            await till.charge(token)

        await till.settle()

        assert (await _payments(till))[-1].state is S.CAPTURED
        assert till.collected() == 1999 + 1

    async def test_gets_the_same_decline(self, till):
        card = await till.vault.tokenize(form=a_form(number=DECLINED))
        till.processor.spoil("charge", Fault.LOST_AFTER)
        payment = (await till.charge(card.token, charge_once_key="k")).payment

        after = await settled(till, payment)

        assert (after.state, after.decline.reason) == (S.DECLINED, "DO_NOT_HONOR")
        assert till.booked(payment)[0]["status"] == "canceled"
        assert (await till.charge(charge_once_key="k")).payment.captured == 1999

    async def test_waits_for_the_cardholder(self, till):
        card = await till.vault.tokenize(form=a_form(number=NEEDS_ACTION))
        till.processor.spoil("charge", Fault.LOST_AFTER)
        payment = (
            await till.charge(card.token, return_url="https://shop.example/back")
        ).payment

        assert (await settled(till, payment)).state is S.REQUIRES_ACTION

    @pytest.mark.parametrize(
        "fault",
        [
            Fault.UNAVAILABLE,
            ProcessorRefused("REQUEST_REFUSED"),
            ProcessorRefused("IDEMPOTENCY_MISMATCH"),
            Fault.LOST_BEFORE,
        ],
    )
    async def test_is_asked_about_when_sending_again_brings_no_fact(self, till, fault):
        """This try failed; whether the first one moved money is what matters."""
        payment = await lost_charge(till)
        till.processor.spoil("charge", fault, fault)

        after = await settled(till, payment)

        assert till.processor.calls[-1] == ("find", f"{payment.name}-inquiry")
        assert (after.state, after.captured) == (S.CAPTURED, 1999)

    async def test_stays_unknown_while_nobody_answers(self, till):
        payment = await lost_charge(till, Fault.LOST_BEFORE)
        till.processor.spoil("charge", Fault.LOST_BEFORE)
        till.processor.spoil("find", Fault.LOST_BEFORE)

        after = await settled(till, payment)

        assert (after.state, after.lease) == (S.UNKNOWN, None)
        assert after.next_check_at > till.clock.now()
        with pytest.raises(AlreadyCharged):
            await till.charge(charge_once_key="k")

    async def test_is_not_sent_again_when_policy_denies_it_now(self, till):
        payment = await lost_charge(till)
        await till.vault.delete_card_token.execute(a_delete_command(payment.card))

        after = await settled(till, payment)

        assert [name for name, _ in till.processor.calls] == ["find"]
        assert (after.state, after.captured) == (S.CAPTURED, 1999)

    async def test_is_not_sent_again_when_the_keys_are_out_of_reach(self, till):
        payment = await lost_charge(till)
        till.vault.hierarchy._by_id.clear()
        till.vault.provider.is_reachable = False

        after = await settled(till, payment)

        assert [name for name, _ in till.processor.calls] == ["find"]
        assert after.state is S.CAPTURED

    async def test_that_is_declined_and_not_closed_stays_unknown(self, till):
        card = await till.vault.tokenize(form=a_form(number=DECLINED))
        till.processor.spoil("charge", Fault.LOST_AFTER)
        payment = (await till.charge(card.token, charge_once_key="k")).payment
        till.processor.spoil("cancel", Fault.LOST_BEFORE)

        after = await settled(till, payment)

        assert after.state is S.UNKNOWN
        assert after.processor_object == till.booked(payment)[0]["id"]
        assert till.processor.keys("find") == []
        assert (await settled(till, after)).state is S.DECLINED


class TestOldCharge:
    async def test_is_never_sent_again(self, till):
        payment = await lost_charge(till, Fault.LOST_BEFORE)

        after = await settled(till, payment, QUARTER)

        assert [name for name, _ in till.processor.calls] == ["find"]
        assert after.state is S.UNKNOWN
        assert till.booked(payment) == []

    async def test_is_found_by_our_name(self, till):
        payment = await lost_charge(till)

        after = await settled(till, payment, QUARTER)

        assert (after.state, after.captured) == (S.CAPTURED, 1999)
        assert after.processor_object == till.booked(payment)[0]["id"]

    async def test_is_searched_by_the_customer_of_its_first_charge(self, till):
        """The reference stays shut: the customer is known without it."""
        payment = await lost_charge(till)

        await settled(till, payment, QUARTER)

        assert payment.customer == ""
        assert till.processor.searched == [till.processor.orders[-1].reference.customer]

    async def test_two_first_charges_at_once_share_the_customer(self, till):
        """Else one of them would be searched for under the wrong customer."""
        gate = Gate(after=True)
        till.processor.spoil("customer", gate)

        slow = asyncio.create_task(till.charge(customer_reference="c-1"))
        await gate.reached.wait()
        fast = (await till.charge(customer_reference="c-1")).payment
        gate.opened.set()
        late = (await slow).payment

        assert late.customer == fast.customer
        assert till.collected() == 2 * 1999

    async def test_keeps_its_key_until_the_window_has_passed(self, till):
        payment = await lost_charge(till, Fault.LOST_BEFORE)

        for _ in range(3):
            after = await settled(till, payment, timedelta(hours=5))

        assert (after.state, after.absent_inquiries) == (S.UNKNOWN, 0)
        with pytest.raises(AlreadyCharged):
            await till.charge(charge_once_key="k")

    async def test_fails_when_absent_twice_after_the_window(self, till):
        payment = await lost_charge(till, Fault.LOST_BEFORE)

        once = await settled(till, payment, WINDOW)
        assert (once.state, once.absent_inquiries) == (S.UNKNOWN, 1)
        twice = await settled(till, payment, timedelta(hours=1))

        assert (twice.state, twice.failure_reason) == (S.FAILED, "NOT_EXECUTED")
        assert (await till.charge(charge_once_key="k")).payment.captured == 1999
        assert till.collected() == 1999 + 1

    @pytest.mark.parametrize(
        "fault",
        [Fault.UNAVAILABLE, Fault.LOST_BEFORE, ProcessorRefused("CREDENTIAL_REJECTED")],
    )
    async def test_silence_is_not_absence(self, till, fault):
        payment = await lost_charge(till, Fault.LOST_BEFORE)
        await settled(till, payment, WINDOW)
        till.processor.spoil("find", fault, fault)

        after = await settled(till, payment, timedelta(hours=1))

        assert (after.state, after.absent_inquiries) == (S.UNKNOWN, 1)

    async def test_needs_a_person_when_it_cannot_be_searched_for(self, till):
        till.processor.capabilities = replace(
            till.processor.capabilities, find_by_creation_time=False
        )
        payment = await lost_charge(till, Fault.LOST_BEFORE)

        await settled(till, payment, WINDOW)
        after = await settled(till, payment, timedelta(hours=1))

        assert after.state is S.NEEDS_ATTENTION

    @pytest.mark.parametrize(
        "records",
        [
            [found(), found(named="pi_2")],
            [found(approved(1999, 1999, "EUR"))],
            [found(approved(1998, 1998))],
            [found(approved(1000, 1999))],
            [found(refunded=2000)],
        ],
    )
    async def test_needs_a_person_when_what_is_found_contradicts(self, till, records):
        payment = await lost_charge(till)
        till.processor.answer("find", records)

        after = await settled(till, payment, QUARTER)

        assert (after.state, after.captured) == (S.NEEDS_ATTENTION, 0)
        assert (await till.outcomes(payment))[-1]["outcome"] == "NEEDS_ATTENTION"
        with pytest.raises(AlreadyCharged):
            await till.charge(charge_once_key="k")
        assert await till.settle(timedelta(days=1)) == 0

    async def test_knows_what_was_refunded_elsewhere(self, till):
        payment = await lost_charge(till)
        till.processor.answer("find", [found(refunded=500)])

        after = await settled(till, payment, QUARTER)

        assert (after.refunded, after.refundable) == (500, 1499)

    @pytest.mark.parametrize(
        ("outcome", "state"), [(canceled(), S.CANCELED), (pending(), S.PENDING)]
    )
    async def test_takes_the_processors_word(self, till, outcome, state):
        payment = await lost_charge(till)
        till.processor.answer("find", [found(outcome)])

        assert (await settled(till, payment, QUARTER)).state is state

    async def test_closes_a_decline_that_could_still_be_confirmed(self, till):
        card = await till.vault.tokenize(form=a_form(number=DECLINED))
        till.processor.spoil("charge", Fault.LOST_AFTER)
        payment = (await till.charge(card.token, charge_once_key="k")).payment

        after = await settled(till, payment, QUARTER)

        assert after.state is S.DECLINED
        assert till.booked(payment)[0]["status"] == "canceled"

    async def test_is_asked_about_by_its_object_when_that_is_known(self, till):
        till.processor.spoil("cancel", Fault.LOST_BEFORE)
        payment = (await till.charge(a_form(number=DECLINED))).payment
        till.processor.calls.clear()

        await settled(till, payment)

        assert [name for name, _ in till.processor.calls] == ["inquire", "cancel"]

    async def test_needs_a_person_when_a_known_object_is_gone(self, till):
        till.processor.spoil("cancel", Fault.LOST_BEFORE)
        payment = (await till.charge(a_form(number=DECLINED))).payment

        for after in (WINDOW, timedelta(hours=1)):
            till.processor.answer("inquire", None)
            result = await settled(till, payment, after)

        assert result.state is S.NEEDS_ATTENTION


class TestLateSuccess:
    """The processor's fact wins, also after FAILED."""

    async def given_up(self, till):
        payment = await lost_charge(till)
        for after in (WINDOW, timedelta(hours=1)):
            till.processor.answer("find", [])
            await till.settle(after)
        assert (await till.find(payment)).state is S.FAILED
        return payment

    async def tell(self, till, payment):
        """Lets the answer of the first try arrive now."""
        facts = ChargeFacts(merchant=SHOP, payment=payment, account=an_account())
        outcome = Approved(processor_object="pi_1", authorized=PRICE, captured=PRICE)
        await RecordOutcome(storage=till.storage).record(
            facts, outcome, till.clock.now()
        )
        return await till.find(payment)

    async def test_is_written_down_and_takes_the_key_back(self, till):
        payment = await self.given_up(till)

        after = await self.tell(till, payment)

        assert (after.state, after.captured, after.failure_reason) == (
            S.CAPTURED,
            1999,
            "",
        )
        with pytest.raises(AlreadyCharged):
            await till.charge(charge_once_key="k")

    async def test_needs_a_person_when_the_key_has_paid_again(self, till):
        payment = await self.given_up(till)
        await till.charge(charge_once_key="k")

        after = await self.tell(till, payment)

        assert (after.state, after.captured) == (S.NEEDS_ATTENTION, 1999)


class TestMoves:
    async def lost(self, till, kind, fault=Fault.LOST_AFTER, minor_units=None):
        capture = kind == "refund"
        payment = (
            await till.charge(capture_automatically=capture, charge_once_key="k")
        ).payment
        till.processor.spoil(kind, fault)
        arguments = {} if kind == "cancel" else {"minor_units": minor_units}
        move = (await getattr(till, kind)(payment, **arguments)).move
        assert move.status is MoveStatus.UNKNOWN
        till.processor.calls.clear()
        return payment

    async def settled(self, till, payment, after=timedelta(seconds=3)):
        await till.settle(after)
        view = await till.view(payment)
        return view.moves[0], view.payment

    @pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER])
    @pytest.mark.parametrize("kind", ["capture", "cancel", "refund"])
    async def test_are_sent_again_with_the_same_key(self, till, kind, fault):
        payment = await self.lost(till, kind, fault)

        move, after = await self.settled(till, payment)

        assert till.processor.calls == [(kind, move.name)]
        assert move.status is MoveStatus.SUCCEEDED
        assert after.captured == till.collected()
        assert (after.refunded, after.refund_pending) == (till.refunded(), 0)
        assert after.state is (S.CANCELED if kind == "cancel" else S.CAPTURED)

    @pytest.mark.parametrize("kind", ["capture", "cancel", "refund"])
    async def test_of_a_process_that_died_are_settled(self, till, kind):
        payment = (await till.charge(capture_automatically=kind == "refund")).payment
        till.processor.spoil(kind, Died())
        with pytest.raises(Died):
            await getattr(till, kind)(payment)

        move, after = await self.settled(till, payment, LEASE + timedelta(seconds=1))

        assert move.status is MoveStatus.SUCCEEDED
        assert after.captured == till.collected()

    @pytest.mark.parametrize("kind", ["capture", "refund"])
    async def test_are_never_sent_again_after_the_window(self, till, kind):
        """The processor has forgotten the key: it would move the money twice."""
        payment = await self.lost(till, kind, minor_units=500)
        till.ledger.prune_keys()

        move, after = await self.settled(till, payment, WINDOW)

        assert till.processor.keys(kind) == []
        assert move.status is MoveStatus.SUCCEEDED
        assert (after.captured, after.refunded) == (till.collected(), till.refunded())
        assert till.refunded() == (500 if kind == "refund" else 0)

    @pytest.mark.parametrize("kind", ["capture", "cancel", "refund"])
    async def test_that_the_sums_do_not_hold_fail_after_the_window(self, till, kind):
        payment = await self.lost(till, kind, Fault.LOST_BEFORE)

        move, after = await self.settled(till, payment, WINDOW)

        assert (move.status, move.failure_reason) == (MoveStatus.FAILED, "NOT_EXECUTED")
        assert after.refund_pending == 0
        assert after.state is payment.state

    @pytest.mark.parametrize(
        "fault",
        [
            Fault.UNAVAILABLE,
            Fault.LOST_BEFORE,
            ProcessorRefused("REQUEST_REFUSED"),
            ProcessorRefused("IDEMPOTENCY_MISMATCH"),
        ],
    )
    @pytest.mark.parametrize("kind", ["capture", "cancel", "refund"])
    async def test_are_read_from_the_sums_when_sending_brings_no_fact(
        self, till, kind, fault
    ):
        payment = await self.lost(till, kind)
        till.processor.spoil(kind, fault, fault)

        move, after = await self.settled(till, payment)

        assert move.status is MoveStatus.SUCCEEDED
        assert (after.captured, after.refunded) == (till.collected(), till.refunded())

    async def test_stay_unknown_while_the_window_is_open(self, till):
        payment = await self.lost(till, "refund", Fault.LOST_BEFORE)
        till.processor.spoil("refund", Fault.LOST_BEFORE)

        move, after = await self.settled(till, payment)

        assert move.status is MoveStatus.UNKNOWN
        assert move.next_check_at > till.clock.now()
        assert after.refund_pending == 1999

    async def test_fail_at_once_when_they_are_refused_and_not_in_the_sums(self, till):
        payment = await self.lost(till, "refund", Fault.LOST_BEFORE)
        till.processor.spoil("refund", ProcessorRefused("REQUEST_REFUSED"))

        move, after = await self.settled(till, payment)

        assert (move.status, move.failure_reason) == (
            MoveStatus.FAILED,
            "REQUEST_REFUSED",
        )
        assert after.refund_pending == 0

    @pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.LOST_BEFORE])
    async def test_stay_unknown_when_the_processor_is_silent(self, till, fault):
        payment = await self.lost(till, "refund")
        till.processor.spoil("inquire", fault, fault)

        move, after = await self.settled(till, payment, WINDOW)

        assert move.status is MoveStatus.UNKNOWN
        assert after.state is S.CAPTURED

    @pytest.mark.parametrize(
        "record", [found(refunded=700), found(refunded=0, outcome=pending()), None]
    )
    async def test_need_a_person_when_the_sums_fit_neither(self, till, record):
        kind = "capture" if record and record.refunded.minor_units == 0 else "refund"
        payment = await self.lost(till, kind, minor_units=500)
        till.processor.answer("inquire", record)

        move, after = await self.settled(till, payment, WINDOW)

        assert (move.status, after.state) == (MoveStatus.UNKNOWN, S.NEEDS_ATTENTION)
        assert await till.settle(timedelta(hours=23)) == 0

    async def test_fail_when_they_have_become_impossible(self, till):
        payment = await self.lost(till, "capture", Fault.LOST_BEFORE)
        till.processor.spoil("capture", ProcessorRefused("REQUEST_REFUSED"))
        till.processor.answer("inquire", found(canceled()))

        move, _ = await self.settled(till, payment)

        assert move.status is MoveStatus.FAILED

    async def test_that_failed_and_then_succeeded_are_written_down(self, till):
        """The processor's fact wins for a refund too."""
        payment = await self.lost(till, "refund", minor_units=500)
        till.processor.answer("inquire", found(refunded=0))
        move, _ = await self.settled(till, payment, WINDOW)
        assert move.status is MoveStatus.FAILED

        answer = Answer(status=MoveStatus.SUCCEEDED, is_fact=True)
        after, move, _ = await till.refunding.records.record(
            SHOP, an_account(), move, answer
        )

        assert (move.status, after.refunded) == (MoveStatus.SUCCEEDED, 500)
        assert (after.refund_pending, after.state) == (0, S.CAPTURED)

    async def test_that_succeed_beyond_the_collected_sum_need_a_person(self, till):

        payment = await self.lost(till, "refund", minor_units=500)
        till.processor.answer("inquire", found(refunded=0))
        move, _ = await self.settled(till, payment, WINDOW)
        till.ledger.prune_keys()
        till.processor.answer("refund", _succeeded())
        await till.refund(payment, 1999)

        answer = Answer(status=MoveStatus.SUCCEEDED, is_fact=True)
        after, _, _ = await till.refunding.records.record(
            SHOP, an_account(), move, answer
        )

        assert (after.state, after.refunded) == (S.NEEDS_ATTENTION, 2499)


class TestRunOnce:
    async def test_says_how_many_it_looked_at_and_respects_the_limit(self, till):
        payments = []
        token = await till.stored_with_reference()
        for _ in range(3):
            till.processor.spoil("charge", Fault.LOST_AFTER)
            payments.append((await till.charge(token)).payment)
            till.clock.move(timedelta(seconds=1))
        till.clock.move(timedelta(seconds=3))

        assert await till.resolver.run_once(2) == 2
        states = [(await till.find(payment)).state for payment in payments]
        assert states == [S.CAPTURED, S.CAPTURED, S.UNKNOWN]
        assert await till.resolver.run_once(2) == 1
        assert await till.resolver.run_once(2) == 0

    async def test_waits_longer_each_time(self, till):
        payment = await lost_charge(till, Fault.LOST_BEFORE)
        waits = []
        for _ in range(4):
            till.processor.spoil("charge", Fault.LOST_BEFORE)
            later = (await till.find(payment)).next_check_at - till.clock.now()
            after = await settled(till, payment, later)
            waits.append(after.next_check_at - till.clock.now())

        assert waits == sorted(waits)
        assert waits[-1] > waits[0]

    async def test_two_resolvers_settle_a_payment_once(self, till):

        payment = await lost_charge(till, Fault.LOST_BEFORE)
        other = till.another()
        till.clock.move(timedelta(seconds=3))

        await asyncio.gather(till.resolver.run_once(), other.resolver.run_once())

        sent = till.processor.keys("charge") + other.processor.keys("charge")
        assert sent == [f"{payment.name}-charge"]
        assert till.collected(payment) == 1999

    async def test_goes_on_when_one_payment_goes_wrong(self, till, caplog, monkeypatch):
        token = await till.stored_with_reference()
        payments = []
        for _ in range(2):
            till.processor.spoil("charge", Fault.LOST_AFTER)
            payments.append((await till.charge(token)).payment)
        faults = [ValueError("secret")]
        opening = till.vault.access.open_reference

        async def open_reference(intent, recipient):
            if faults:
                raise faults.pop()
            return await opening(intent, recipient)

        monkeypatch.setattr(till.vault.access, "open_reference", open_reference)

        await till.settle(timedelta(seconds=3))

        states = {(await till.find(payment)).state for payment in payments}
        assert states == {S.CAPTURED, S.UNKNOWN}
        assert "secret" not in caplog.text

    async def test_waits_when_the_account_is_gone(self, till, caplog):
        payment = await lost_charge(till)
        processors = till.resolver._accounts._processors
        till.resolver._accounts._processors = {}

        assert (await settled(till, payment)).state is S.UNKNOWN

        assert "payment not settled yet" in caplog.text
        till.resolver._accounts._processors = processors
        after = await settled(till, payment, LEASE + timedelta(seconds=1))
        assert after.state is S.CAPTURED

    async def test_looks_again_at_what_went_wrong(self, till):
        payment = await lost_charge(till)
        till.processor.spoil("charge", ValueError())
        await settled(till, payment)

        after = await settled(till, payment, LEASE + timedelta(seconds=1))

        assert after.state is S.CAPTURED

    async def test_leaves_payments_that_are_decided_alone(self, till):
        await till.charge()
        await till.authorize()
        await till.charge(a_form(number=DECLINED))

        assert await till.settle(timedelta(days=2)) == 0


async def _payments(till):
    """Returns every payment, oldest first."""
    names = [e["payment"] for e in await till.vault.log() if "payment" in e]
    return [await till.find(name) for name in dict.fromkeys(names)]


def _succeeded():

    return MoveOutcome(state=MoveState.SUCCEEDED, processor_object="re_2")
