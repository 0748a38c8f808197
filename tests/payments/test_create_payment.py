"""CreatePayment: what one call does, in order, and what it leaves behind."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.errors import (
    AlreadyCharged,
    CardInvalid,
    CardTokenNotFound,
    PolicyDenied,
    ProcessorAccountNotFound,
    RequestIdReused,
    RequestInvalid,
    SealedCardRejected,
    StorageUnavailable,
)
from gateway.payments.boundaries import Boundary
from gateway.payments.payment import PaymentState, Step
from gateway.payments.processor import MoveOutcome, MoveState, ProcessorRefused
from gateway.policy.mandate import Mandate
from gateway.vault.sealed_input import (
    SECURITY_CODE_LABEL,
    EnvelopeContext,
    PlainForm,
    SealedForm,
)
from gateway.words.identifiers import CardTokenName, new_name
from gateway.words.money import Money
from gateway.words.purposes import MERCHANT_INITIATED, NEVER_ALLOWED, Purpose
from tests.builders.payments import (
    DECLINED,
    NEEDS_ACTION,
    WRONG_NUMBER,
    a_charge,
)
from tests.builders.policies import publish, without_recurring
from tests.builders.sealed_card import seal
from tests.builders.storage import OTHER, SHOP
from tests.builders.vault import CLOSED, a_form, a_request_id, an_account
from tests.fakes.processor import Fault, Look
from tests.payments.records import declined

FIRST_CHARGE = [
    Boundary.SUBMITTED,
    Boundary.OPENED,
    Boundary.CUSTOMER_MADE,
    Boundary.CUSTOMER_COMMITTED,
    Boundary.CARD_STORED,
    Boundary.REFERENCE_COMMITTED,
    Boundary.CHARGING,
    Boundary.CHARGED,
    Boundary.OUTCOME_COMMITTED,
]
LATER_CHARGE = [
    Boundary.SUBMITTED,
    Boundary.OPENED,
    Boundary.CHARGING,
    Boundary.CHARGED,
    Boundary.OUTCOME_COMMITTED,
]


def a_code(till, request_id, code="737"):
    """Returns a security code sealed for one CreatePayment call."""
    context = EnvelopeContext(merchant=SHOP, rpc="CreatePayment", request_id=request_id)
    content = {"security_code": code, "sealed_at": "2026-11-25T12:00:00.000Z"}
    return seal(
        content,
        context=context,
        label=SECURITY_CODE_LABEL,
        provider=till.vault.provider,
    )


class TestFirstCharge:
    async def test_charges_a_token(self, till):
        card = await till.vault.tokenize()

        result = await till.charge(card.token)

        payment = result.payment
        assert payment.state is PaymentState.CAPTURED
        assert (payment.authorized, payment.captured, payment.capturable) == (
            1999,
            1999,
            0,
        )
        assert (payment.step, payment.lease) == (Step.DONE, None)
        assert (result.card, result.replayed) == (None, False)
        assert till.collected(payment) == 1999
        assert await till.find(payment) == payment

    async def test_asks_step_by_step_each_with_its_own_key(self, till):
        card = await till.vault.tokenize()

        payment = (await till.charge(card.token)).payment

        assert till.processor.calls == [
            ("customer", f"{payment.name}-customer"),
            ("store", f"{payment.name}-method"),
            ("charge", f"{payment.name}-charge"),
        ]
        assert till.reached == FIRST_CHARGE

    async def test_commits_each_answer_before_the_next_call(self, till):
        card = await till.vault.tokenize()
        seen = []

        async def look():
            later = till.clock.now() + timedelta(days=1)
            ((_, name),) = await till.storage.unsettled(later, 10)
            payment = await till.find(name)
            seen.append((payment.step, bool(payment.customer)))

        for operation in ("customer", "store", "charge"):
            till.processor.spoil(operation, Look(look))
        await till.charge(card.token)

        assert seen == [
            (Step.CUSTOMER, False),
            (Step.PAYMENT_METHOD, True),
            (Step.CHARGE, True),
        ]

    async def test_says_that_the_first_charge_stores_the_credential(self, till):
        purposes = {Purpose.CUSTOMER_INITIATED, Purpose.RECURRING}
        card = await till.vault.tokenize(purposes=purposes)

        await till.charge(card.token)
        await till.charge(card.token)

        first, second = till.processor.orders
        assert (first.stores_credential, first.off_session_later) == (True, True)
        assert second.stores_credential is False

    async def test_uses_one_customer_for_all_cards_of_a_customer_reference(self, till):
        first = await till.vault.tokenize(customer_reference="c-1")
        second = await till.vault.tokenize(customer_reference="c-1")
        third = await till.vault.tokenize(customer_reference="c-2")

        for card in (first, second, third):
            await till.charge(card.token)

        assert len(till.processor.keys("customer")) == 2
        customers = [order.reference.customer for order in till.processor.orders]
        assert customers[0] == customers[1] != customers[2]

    async def test_leaves_intent_and_outcome_and_an_opened_card(self, till):
        """covers: I7."""
        card = await till.vault.tokenize()

        payment = (await till.charge(card.token)).payment

        intent, outcome = await till.outcomes(payment)
        assert (intent["type"], outcome["type"]) == ("use.intent", "use.outcome")
        assert outcome["card_opened"] is True
        assert (outcome["outcome"], outcome["action"]) == ("CAPTURED", "charge")
        assert (outcome["amount"], outcome["currency"]) == (1999, "USD")
        assert payment.processor_object not in str(outcome)
        assert len(outcome["object"]) == len(outcome["card"]) == 64
        assert (await till.vault.find(card.token)).last_used_at is not None

    async def test_makes_no_customer_where_the_processor_has_none(self, till):
        till.processor.capabilities = replace(
            till.processor.capabilities, customers=False
        )

        payment = (await till.charge()).payment

        assert payment.state is PaymentState.CAPTURED
        assert [name for name, _ in till.processor.calls] == ["store", "charge"]
        assert till.processor.orders[0].stores_credential is False


class TestLaterCharge:
    async def test_opens_the_reference_and_leaves_the_card_shut(self, till):
        token = await till.stored_with_reference()

        payment = (await till.charge(token)).payment

        assert till.processor.calls == [("charge", f"{payment.name}-charge")]
        assert till.reached == LATER_CHARGE
        assert (await till.outcomes(payment))[-1]["card_opened"] is False

    async def test_charges_again_with_a_new_request_id(self, till):
        token = await till.stored_with_reference()

        await till.charge(token)
        await till.charge(token)

        assert till.collected() == 2 * 1999 + 1


class TestNewCard:
    async def test_is_stored_and_charged_in_one_call(self, till):
        result = await till.charge(a_form(), customer_reference="c-9")

        assert result.payment.state is PaymentState.CAPTURED
        assert result.card.token == result.payment.card
        assert result.card.customer_reference == "c-9"
        assert (await till.vault.find(result.card.token)).last_four == "4242"
        again = await till.charge(result.card.token)
        assert again.payment.state is PaymentState.CAPTURED

    async def test_commits_with_the_intent(self, till):
        before = len(await till.vault.log())

        await till.charge(a_form())

        types = [entry["type"] for entry in (await till.vault.log())[before:]]
        types = [kind for kind in types if kind != "key.wrapping_created"]
        assert types == ["card.tokenized", "use.intent", "use.outcome"]

    async def test_carries_its_security_code_into_store_card_alone(self, till):
        """covers: I4."""
        form = PlainForm(
            number="4242424242424242",
            expiry_month=12,
            expiry_year=2030,
            security_code="737",
        )

        await till.charge(form)

        assert [code.reveal() for code in till.processor.codes] == ["737"]

    async def test_is_not_stored_when_the_charge_is_denied(self, till):
        mandate = Mandate(purposes=frozenset({Purpose.VERIFICATION}))

        with pytest.raises(PolicyDenied):
            await till.charge(a_form(), mandate=mandate)

        types = await till.vault.log_types()
        assert "card.tokenized" not in types
        assert types[-1] == "use.denied"

    async def test_is_not_stored_for_a_purpose_outside_the_policy(self, till):
        vault = till.vault
        await publish(
            vault.storage, vault.clock, vault.policy_time, without_recurring()
        )
        wanted = frozenset({Purpose.CUSTOMER_INITIATED, Purpose.RECURRING})

        with pytest.raises(PolicyDenied) as caught:
            await till.charge(
                a_form(), mandate=Mandate(purposes=wanted), charge_once_key="invoice-1"
            )

        assert caught.value.metadata == {
            "rule": "not-in-policy",
            "purpose": "payment.recurring",
        }
        denial = (await till.vault.log())[-1]
        assert (denial["type"], denial["action"]) == ("use.denied", "tokenize")
        assert "card.tokenized" not in await till.vault.log_types()
        assert await till.storage.commit(SHOP, _key_is_free) is True

    async def test_is_refused_for_a_merchant_that_was_deactivated(self, till):
        command = a_charge(a_form(), merchant=CLOSED, charge_once_key="invoice-1")
        await till.storage.commit(
            CLOSED, lambda unit: unit.merchants.add_account(an_account())
        )

        with pytest.raises(PolicyDenied) as caught:
            await till.create.execute(command)

        assert caught.value.metadata["rule"] == "merchant-deactivated"
        assert till.processor.calls == []
        assert await till.storage.commit(CLOSED, _key_is_free) is True

    async def test_comes_back_when_the_request_is_repeated(self, till):
        command = a_charge(a_form())
        first = await till.create.execute(command)

        again = await till.create.execute(command)

        assert again.card.token == first.card.token


class TestSecurityCode:
    async def test_of_a_stored_card_opens_it_and_stores_a_new_method(self, till):
        """covers: I4."""
        token = await till.stored_with_reference()
        request_id = a_request_id()

        payment = (
            await till.charge(
                token, request_id=request_id, security_code=a_code(till, request_id)
            )
        ).payment

        assert payment.state is PaymentState.CAPTURED
        assert [name for name, _ in till.processor.calls] == ["store", "charge"]
        assert till.processor.codes[-1].reveal() == "737"
        assert (await till.outcomes(payment))[-1]["card_opened"] is True
        later = await till.charge(token)
        first, second = till.processor.orders[-2:]
        assert later.payment.state is PaymentState.CAPTURED
        assert first.reference == second.reference

    @pytest.mark.parametrize(
        ("number", "code"), [("4242424242424242", "7373"), ("378282246310005", "737")]
    )
    async def test_has_the_length_that_the_cards_brand_uses(self, till, number, code):
        card = await till.vault.tokenize(form=a_form(number=number))
        request_id, before = a_request_id(), await till.vault.log()

        with pytest.raises(CardInvalid) as caught:
            await till.charge(
                card.token,
                request_id=request_id,
                charge_once_key="invoice-1",
                security_code=a_code(till, request_id, code),
            )

        assert caught.value.field == "security_code"
        assert till.processor.calls == []
        assert await till.vault.log() == before
        assert await till.storage.commit(SHOP, _key_is_free) is True

    async def test_beside_a_new_card_has_its_brands_length_too(self, till):
        request_id = a_request_id()

        with pytest.raises(CardInvalid):
            await till.charge(
                a_form(),
                request_id=request_id,
                security_code=a_code(till, request_id, "7373"),
            )

        assert "card.tokenized" not in await till.vault.log_types()

    async def test_of_another_call_is_rejected(self, till):
        token = await till.stored_with_reference()

        with pytest.raises(SealedCardRejected):
            await till.charge(token, security_code=a_code(till, a_request_id()))
        assert till.processor.calls == []


class TestOutcomes:
    async def test_authorizes_without_collecting(self, till):
        payment = await till.authorize()

        assert payment.state is PaymentState.AUTHORIZED
        assert (payment.capturable, payment.captured) == (1999, 0)
        assert payment.capture_before == till.clock.now() + timedelta(days=7)
        assert till.collected() == 0

    async def test_a_decline_is_a_payment(self, till):
        payment = (await till.charge(a_form(number=DECLINED))).payment

        assert payment.state is PaymentState.DECLINED
        assert payment.decline.reason == "DO_NOT_HONOR"
        assert (await till.outcomes(payment))[-1]["outcome"] == "DECLINED"

    async def test_a_card_that_the_processor_does_not_store_is_declined(self, till):
        form = a_form(number="4000000000009995")
        till.processor.answer("store", declined(named=""))

        payment = (await till.charge(form)).payment

        assert payment.state is PaymentState.DECLINED
        assert till.processor.keys("charge") == []

    async def test_waits_for_the_cardholder_when_it_can_come_back(self, till):
        payment = (
            await till.charge(
                a_form(number=NEEDS_ACTION), return_url="https://shop.example/back"
            )
        ).payment

        assert payment.state is PaymentState.REQUIRES_ACTION
        assert payment.redirect_url.startswith("https://")
        declined = (await till.charge(a_form(number=NEEDS_ACTION))).payment
        assert declined.decline.reason == "AUTHENTICATION_REQUIRED"

    @pytest.mark.parametrize("operation", ["customer", "store", "charge"])
    async def test_nothing_moved_when_the_processor_is_unavailable(
        self, till, operation
    ):
        till.processor.spoil(operation, Fault.UNAVAILABLE, Fault.UNAVAILABLE)

        payment = (await till.charge(charge_once_key="k")).payment

        assert payment.state is PaymentState.FAILED
        assert payment.failure_reason == "PROCESSOR_UNAVAILABLE"
        assert till.booked() == []
        assert (await till.charge(charge_once_key="k")).payment.captured == 1999

    @pytest.mark.parametrize("operation", ["customer", "store", "charge"])
    async def test_tries_again_what_is_known_not_to_be_executed(self, till, operation):
        till.processor.spoil(operation, Fault.UNAVAILABLE)

        payment = (await till.charge()).payment

        assert payment.state is PaymentState.CAPTURED
        first, second = till.processor.keys(operation)
        assert first == second
        assert till.collected() == 1999

    @pytest.mark.parametrize("operation", ["customer", "store"])
    @pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER])
    async def test_a_lost_step_before_the_charge_is_a_failure(
        self, till, operation, fault
    ):
        till.processor.spoil(operation, fault)

        payment = (await till.charge(charge_once_key="k")).payment

        assert payment.state is PaymentState.FAILED
        assert till.processor.keys("charge") == []
        assert (await till.charge(charge_once_key="k")).payment.captured == 1999

    @pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER])
    async def test_a_lost_charge_is_unknown_and_not_sent_again(self, till, fault):
        """covers: I6."""
        till.processor.spoil("charge", fault)

        payment = (await till.charge(charge_once_key="k")).payment

        assert payment.state is PaymentState.UNKNOWN
        assert len(till.processor.keys("charge")) == 1
        with pytest.raises(AlreadyCharged):
            await till.charge(charge_once_key="k")

    async def test_a_broken_adapter_loses_no_payment(self, till):
        """covers: I6. The caller learns the payment's name; the resolver settles it."""
        till.processor.spoil("charge", RuntimeError("4242424242424242"))

        payment = (await till.charge(charge_once_key="k")).payment

        assert payment.state is PaymentState.UNKNOWN
        await till.settle()
        assert (await till.find(payment)).state is PaymentState.CAPTURED
        assert till.collected() == 1999

    @pytest.mark.parametrize("operation", ["customer", "store", "charge"])
    async def test_a_refusal_is_a_failure_with_its_reason(self, till, operation):
        till.processor.spoil(operation, ProcessorRefused("RAW_CARDS_NOT_ENABLED"))

        payment = (await till.charge()).payment

        assert payment.state is PaymentState.FAILED
        assert payment.failure_reason == "RAW_CARDS_NOT_ENABLED"

    async def test_a_key_with_another_body_is_unknown(self, till):
        """What the first body did is not known: no reason to free the key."""
        till.processor.spoil("charge", ProcessorRefused("IDEMPOTENCY_MISMATCH"))

        payment = (await till.charge()).payment

        assert payment.state is PaymentState.UNKNOWN

    async def test_fails_without_a_call_when_the_keys_are_out_of_reach(self, till):
        card = await till.vault.tokenize()
        till.vault.hierarchy._by_id.clear()
        till.vault.provider.is_reachable = False

        payment = (await till.charge(card.token)).payment

        assert payment.state is PaymentState.FAILED
        assert payment.failure_reason == "KEY_UNAVAILABLE"
        assert till.processor.calls == []
        assert (await till.outcomes(payment))[-1]["card_opened"] is False


class TestConfirmableDecline:
    async def test_is_canceled_before_its_key_is_freed(self, till):
        payment = (
            await till.charge(a_form(number=DECLINED), charge_once_key="k")
        ).payment

        assert payment.state is PaymentState.DECLINED
        assert till.processor.keys("cancel") == [f"{payment.name}-release"]
        assert till.booked()[0]["status"] == "canceled"
        places = till.reached[till.reached.index(Boundary.CHARGING) :]
        assert places == [
            Boundary.CHARGING,
            Boundary.DECLINED,
            Boundary.RELEASED,
            Boundary.CHARGED,
            Boundary.OUTCOME_COMMITTED,
        ]
        assert (await till.charge(charge_once_key="k")).payment.captured == 1999

    @pytest.mark.parametrize(
        "fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER, ProcessorRefused("X")]
    )
    async def test_holds_its_key_until_the_cancel_is_confirmed(self, till, fault):
        """covers: I6."""
        till.processor.spoil("cancel", fault)

        payment = (
            await till.charge(a_form(number=DECLINED), charge_once_key="k")
        ).payment

        assert payment.state is PaymentState.UNKNOWN
        assert payment.processor_object == till.booked()[0]["id"]
        with pytest.raises(AlreadyCharged):
            await till.charge(charge_once_key="k")
        await till.settle()
        settled = await till.find(payment)
        assert settled.state in (PaymentState.DECLINED, PaymentState.CANCELED)
        assert till.collected() == 0
        assert (await till.charge(charge_once_key="k")).payment.captured == 1999

    async def test_holds_its_key_when_the_cancel_fails(self, till):
        till.processor.answer(
            "cancel", MoveOutcome(state=MoveState.FAILED, failure_reason="X")
        )

        payment = (await till.charge(a_form(number=DECLINED))).payment

        assert payment.state is PaymentState.UNKNOWN


class TestPolicy:
    @pytest.mark.parametrize("purpose", sorted(NEVER_ALLOWED))
    async def test_never_allows_some_purposes(self, till, purpose):
        card = await till.vault.tokenize()

        with pytest.raises(PolicyDenied) as caught:
            await till.charge(card.token, purpose=purpose)

        assert caught.value.metadata["rule"] == "purpose-never-allowed"
        denial = (await till.vault.log())[-1]
        assert (denial["type"], denial["purpose"]) == ("use.denied", purpose)
        assert till.processor.calls == []

    async def test_records_a_denial_and_frees_the_key(self, till):
        card = await till.vault.tokenize()
        request = {"request_id": a_request_id(), "charge_once_key": "k"}

        with pytest.raises(PolicyDenied) as caught:
            await till.charge(card.token, purpose=Purpose.RECURRING, **request)

        assert caught.value.metadata == {
            "rule": "not-granted",
            "purpose": "payment.recurring",
        }
        assert (await till.vault.log_types())[-1] == "use.denied"
        # Nothing was stored: the same id is free for the corrected request.
        result = await till.charge(card.token, **request)
        assert result.payment.state is PaymentState.CAPTURED

    @pytest.mark.parametrize("purpose", sorted(MERCHANT_INITIATED))
    async def test_asks_merchants_for_a_charge_once_key(self, till, purpose):
        card = await till.vault.tokenize(purposes={purpose})

        with pytest.raises(RequestInvalid) as caught:
            await till.charge(card.token, purpose=purpose)

        assert caught.value.field == "charge_once_key"
        paid = await till.charge(card.token, purpose=purpose, charge_once_key="k")
        assert paid.payment.state is PaymentState.CAPTURED


class TestBadInput:
    async def test_refuses_to_charge_nothing(self, till):
        with pytest.raises(RequestInvalid) as caught:
            await till.charge(amount=Money(0, "USD"))
        assert caught.value.field == "amount.minor_units"

    async def test_knows_only_the_merchants_own_tokens(self, till):
        """covers: I9."""
        card = await till.vault.tokenize(merchant=OTHER)

        for token in (card.token, CardTokenName(new_name("card"))):
            with pytest.raises(CardTokenNotFound):
                await till.charge(token, charge_once_key="invoice-1")
        assert await till.storage.commit(SHOP, _key_is_free) is True

    async def test_knows_only_the_merchants_own_accounts(self, till):
        with pytest.raises(ProcessorAccountNotFound):
            await till.charge(account_id="another")

    async def test_refuses_an_envelope_that_does_not_open(self, till):
        with pytest.raises(SealedCardRejected):
            await till.charge(SealedForm("k", b"x" * 80))
        assert till.processor.calls == []

    async def test_declines_a_wrong_number(self, till):
        """Luhn is checked before: the processor may still know better."""
        till.processor.answer("store", declined(named=""))

        assert (await till.charge()).payment.state is PaymentState.DECLINED
        assert WRONG_NUMBER not in str(await till.vault.log())


class TestRepeat:
    async def test_returns_the_payment_as_it_is_now(self, till):
        """covers: I6."""
        command = a_charge(a_form())
        first = await till.create.execute(command)
        await till.refund(first.payment, 100)

        again = await till.create.execute(command)

        assert (again.replayed, again.payment.name) == (True, first.payment.name)
        assert again.payment.refunded == 100
        assert till.collected() == 1999
        assert len(till.processor.keys("charge")) == 1

    async def test_proves_the_newest_entry(self, till):
        command = a_charge(a_form(), capture_automatically=False)
        first = await till.create.execute(command)
        assert b"AUTHORIZED" in first.receipt.entry
        moved = await till.cancel(first.payment)

        again = await till.create.execute(command)

        assert again.receipt.entry == moved.receipt.entry

    async def test_looks_the_id_up_before_anything_is_opened(self, till):
        command = a_charge(a_form())
        await till.create.execute(command)
        till.vault.provider.is_reachable = False
        till.clock.move(timedelta(days=400))

        assert (await till.create.execute(command)).replayed

    async def test_refuses_another_request_and_burns_the_id(self, till):
        command = a_charge(a_form())
        await till.create.execute(command)
        other = a_charge(a_form(), request_id=command.request_id, digest=b"o" * 32)

        for _ in range(3):
            with pytest.raises(RequestIdReused):
                await till.create.execute(other)

        with pytest.raises(RequestIdReused):
            await till.create.execute(command)
        assert till.collected() == 1999

    async def test_gives_the_same_decline_again(self, till):
        command = a_charge(a_form(number=DECLINED))
        first = await till.create.execute(command)

        again = await till.create.execute(command)

        assert again.payment == first.payment
        assert len(till.processor.keys("charge")) == 1


class TestChargeOnceKey:
    @pytest.mark.parametrize("capture", [True, False])
    async def test_pays_once_across_cards(self, till, capture):
        """covers: I6."""
        first = await till.charge(charge_once_key="k", capture_automatically=capture)

        with pytest.raises(AlreadyCharged) as caught:
            await till.charge(a_form(number="5555555555554444"), charge_once_key="k")

        assert caught.value.metadata == {
            "payment": first.payment.name,
            "state": first.payment.state.name,
            "minor_units": "1999",
            "currency": "USD",
        }
        assert len(till.booked()) == 1

    async def test_stays_taken_after_a_refund(self, till):
        first = await till.charge(charge_once_key="k")
        await till.refund(first.payment)

        with pytest.raises(AlreadyCharged):
            await till.charge(charge_once_key="k")

    async def test_is_free_after_a_cancel_and_a_decline(self, till):
        await till.cancel(await till.authorize(charge_once_key="k"))
        await till.charge(a_form(number=DECLINED), charge_once_key="k")

        paid = await till.charge(charge_once_key="k")

        assert paid.payment.state is PaymentState.CAPTURED

    async def test_is_the_merchants_own(self, till):
        """covers: I9."""
        await till.charge(charge_once_key="k")

        await till.charge(charge_once_key="k", merchant=OTHER)

        assert till.collected() == 2 * 1999

    async def test_leaves_nothing_of_the_refused_call(self, till):
        await till.charge(charge_once_key="k")
        before = await till.vault.log_types()
        request_id = a_request_id()

        with pytest.raises(AlreadyCharged):
            await till.charge(charge_once_key="k", request_id=request_id)

        assert await till.vault.log_types() == before
        assert (await till.charge(request_id=request_id)).replayed is False


class TestStorageFailure:
    async def test_after_the_charge_gives_unknown_and_the_payments_name(
        self, till, monkeypatch
    ):
        """covers: I6. An error would lose the name of a payment that may be charged."""
        token = await till.stored_with_reference()
        commit = till.storage.commit

        async def fails(merchant, work):
            if till.processor.keys("charge"):
                raise StorageUnavailable
            return await commit(merchant, work)

        monkeypatch.setattr(till.storage, "commit", fails)
        result = await till.charge(token)

        assert result.payment.state is PaymentState.UNKNOWN
        assert b"use.intent" in result.receipt.entry
        monkeypatch.undo()
        await till.settle()
        assert (await till.find(result.payment)).captured == 1999
        assert till.collected(result.payment) == 1999

    async def test_before_the_intent_is_an_error(self, till, monkeypatch):
        token = await till.stored_with_reference()

        async def fails(merchant, work):
            raise StorageUnavailable

        monkeypatch.setattr(till.storage, "commit", fails)
        with pytest.raises(StorageUnavailable):
            await till.charge(token)
        assert till.processor.calls == []


def _key_is_free(unit):
    return unit.payments.claim_charge_once("invoice-1", "pay_other") is None
