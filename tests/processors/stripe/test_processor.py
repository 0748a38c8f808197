"""The Stripe adapter over the real SDK and a strict stand-in on loopback."""

import logging
import traceback
from datetime import timedelta

import pytest
import stripe

from gateway.cards.details import BillingDetails
from gateway.cards.expiry import Expiry
from gateway.cards.pan import Pan
from gateway.cards.security_code import SecurityCode
from gateway.config import ConfigInvalid
from gateway.errors import AmountNotRepresentable, ProcessorUnavailable
from gateway.merchants.ports import Environment, ProcessorAccount
from gateway.payments.processor import (
    Approved,
    ChargeOrder,
    Declined,
    MoveState,
    ProcessorCall,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
)
from gateway.processors.stripe.declines import CardRefusal, decline_of
from gateway.processors.stripe.processor import StripeProcessor
from gateway.vault.card_access import OpenedCard
from gateway.words.clock import SystemClock
from gateway.words.money import Money
from gateway.words.purposes import Purpose
from tests.processors.stripe.fake import RAW_CARDS, running_fake
from tests.processors.stripe.strict_bodies import judge

NUMBER = "4242424242424242"
CODE = "987"
KEY = "sk_test_notarealkey"
ACCOUNT = ProcessorAccount(
    account_id="stripe",
    processor="stripe",
    environment=Environment.TEST,
    external_account="",
    created_at=SystemClock().now(),
)
BILLING = BillingDetails(
    name="A. Holder", city="Berlin", country="DE", email="x@example.org", phone="1"
)
EVERYTHING = (
    "/v1/customers",
    "/v1/payment_methods",
    "/v1/payment_intents",
)


def call(key="key-1"):
    return ProcessorCall(
        account=ACCOUNT,
        idempotency_key=key,
        deadline=timedelta(seconds=5),
        metadata={"bailee_payment": "pay_x", "bailee_purpose": "payment.recurring"},
    )


def card(number=NUMBER):
    return OpenedCard(
        number=Pan(number), expiry=Expiry(12, 2031), billing=BillingDetails(name="A")
    )


def order(reference, **changes):
    facts = {
        "payment": "pay_x",
        "amount": Money(1099, "USD"),
        "purpose": Purpose.CUSTOMER_INITIATED,
        "reference": reference,
        "capture": True,
        "stores_credential": True,
        "off_session_later": False,
    }
    return ChargeOrder(**facts | changes)


def adapter(url):
    return StripeProcessor(credentials=lambda account: KEY, address=url)


@pytest.fixture
async def site():
    async with running_fake() as (fake, url):
        processor = adapter(url)
        yield processor, fake
        await processor.close()


async def a_reference(processor, number=NUMBER):
    customer = await processor.create_customer(call("cus"))
    return await processor.store_card(
        call(f"pm-{number}"), customer, card(number), SecurityCode(CODE)
    )


class TestFlow:
    async def test_charges_a_new_card(self, site):
        processor, fake = site
        reference = await a_reference(processor)

        outcome = await processor.charge(call("pi"), order(reference))

        assert isinstance(outcome, Approved)
        assert outcome.captured == Money(1099, "USD")
        assert [path for _, path, _, _ in fake.requests] == list(EVERYTHING)
        assert all(
            headers["Authorization"] == f"Bearer {KEY}"
            for _, _, headers, _ in fake.requests
        )

    async def test_authorizes_captures_and_refunds(self, site):
        processor, _ = site
        reference = await a_reference(processor)
        held = await processor.charge(call("pi"), order(reference, capture=False))
        name = held.processor_object

        captured = await processor.capture(call("cap"), name, Money(500, "USD"))
        refunded = await processor.refund(call("ref"), name, Money(100, "USD"))

        assert held.captured.minor_units == 0
        assert captured.state is refunded.state is MoveState.SUCCEEDED

    async def test_cancels(self, site):
        processor, _ = site
        reference = await a_reference(processor)
        held = await processor.charge(call("pi"), order(reference, capture=False))

        done = await processor.cancel(call("can"), held.processor_object)

        assert done.state is MoveState.SUCCEEDED

    @pytest.mark.parametrize(
        ("number", "reason"),
        [
            ("4000000000009995", "INSUFFICIENT_FUNDS"),
            ("4000000000009979", "LOST_OR_STOLEN"),
            ("4000000000000069", "CARD_EXPIRED"),
        ],
    )
    async def test_returns_a_decline_as_a_value(self, site, number, reason):
        processor, _ = site
        reference = await a_reference(processor, number)

        outcome = await processor.charge(call("pi"), order(reference))

        assert isinstance(outcome, Declined)
        assert outcome.decline.reason == reason
        assert outcome.still_confirmable
        assert outcome.processor_object.startswith("pi_")

    async def test_sends_the_same_key_for_the_same_call(self, site):
        processor, fake = site
        reference = await a_reference(processor)

        first = await processor.charge(call("pi"), order(reference))
        second = await processor.charge(call("pi"), order(reference))

        assert first == second
        kinds = [item["object"] for item in fake.objects.values()]
        assert kinds.count("payment_intent") == 1

    async def test_finds_a_payment_by_our_name(self, site):
        processor, _ = site
        reference = await a_reference(processor)
        made = await processor.charge(call("pi"), order(reference))
        since = SystemClock().now() - timedelta(minutes=1)

        found = await processor.find(call(), "pay_x", reference.customer, since)
        other = await processor.find(call(), "pay_y", reference.customer, since)

        assert [item.processor_object for item in found] == [made.processor_object]
        assert other == []


class TestBodies:
    """The SDK's form bodies, judged by Stripe's own types."""

    @pytest.mark.parametrize("purpose", ["RECURRING", "INSTALLMENT", "UNSCHEDULED"])
    async def test_says_how_a_stored_credential_is_used(self, site, purpose):
        processor, fake = site
        reference = await a_reference(processor)

        await processor.charge(
            call("pi"),
            order(reference, purpose=Purpose[purpose], stores_credential=False),
        )

        body = fake.requests[-1][3]
        assert "off_session=True" in body or "off_session=true" in body
        assert f"stored_credential_usage%5D={purpose.lower()}" in body or (
            f"[stored_credential_usage]={purpose.lower()}" in body
        )
        assert "payment_method_types" not in body.replace("allowed_payment", "")

    async def test_never_sends_what_was_not_declared(self, site):
        processor, fake = site
        await a_reference(processor)

        sent = " ".join(body for _, _, _, body in fake.requests)

        assert "email" not in sent
        assert "phone" not in sent

    async def test_puts_the_security_code_into_the_payment_method_only(self, site):
        """covers: I4."""
        processor, fake = site
        reference = await a_reference(processor)
        await processor.charge(call("pi"), order(reference))

        with_code = [path for _, path, _, body in fake.requests if f"={CODE}" in body]

        assert with_code == ["/v1/payment_methods"]

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            (
                "/v1/payment_intents",
                "amount=1&currency=usd&payment_method_types[0]=x",
            ),
            ("/v1/payment_intents", "amount=1&currency=usd&capture_method=manuel"),
            ("/v1/payment_intents", "amount=1.5&currency=usd"),
            ("/v1/payment_intents", "currency=usd"),
            ("/v1/payment_methods", "type=card&card[numbr]=4"),
            ("/v1/refunds", "payment_intent=pi_1&reason=oops"),
        ],
    )
    def test_the_judge_refuses_wrong_bodies(self, path, body):
        with pytest.raises(ValueError, match="validation error"):
            judge(path, body)


class TestFailures:
    @pytest.mark.parametrize(
        ("fault", "expected"),
        [
            ("drop", ProcessorOutcomeUnknown),
            ("lose the answer", ProcessorOutcomeUnknown),
            ("not json", ProcessorOutcomeUnknown),
            ((500, {"type": "api_error", "message": "x"}), ProcessorOutcomeUnknown),
            (
                (409, {"type": "api_error", "code": "idempotency_key_in_use"}),
                ProcessorOutcomeUnknown,
            ),
            ((429, {"type": "api_error", "code": "rate_limit"}), ProcessorUnavailable),
        ],
    )
    async def test_tells_unknown_from_not_executed(self, site, fault, expected):
        processor, fake = site
        reference = await a_reference(processor)
        fake.fault = fault

        with pytest.raises(expected):
            await processor.charge(call("pi"), order(reference))

    @pytest.mark.parametrize(
        ("status", "error", "reason"),
        [
            (401, {"type": "invalid_request_error"}, "CREDENTIAL_REJECTED"),
            (403, {"type": "invalid_request_error"}, "CREDENTIAL_REJECTED"),
            (
                400,
                {"type": "invalid_request_error", "message": RAW_CARDS},
                "RAW_CARDS_NOT_ENABLED",
            ),
            (
                400,
                {"type": "invalid_request_error", "message": "bad"},
                "REQUEST_REFUSED",
            ),
            (
                400,
                {"type": "idempotency_error", "message": "x"},
                "IDEMPOTENCY_MISMATCH",
            ),
        ],
    )
    async def test_says_why_stripe_refused(self, site, status, error, reason):
        processor, fake = site
        fake.fault = (status, error)

        with pytest.raises(ProcessorRefused) as caught:
            await processor.store_card(call(), "cus_1", card(), None)

        assert caught.value.failure_reason == reason

    async def test_is_unavailable_when_nothing_listens(self):
        processor = adapter("http://127.0.0.1:9")

        with pytest.raises(ProcessorUnavailable):
            await processor.create_customer(call())
        await processor.close()

    async def test_follows_no_redirect(self, site):
        processor, fake = site
        fake.fault = "redirect"

        with pytest.raises((ProcessorOutcomeUnknown, ProcessorRefused)):
            await processor.store_card(call(), "cus_1", card(), None)

        assert len(fake.requests) == 1

    @pytest.mark.parametrize(
        ("amount", "currency"),
        [(10**12, "USD"), (1234, "KWD"), (123, "MGA"), (10**11, "ISK"), (1, "IQD")],
    )
    def test_refuses_what_stripe_cannot_express(self, amount, currency):
        with pytest.raises(AmountNotRepresentable):
            adapter("http://127.0.0.1:9").check_representable(Money(amount, currency))


class TestLeaks:
    """covers: I1."""

    @pytest.mark.parametrize(
        "fault",
        [None, "drop", "not json", (500, {"type": "api_error"}), (402, {
            "type": "card_error", "code": "expired_card"})],
    )  # fmt: skip
    async def test_no_card_data_in_logs_errors_or_their_causes(
        self, site, fault, caplog, capfd
    ):
        caplog.set_level(logging.DEBUG)
        processor, fake = site
        fake.fault = fault
        shown = ""
        try:
            await processor.store_card(call(), "cus_1", card(), SecurityCode(CODE))
        except (ProcessorOutcomeUnknown, ProcessorRefused) as error:
            shown = "".join(traceback.format_exception(error)) + repr(vars(error))
            shown += repr((error.__cause__, error.__context__))

        out, err = capfd.readouterr()
        for text in (caplog.text, shown, out, err):
            assert NUMBER not in text
            assert f"cvc]={CODE}" not in text
            assert KEY not in text

    def test_refuses_to_start_with_the_sdks_debug_log(self, monkeypatch):
        monkeypatch.setattr(stripe, "log", "debug")

        with pytest.raises(ConfigInvalid):
            adapter("http://127.0.0.1:9")


class TestDeclines:
    def test_takes_no_unknown_code_for_a_soft_one(self):
        made = decline_of(
            CardRefusal(code="card_declined", decline_code="brand_new_code")
        )

        assert (made.reason, made.decline_class.value) == ("OTHER", "hard")

    def test_hides_why_a_card_is_suspected(self):
        made = decline_of(CardRefusal(code="x", decline_code="stolen_card"))

        assert made.processor_code == ""

    @pytest.mark.parametrize(
        ("facts", "retry", "kind"),
        [
            ({"advice_code": "do_not_try_again"}, "never", "hard"),
            ({"network_advice_code": "03"}, "never", "hard"),
            ({"advice_code": "try_again_later"}, "later", "soft"),
        ],
    )
    def test_lets_advice_outrank_the_table(self, facts, retry, kind):
        made = decline_of(
            CardRefusal(code="card_declined", decline_code="do_not_honor", **facts)
        )

        assert (made.retry.value, made.decline_class.value) == (retry, kind)
