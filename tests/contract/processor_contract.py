"""The suite that every Processor passes.

Use it so, with a fixture that yields a ``ProcessorHarness`` (processor_harness.py):

    class TestOurProcessor(ProcessorContract):
        @pytest.fixture
        async def harness(self):
            async with our_stand_in() as stand_in:
                yield OurHarness(stand_in)

Money is always counted in the stand-in's own books, never in the adapter's answers.
"""

import asyncio
import logging
from datetime import timedelta

import pytest

from gateway.errors import AmountNotRepresentable, ProcessorUnavailable
from gateway.payments.decline_reasons import DeclineReason as Reason
from gateway.payments.processor import (
    ActionRequired,
    Approved,
    Canceled,
    DeclineClass,
    Declined,
    FoundPayment,
    MoveState,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
    RetryAdvice,
)
from gateway.vault.ports import CardField
from gateway.words.money import Money
from gateway.words.purposes import MERCHANT_INITIATED, PAYMENT_PURPOSES, Purpose
from tests.contract.processor_harness import (
    LONG,
    MISREPORTED,
    SHORT,
    Behaviour,
    Fault,
    Operation,
    a_call,
    a_payment_name,
    an_order,
)

PRICE = Money(1999, "USD")
UNKNOWN_TO_THE_ADAPTER = (
    Fault.LOST_BEFORE,
    Fault.SLOW,
    Fault.ERROR,
    Fault.STORED_ERROR_BEFORE,
    Fault.STORED_ERROR_AFTER,
    *MISREPORTED,
)
NOT_SENT = (Fault.RATE_LIMITED, Fault.UNREACHABLE)

_SOFT, _HARD = DeclineClass.SOFT, DeclineClass.HARD
_FRAUD, _CONFIGURATION = DeclineClass.FRAUD, DeclineClass.CONFIGURATION
_NEVER, _LATER = RetryAdvice.NEVER, RetryAdvice.LATER
_NEW_DATA = RetryAdvice.AFTER_NEW_DATA

# What a reason means unless the processor itself gives other advice.
MEANINGS = {
    Reason.INSUFFICIENT_FUNDS: (_SOFT, _LATER),
    Reason.LIMIT_EXCEEDED: (_SOFT, _LATER),
    Reason.ISSUER_UNAVAILABLE: (_SOFT, _LATER),
    Reason.PROCESSING_ERROR: (_SOFT, RetryAdvice.ONCE_NOW),
    Reason.DO_NOT_HONOR: (_SOFT, _LATER),
    Reason.CALL_ISSUER: (_SOFT, _NEW_DATA),
    Reason.AUTHENTICATION_REQUIRED: (_SOFT, RetryAdvice.AFTER_AUTHENTICATION),
    Reason.RATE_LIMITED: (_SOFT, _LATER),
    Reason.CARD_EXPIRED: (_HARD, _NEW_DATA),
    Reason.NUMBER_INCORRECT: (_HARD, _NEW_DATA),
    Reason.SECURITY_CODE_INCORRECT: (_HARD, _NEW_DATA),
    Reason.ADDRESS_INCORRECT: (_HARD, _NEW_DATA),
    Reason.PIN_INCORRECT: (_HARD, _NEW_DATA),
    Reason.CARD_UPDATED: (_HARD, _NEW_DATA),
    Reason.ACCOUNT_CLOSED: (_HARD, _NEVER),
    Reason.NOT_SUPPORTED: (_HARD, _NEVER),
    Reason.NOT_PERMITTED: (_HARD, _NEVER),
    Reason.AUTHORIZATION_REVOKED: (_HARD, _NEVER),
    Reason.LOST_OR_STOLEN: (_FRAUD, _NEVER),
    Reason.SUSPECTED_FRAUD: (_FRAUD, _NEVER),
    Reason.AMOUNT_INVALID: (_CONFIGURATION, _NEVER),
    Reason.TEST_LIVE_MISMATCH: (_CONFIGURATION, _NEVER),
    Reason.DUPLICATE: (_CONFIGURATION, _NEVER),
}

CARD_REASONS = {
    Behaviour.DECLINED: Reason.DO_NOT_HONOR,
    Behaviour.INSUFFICIENT_FUNDS: Reason.INSUFFICIENT_FUNDS,
    Behaviour.LOST: Reason.LOST_OR_STOLEN,
    Behaviour.STOLEN: Reason.LOST_OR_STOLEN,
    Behaviour.EXPIRED: Reason.CARD_EXPIRED,
    Behaviour.SECURITY_CODE_INCORRECT: Reason.SECURITY_CODE_INCORRECT,
    Behaviour.PROCESSING_ERROR: Reason.PROCESSING_ERROR,
    Behaviour.FAILS_WHEN_CHARGED: Reason.DO_NOT_HONOR,
}


class Desk:
    """One adapter at work: makes calls with less writing. Keeps one payment's name."""

    def __init__(self, harness, processor):
        self.harness = harness
        self.processor = processor
        self.payment = a_payment_name()
        self.customer = ""

    def call(self, key, deadline=LONG):
        return a_call(
            self.harness.account, key, payment=self.payment, deadline=deadline
        )

    async def store(self, behaviour=Behaviour.OK, key="store", deadline=LONG):
        self.customer = await self.processor.create_customer(self.call(f"{key}-c"))
        return await self.store_for(self.customer, behaviour, f"{key}-m", deadline)

    async def store_for(self, customer, behaviour, key, deadline=LONG):
        card = self.harness.card(behaviour)
        return await self.processor.store_card(
            self.call(key, deadline), customer, card.opened, card.security_code
        )

    async def charge(self, reference, key="charge", deadline=LONG, **changes):
        order = an_order(reference, self.payment, **({"amount": PRICE} | changes))
        return await self.processor.charge(self.call(key, deadline), order)

    async def approve(self, behaviour=Behaviour.OK, **changes):
        outcome = await self.charge(await self.store(behaviour), **changes)
        assert isinstance(outcome, Approved), outcome
        return outcome

    async def find(self, customer=None, payment=None, **earlier):
        since = self.harness.now() - timedelta(**(earlier or {"minutes": 1}))
        return await self.processor.find(
            self.call("find"), payment or self.payment, customer or self.customer, since
        )

    async def found(self):
        (found,) = await self.find()
        return found

    async def inquire(self, processor_object):
        return await self.processor.inquire(self.call("inquire"), processor_object)

    async def confirm(self, charge, key="confirm", deadline=LONG):
        return await self.processor.confirm(
            self.call(key, deadline),
            charge.processor_object,
            "https://shop.example/again",
        )

    async def capture(self, charge, minor_units, key="capture", deadline=LONG):
        amount = Money(minor_units, "USD")
        return await self.processor.capture(
            self.call(key, deadline), charge.processor_object, amount
        )

    async def cancel(self, charge, key="cancel", deadline=LONG):
        return await self.processor.cancel(
            self.call(key, deadline), charge.processor_object
        )

    async def refund(self, charge, minor_units, key="refund", deadline=LONG):
        amount = Money(minor_units, "USD")
        return await self.processor.refund(
            self.call(key, deadline), charge.processor_object, amount
        )

    async def money(self):
        """Returns (reserved, captured, refunded) of the stand-in's books."""
        totals = await self.harness.totals()
        return totals.reserved, totals.captured, totals.refunded


async def until(condition, seconds=5.0):
    """Waits for what a stand-in does on its own time."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.02)


def deadline_for(fault):
    return SHORT if fault in (Fault.SLOW, Fault.SLOW_BODY) else LONG


def refused():
    return pytest.raises(ProcessorRefused, match=r"^[A-Z][A-Z_]+$")


class ProcessorContract:
    @pytest.fixture
    async def harness(self):
        raise NotImplementedError("yield a ProcessorHarness")

    @pytest.fixture
    async def desk(self, harness):
        processor = harness.make_processor()
        yield Desk(harness, processor)
        await processor.close()

    # What it declares

    def test_declares_payments_and_verification_alone(self, desk):
        assert desk.processor.name == desk.harness.account.processor
        declared = set(desk.processor.purposes)
        assert declared == PAYMENT_PURPOSES | {Purpose.VERIFICATION}

    def test_asks_for_no_more_than_a_charge_needs(self, desk):
        needed = {CardField.NUMBER, CardField.EXPIRY}
        permitted = needed | {CardField.BILLING_NAME, CardField.BILLING_ADDRESS}
        assert needed <= set(desk.processor.fields) <= permitted

    def test_tells_which_amounts_it_can_express(self, desk):
        for amount in desk.harness.representable:
            desk.processor.check_representable(amount)
        for amount in desk.harness.not_representable:
            with pytest.raises(AmountNotRepresentable):
                desk.processor.check_representable(amount)

    async def test_closes_twice(self, harness):
        processor = harness.make_processor()
        await processor.create_customer(a_call(harness.account, "customer"))
        await processor.close()
        await processor.close()

    # Money moves

    async def test_charges(self, desk):
        outcome = await desk.approve()

        assert (outcome.authorized, outcome.captured) == (PRICE, PRICE)
        assert outcome.processor_object
        assert await desk.money() == (0, 1999, 0)
        assert await desk.inquire(outcome.processor_object) == await desk.found()
        assert (await desk.found()).outcome == outcome

    async def test_authorizes_without_collecting(self, desk):
        outcome = await desk.approve(capture=False)

        assert (outcome.authorized, outcome.captured) == (PRICE, Money(0, "USD"))
        assert outcome.capture_before > desk.harness.now()
        assert await desk.money() == (1999, 0, 0)

    async def test_captures_all(self, desk):
        charge = await desk.approve(capture=False)

        assert (await desk.capture(charge, 1999)).state is MoveState.SUCCEEDED
        assert await desk.money() == (0, 1999, 0)
        assert (await desk.found()).outcome.captured == PRICE

    async def test_releases_what_a_partial_capture_leaves(self, desk):
        charge = await desk.approve(capture=False)

        assert (await desk.capture(charge, 500)).state is MoveState.SUCCEEDED
        assert await desk.money() == (0, 500, 0)
        assert (await desk.found()).outcome.captured == Money(500, "USD")
        with refused():
            await desk.capture(charge, 500, key="again")
        assert await desk.money() == (0, 500, 0)

    async def test_never_captures_more_than_was_authorized(self, desk):
        charge = await desk.approve(capture=False)

        with refused():
            await desk.capture(charge, 2000)
        assert await desk.money() == (1999, 0, 0)

    async def test_cancel_releases_the_reserved_money(self, desk):
        charge = await desk.approve(capture=False)

        assert (await desk.cancel(charge)).state is MoveState.SUCCEEDED
        assert await desk.money() == (0, 0, 0)
        assert isinstance((await desk.found()).outcome, Canceled)
        with refused():
            await desk.capture(charge, 1999)
        assert await desk.money() == (0, 0, 0)

    async def test_refuses_to_cancel_what_was_collected(self, desk):
        charge = await desk.approve()

        with refused():
            await desk.cancel(charge)
        assert await desk.money() == (0, 1999, 0)

    async def test_refunds_in_parts_and_never_more_than_was_collected(self, desk):
        charge = await desk.approve()

        first = await desk.refund(charge, 500, key="first")
        second = await desk.refund(charge, 1499, key="second")

        assert first.state is second.state is MoveState.SUCCEEDED
        assert first.processor_object != second.processor_object
        assert (await desk.found()).refunded == PRICE
        with refused():
            await desk.refund(charge, 1, key="third")
        assert await desk.money() == (0, 1999, 1999)

    async def test_refuses_a_refund_above_the_collected_amount(self, desk):
        charge = await desk.approve()

        with refused():
            await desk.refund(charge, 2000)
        assert await desk.money() == (0, 1999, 0)

    async def test_refuses_a_refund_of_money_not_collected(self, desk):
        charge = await desk.approve(capture=False)

        with refused():
            await desk.refund(charge, 1)
        assert await desk.money() == (1999, 0, 0)

    @pytest.mark.parametrize("purpose", sorted(MERCHANT_INITIATED))
    async def test_charges_a_stored_card_again(self, desk, purpose):
        reference = await desk.store()
        await desk.charge(
            reference, stores_credential=True, off_session_later=True, key="first"
        )

        again = await desk.charge(reference, purpose=purpose, key="second")

        assert isinstance(again, Approved)
        assert await desk.money() == (0, 2 * 1999, 0)

    async def test_uses_a_card_that_is_not_stored_only_once(self, desk):
        reference = await desk.store()
        await desk.charge(reference, key="first")

        with refused():
            await desk.charge(reference, key="second")
        assert await desk.money() == (0, 1999, 0)

    # Declines

    @pytest.mark.parametrize(("behaviour", "reason"), CARD_REASONS.items())
    async def test_declines_by_card(self, desk, behaviour, reason):
        outcome = await desk.charge(await desk.store(behaviour))

        assert isinstance(outcome, Declined)
        assert outcome.decline.reason == reason
        assert await desk.money() == (0, 0, 0)

    @pytest.mark.parametrize("reason", MEANINGS)
    async def test_tells_what_a_decline_means(self, desk, reason):
        await desk.harness.decline_next_charge(reason)

        outcome = await desk.charge(await desk.store())

        decline = outcome.decline
        assert decline.reason == reason
        assert (decline.decline_class, decline.retry) == MEANINGS[reason]

    async def test_never_calls_a_code_it_does_not_know_soft(self, desk):
        await desk.harness.decline_next_charge(None)

        outcome = await desk.charge(await desk.store())

        assert outcome.decline.reason == Reason.OTHER
        assert outcome.decline.decline_class is DeclineClass.HARD
        assert outcome.decline.retry is RetryAdvice.NEVER

    async def test_declines_a_wrong_number_when_it_is_stored(self, desk):
        outcome = await desk.store(Behaviour.NUMBER_INCORRECT)

        assert isinstance(outcome, Declined)
        assert outcome.decline.reason == Reason.NUMBER_INCORRECT
        assert (outcome.processor_object, outcome.still_confirmable) == ("", False)
        assert (await desk.harness.totals()).payment_methods == 0

    async def test_a_declined_payment_is_over_once_it_is_canceled(self, desk):
        outcome = await desk.charge(await desk.store(Behaviour.INSUFFICIENT_FUNDS))
        assert (await desk.found()).outcome == outcome
        if not outcome.still_confirmable:
            # Then nothing is left that somebody could confirm, or cancel.
            with refused():
                await desk.cancel(outcome)
            return

        assert (await desk.cancel(outcome)).state is MoveState.SUCCEEDED

        assert isinstance((await desk.found()).outcome, Canceled)
        known = await desk.inquire(outcome.processor_object)
        assert isinstance(known.outcome, Canceled)

    # Idempotency

    async def test_a_call_sent_again_moves_money_once(self, desk):
        reference = await desk.store()
        other = Desk(desk.harness, desk.harness.make_processor())
        other.payment = desk.payment

        first = await desk.charge(reference)
        again = await other.charge(reference)
        await other.processor.close()

        assert again == first
        assert await desk.money() == (0, 1999, 0)
        assert (await desk.harness.totals()).payments == 1

    async def test_every_step_sent_again_answers_the_same(self, desk):
        charge = await desk.approve(capture=False)
        steps = (
            desk.store,
            lambda: desk.capture(charge, 1500),
            lambda: desk.refund(charge, 300),
        )

        for step in steps:
            assert await step() == await step()

        totals = await desk.harness.totals()
        assert (totals.customers, totals.payment_methods) == (1, 1)
        assert (totals.captured, totals.refunded) == (1500, 300)

    async def test_a_decline_sent_again_stays_a_decline(self, desk):
        await desk.harness.decline_next_charge(Reason.INSUFFICIENT_FUNDS)
        reference = await desk.store()

        first = await desk.charge(reference)

        assert isinstance(first, Declined)
        assert await desk.charge(reference) == first
        assert await desk.money() == (0, 0, 0)

    async def test_refuses_another_request_under_a_used_key(self, desk):
        reference = await desk.store()
        await desk.charge(reference)

        with pytest.raises(ProcessorRefused) as caught:
            await desk.charge(reference, amount=Money(2000, "USD"))

        assert caught.value.failure_reason == "IDEMPOTENCY_MISMATCH"
        assert await desk.money() == (0, 1999, 0)

    async def test_twins_at_the_same_time_move_money_once(self, desk):
        reference = await desk.store()

        outcomes = await asyncio.gather(
            *(desk.charge(reference) for _ in range(5)), return_exceptions=True
        )

        told = [outcome for outcome in outcomes if isinstance(outcome, Approved)]
        others = [outcome for outcome in outcomes if outcome not in told]
        assert told
        assert all(isinstance(other, ProcessorOutcomeUnknown) for other in others)
        assert await desk.money() == (0, 1999, 0)

    # Faults

    @pytest.mark.parametrize("fault", UNKNOWN_TO_THE_ADAPTER)
    async def test_never_guesses_the_outcome_of_a_charge(self, desk, fault):
        reference = await desk.store()
        await desk.harness.set_fault(fault, Operation.CHARGE)

        with pytest.raises(ProcessorOutcomeUnknown):
            await desk.charge(reference, deadline=deadline_for(fault))

        if fault is Fault.SLOW:
            await until(desk.find)
        moved = (await desk.money())[1]
        found = await desk.find()
        assert [each.outcome.captured.minor_units for each in found] == (
            [1999] if moved else []
        )
        assert moved == (1999 if executes(fault) else 0)

    @pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.ERROR, *MISREPORTED])
    async def test_a_replay_after_a_fault_charges_once(self, desk, fault):
        reference = await desk.store()
        await desk.harness.set_fault(fault, Operation.CHARGE)
        with pytest.raises(ProcessorOutcomeUnknown):
            await desk.charge(reference, deadline=deadline_for(fault))

        assert isinstance(await desk.charge(reference), Approved)
        assert await desk.money() == (0, 1999, 0)

    @pytest.mark.parametrize(
        "fault", [Fault.STORED_ERROR_BEFORE, Fault.STORED_ERROR_AFTER]
    )
    async def test_a_stored_error_stays_unknown_until_somebody_looks(self, desk, fault):
        reference = await desk.store()
        await desk.harness.set_fault(fault, Operation.CHARGE)

        for _ in range(2):
            with pytest.raises(ProcessorOutcomeUnknown):
                await desk.charge(reference)

        assert len(await desk.find()) == int(executes(fault))

    async def test_charges_once_keys_are_forgotten_if_nothing_was_found(self, desk):
        reference = await desk.store()
        await desk.harness.set_fault(Fault.STORED_ERROR_BEFORE, Operation.CHARGE)
        with pytest.raises(ProcessorOutcomeUnknown):
            await desk.charge(reference)
        await desk.harness.forget_keys()

        assert await desk.find() == []
        assert isinstance(await desk.charge(reference), Approved)
        assert await desk.money() == (0, 1999, 0)

    @pytest.mark.parametrize("fault", NOT_SENT)
    async def test_says_so_when_nothing_was_sent(self, desk, fault):
        reference = await desk.store()
        await desk.harness.set_fault(fault, Operation.CHARGE)

        with pytest.raises(ProcessorUnavailable):
            await desk.charge(reference)

        assert await desk.find() == []
        assert isinstance(await desk.charge(reference), Approved)
        assert await desk.money() == (0, 1999, 0)

    @pytest.mark.parametrize("operation", [Operation.CUSTOMER, Operation.STORE])
    async def test_stores_once_though_the_answer_was_lost(self, desk, operation):
        await desk.harness.set_fault(Fault.LOST_AFTER, operation)
        with pytest.raises(ProcessorOutcomeUnknown):
            await desk.store()

        reference = await desk.store()

        assert isinstance(await desk.charge(reference), Approved)
        totals = await desk.harness.totals()
        assert (totals.customers, totals.payment_methods) == (1, 1)

    @pytest.mark.parametrize(
        ("operation", "money"),
        [
            (Operation.CAPTURE, (0, 700, 0)),
            (Operation.CANCEL, (0, 0, 0)),
            (Operation.REFUND, (0, 1999, 700)),
        ],
    )
    @pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER])
    async def test_moves_once_though_nothing_was_heard(
        self, desk, operation, money, fault
    ):
        charge = await desk.approve(capture=operation is Operation.REFUND)
        before = await desk.money()
        moves = {
            Operation.CAPTURE: lambda: desk.capture(charge, 700),
            Operation.CANCEL: lambda: desk.cancel(charge),
            Operation.REFUND: lambda: desk.refund(charge, 700),
        }
        await desk.harness.set_fault(fault, operation)

        with pytest.raises(ProcessorOutcomeUnknown):
            await moves[operation]()

        assert await desk.money() == (money if executes(fault) else before)
        assert (await moves[operation]()).state is MoveState.SUCCEEDED
        assert await desk.money() == money

    @pytest.mark.parametrize("fault", [*UNKNOWN_TO_THE_ADAPTER, *NOT_SENT])
    @pytest.mark.parametrize("operation", [Operation.INQUIRE, Operation.FIND])
    async def test_never_calls_a_lost_inquiry_absence(self, desk, operation, fault):
        charge = await desk.approve()
        await desk.harness.set_fault(fault, operation)
        call = desk.call("look", deadline_for(fault))
        since = desk.harness.now() - timedelta(minutes=1)

        async def look():
            if operation is Operation.INQUIRE:
                return [await desk.processor.inquire(call, charge.processor_object)]
            return await desk.processor.find(call, desk.payment, desk.customer, since)

        # A transport may ask again by itself: an inquiry moves nothing.
        try:
            (found,) = await look()
        except (ProcessorUnavailable, ProcessorOutcomeUnknown):
            (found,) = await look()

        assert found.outcome == charge

    # Looking

    async def test_finds_a_payment_by_our_name_alone(self, desk):
        charge = await desk.approve()
        found = FoundPayment(
            processor_object=charge.processor_object,
            outcome=charge,
            refunded=Money(0, "USD"),
        )

        assert list(await desk.find()) == [found]
        assert list(await desk.find(payment=a_payment_name())) == []
        assert list(await desk.find(hours=-1)) == []

    async def test_finds_nothing_of_another_customer(self, desk):
        await desk.approve()
        other = await desk.processor.create_customer(desk.call("other"))

        assert list(await desk.find(customer=other)) == []

    async def test_knows_no_payment_that_it_never_made(self, desk):
        charge = await desk.approve()

        unknown = charge.processor_object[:-1] + "xx"

        assert await desk.inquire(unknown) is None

    # Authentication

    @pytest.mark.parametrize(
        "purpose", [Purpose.CUSTOMER_INITIATED, Purpose.RECURRING, Purpose.UNSCHEDULED]
    )
    async def test_declines_rather_than_waits_without_a_return_url(self, desk, purpose):
        reference = await desk.store(Behaviour.NEEDS_AUTHENTICATION)

        outcome = await desk.charge(reference, purpose=purpose)

        assert isinstance(outcome, Declined)
        assert outcome.decline.reason == Reason.AUTHENTICATION_REQUIRED
        assert outcome.decline.retry is RetryAdvice.AFTER_AUTHENTICATION
        assert await desk.money() == (0, 0, 0)

    @pytest.mark.parametrize("succeeded", [True, False])
    async def test_sends_the_cardholder_to_authenticate(self, desk, succeeded):
        reference = await desk.store(Behaviour.NEEDS_AUTHENTICATION)

        outcome = await desk.charge(reference, return_url="https://shop.example/back")

        assert isinstance(outcome, ActionRequired)
        assert outcome.redirect_url.startswith("http")
        assert (await desk.found()).outcome == outcome
        assert await desk.money() == (0, 0, 0)
        await desk.harness.authenticate(outcome.processor_object, succeeded=succeeded)
        then = (await desk.found()).outcome
        assert isinstance(then, Approved if succeeded else Declined)
        assert await desk.money() == (0, 1999 if succeeded else 0, 0)

    async def test_confirms_again_what_still_waits(self, desk):
        reference = await desk.store(Behaviour.NEEDS_AUTHENTICATION)
        waits = await desk.charge(reference, return_url="https://shop.example/back")

        again = await desk.confirm(waits)

        assert isinstance(again, ActionRequired)
        assert again.processor_object == waits.processor_object
        assert again.redirect_url != waits.redirect_url
        assert await desk.confirm(waits) == again
        assert (await desk.found()).outcome == again
        assert await desk.money() == (0, 0, 0)
        await desk.harness.authenticate(again.processor_object, succeeded=True)
        assert isinstance((await desk.found()).outcome, Approved)
        assert await desk.money() == (0, 1999, 0)

    async def test_confirms_nothing_that_is_over(self, desk):
        charge = await desk.approve()

        with refused():
            await desk.confirm(charge)
        assert await desk.money() == (0, 1999, 0)

    @pytest.mark.parametrize("fault", UNKNOWN_TO_THE_ADAPTER)
    async def test_never_guesses_the_outcome_of_a_confirmation(self, desk, fault):
        reference = await desk.store(Behaviour.NEEDS_AUTHENTICATION)
        waits = await desk.charge(reference, return_url="https://shop.example/back")
        await desk.harness.set_fault(fault, Operation.CONFIRM)

        with pytest.raises(ProcessorOutcomeUnknown):
            await desk.confirm(waits, deadline=deadline_for(fault))

        assert isinstance((await desk.found()).outcome, ActionRequired)

    async def test_cancels_a_payment_that_waits_for_the_cardholder(self, desk):
        reference = await desk.store(Behaviour.NEEDS_AUTHENTICATION)
        outcome = await desk.charge(reference, return_url="https://shop.example/back")

        assert (await desk.cancel(outcome)).state is MoveState.SUCCEEDED

        assert isinstance((await desk.found()).outcome, Canceled)

    # Secrets

    @pytest.mark.parametrize("fault", [None, *UNKNOWN_TO_THE_ADAPTER, *NOT_SENT])
    async def test_shows_no_card_in_logs_and_errors(self, desk, fault, caplog):
        caplog.set_level(logging.DEBUG)
        card = desk.harness.card(Behaviour.OK)
        texts = []
        try:
            if fault:
                await desk.harness.set_fault(fault, Operation.STORE)
            texts.append(repr(await desk.store(deadline=deadline_for(fault))))
        except (ProcessorUnavailable, ProcessorOutcomeUnknown) as error:
            texts.extend(everything_in(error))

        texts.extend(record.getMessage() for record in caplog.records)
        texts.extend(repr(vars(record)) for record in caplog.records)
        assert texts
        assert not any(card.digits in text for text in texts)


def executes(fault):
    """Whether the stand-in does the work in spite of the fault."""
    return fault in (Fault.STORED_ERROR_AFTER, Fault.SLOW, *MISREPORTED)


def everything_in(error):
    """Yields what a careless logger could print of an error and its causes."""
    seen = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield from (str(each), repr(each), repr(each.args), repr(vars(each)))
        waiting.extend((each.__cause__, each.__context__))
