"""What really leaves for Stripe, read off the wire."""

from dataclasses import replace

import pytest

from gateway.cards.details import BillingDetails
from gateway.cards.expiry import Expiry
from gateway.cards.pan import Pan
from gateway.errors import InvariantBroken
from gateway.payments.processor import Approved, Declined
from gateway.vault.card_access import OpenedCard
from gateway.words.purposes import Purpose
from tests.contract.processor_contract import Desk
from tests.processors.stripe import cards
from tests.processors.stripe.cards import BankAnswer
from tests.processors.stripe.stand_in import KEY
from tests.processors.stripe.strict_params import judge, read_form

CUSTOMERS, CARDS, INTENTS = (
    "/v1/customers",
    "/v1/payment_methods",
    "/v1/payment_intents",
)
USAGES = {
    Purpose.RECURRING: "recurring",
    Purpose.INSTALLMENT: "installment",
    Purpose.UNSCHEDULED: "unscheduled",
}


@pytest.fixture
async def desk(harness):
    desk = Desk(harness, harness.make_processor())
    yield desk
    await desk.processor.close()


async def charge_form(desk, stand_in, **changes):
    """Returns the form of a charge with these changes."""
    await desk.charge(await desk.store(), **changes)
    (form,) = stand_in.forms(INTENTS)
    return form


class TestCustomer:
    async def test_is_nameless(self, desk, stand_in):
        await desk.store()
        assert stand_in.forms(CUSTOMERS) == [
            {"metadata": {"bailee_payment": desk.payment}}
        ]


class TestCard:
    async def test_carries_what_was_collected(self, desk, stand_in):
        await desk.store()
        assert stand_in.forms(CARDS) == [
            {
                "type": "card",
                "card": {
                    "number": cards.VISA,
                    "exp_month": "12",
                    "exp_year": "2034",
                    "cvc": "123",
                },
                "billing_details": {
                    "name": "Ada Example",
                    "address": {
                        "line1": "1 Example Street",
                        "city": "Zürich",
                        "country": "CH",
                    },
                },
                "metadata": {"bailee_payment": desk.payment},
            }
        ]

    @pytest.mark.parametrize("billing", [None, BillingDetails()])
    async def test_leaves_out_what_was_not_collected(self, desk, stand_in, billing):
        opened = OpenedCard(
            number=Pan(cards.AMEX), expiry=Expiry(1, 2031), billing=billing
        )
        await desk.processor.store_card(desk.call("m"), "cus_1", opened, None)

        (form,) = stand_in.forms(CARDS)
        assert set(form["card"]) == {"number", "exp_month", "exp_year"}
        assert "billing_details" not in form

    async def test_never_carries_mail_or_phone(self, desk, stand_in):
        """Even if the door handed out more than was declared."""
        billing = BillingDetails(email="ada@example.com", phone="+41 44 000 00 00")
        opened = OpenedCard(
            number=Pan(cards.VISA), expiry=Expiry(1, 2031), billing=billing
        )
        await desk.processor.store_card(desk.call("m"), "cus_1", opened, None)

        assert "billing_details" not in stand_in.forms(CARDS)[0]

    @pytest.mark.parametrize("missing", ["number", "expiry"])
    async def test_is_not_sent_when_it_was_not_opened(self, desk, stand_in, missing):
        opened = replace(
            OpenedCard(number=Pan(cards.VISA), expiry=Expiry(1, 2031)),
            **{missing: None},
        )
        with pytest.raises(InvariantBroken):
            await desk.processor.store_card(desk.call("m"), "cus_1", opened, None)
        assert stand_in.received == []


class TestCharge:
    async def test_asks_for_one_confirmed_card_payment(self, desk, stand_in):
        form = await charge_form(desk, stand_in)

        (card,) = stand_in.books.cards
        assert form == {
            "amount": "1999",
            "currency": "usd",
            "customer": desk.customer,
            "payment_method": card,
            "allowed_payment_method_types": ["card"],
            "capture_method": "automatic",
            "confirm": "true",
            "error_on_requires_action": "true",
            "expand": ["latest_charge"],
            "metadata": {
                "bailee_payment": desk.payment,
                "bailee_purpose": "payment.customer_initiated",
            },
        }

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"capture": False}, {"capture_method": "manual"}),
            (
                {"stores_credential": True, "off_session_later": True},
                {"setup_future_usage": "off_session"},
            ),
            ({"stores_credential": True}, {"setup_future_usage": "on_session"}),
            (
                {"statement_descriptor_suffix": "INVOICE 7"},
                {"statement_descriptor_suffix": "INVOICE 7"},
            ),
        ],
    )
    async def test_says_what_was_ordered(self, desk, stand_in, changes, expected):
        form = await charge_form(desk, stand_in, **changes)
        assert expected.items() <= form.items()

    async def test_waits_for_the_cardholder_only_with_a_return_url(
        self, desk, stand_in
    ):
        form = await charge_form(desk, stand_in, return_url="https://a.example/back")

        assert form["return_url"] == "https://a.example/back"
        assert "error_on_requires_action" not in form

    @pytest.mark.parametrize(("purpose", "usage"), USAGES.items())
    @pytest.mark.parametrize("stores", [True, False])
    async def test_declares_what_the_merchant_starts(
        self, desk, stand_in, purpose, usage, stores
    ):
        form = await charge_form(
            desk,
            stand_in,
            purpose=purpose,
            stores_credential=stores,
            return_url="https://a.example/back",
        )

        assert form["off_session"] == "true"
        options = {"card": {"stored_credential_usage": usage}}
        assert form["payment_method_options"] == options
        assert form["metadata"]["bailee_purpose"] == purpose
        refused_beside = {
            "setup_future_usage",
            "return_url",
            "error_on_requires_action",
        }
        assert not refused_beside & set(form)

    async def test_never_carries_card_data(self, desk, stand_in):
        await desk.store()
        await desk.charge(await desk.store())

        for request in stand_in.received:
            if request.path != CARDS:
                assert cards.VISA not in request.text
                assert "cvc" not in request.text

    async def test_never_sends_what_stripe_withdrew(self, desk, stand_in):
        for purpose in (Purpose.CUSTOMER_INITIATED, Purpose.RECURRING):
            await desk.charge(await desk.store(key=purpose), key=purpose)
        sent = [read_form(request.text) for request in stand_in.received]
        assert not any("payment_method_types" in form for form in sent)


class TestFirstChargeByTheMerchant:
    """Stripe forgets an unattached card after one charge."""

    async def order(self, desk, reference, key="first"):
        return await desk.charge(
            reference,
            purpose=Purpose.RECURRING,
            stores_credential=True,
            off_session_later=True,
            key=key,
        )

    async def test_keeps_the_card(self, desk):
        reference = await desk.store()

        assert isinstance(await self.order(desk, reference), Approved)
        again = await desk.charge(reference, purpose=Purpose.RECURRING, key="second")
        assert isinstance(again, Approved)

    async def test_moves_money_once_when_sent_again(self, desk):
        reference = await desk.store()

        assert await self.order(desk, reference) == await self.order(desk, reference)
        assert await desk.money() == (0, 1999, 0)

    async def test_is_declined_when_the_bank_refuses_to_keep_it(self, desk, stand_in):
        reference = await desk.store()
        stand_in.books.next_attach_refusal = BankAnswer("card_declined", "lost_card")

        outcome = await self.order(desk, reference)

        assert isinstance(outcome, Declined)
        assert (outcome.processor_object, outcome.still_confirmable) == ("", False)
        assert stand_in.books.intents == {}


class TestMoves:
    async def test_capture_says_how_much(self, desk, stand_in):
        charge = await desk.approve(capture=False)
        await desk.capture(charge, 700)

        (form,) = stand_in.forms(f"{INTENTS}/{charge.processor_object}/capture")
        assert form == {"amount_to_capture": "700", "expand": ["latest_charge"]}

    async def test_cancel_gives_no_reason(self, desk, stand_in):
        charge = await desk.approve(capture=False)
        await desk.cancel(charge)

        (form,) = stand_in.forms(f"{INTENTS}/{charge.processor_object}/cancel")
        assert form == {}

    async def test_refund_names_the_payment(self, desk, stand_in):
        charge = await desk.approve()
        await desk.refund(charge, 300)

        assert stand_in.forms("/v1/refunds") == [
            {
                "payment_intent": charge.processor_object,
                "amount": "300",
                "metadata": {"bailee_payment": desk.payment},
            }
        ]


class TestFinding:
    async def test_reads_every_page(self, desk, stand_in):
        stand_in.books.page_max = 2
        charge = await desk.approve()
        ours = desk.payment
        for count in range(4):
            desk.payment = f"pay_{count}"
            reference = await desk.store_for(desk.customer, "ok", f"m{count}")
            await desk.charge(reference, key=f"c{count}")

        (found,) = await desk.find(payment=ours)

        assert found.processor_object == charge.processor_object
        asked = [each for each in stand_in.received if each.path == INTENTS]
        assert len([each for each in asked if each.method == "GET"]) == 3

    async def test_searches_by_name_when_no_customer_is_known(self, desk, stand_in):
        charge = await desk.approve()

        (found,) = await desk.processor.find(
            desk.call("find"), desk.payment, "", desk.harness.now()
        )

        assert found.outcome == charge
        assert stand_in.received[-1].path == f"{INTENTS}/search"


class TestHeaders:
    async def test_name_key_version_and_call(self, desk, stand_in):
        await desk.store()

        for request in stand_in.received:
            assert request.headers["Authorization"] == f"Bearer {KEY}"
            assert request.headers["Stripe-Version"] == "2026-10-28.endive"
        keys = [each.headers["Idempotency-Key"] for each in stand_in.received]
        assert keys == ["store-c", "store-m"]

    async def test_carry_no_telemetry(self, desk, stand_in):
        await desk.store()
        await desk.charge(await desk.store())
        for request in stand_in.received:
            assert "X-Stripe-Client-Telemetry" not in request.headers
            about = request.headers["X-Stripe-Client-User-Agent"]
            assert "telemetry_id" not in about


class TestJudge:
    """The control: a judge that accepts everything would prove nothing."""

    GOOD = "amount=1&currency=usd&confirm=true"

    @pytest.mark.parametrize(
        "good",
        [
            "off_session=true",
            "capture_method=manual",
            "payment_method_options[card][stored_credential_usage]=recurring",
            "payment_method_options[card][moto]=true",
            "allowed_payment_method_types[0]=card",
            "metadata[a]=b",
            "expand[0]=latest_charge",
        ],
    )
    def test_accepts(self, good):
        form = read_form(f"{self.GOOD}&{good}")
        assert judge("PaymentIntentCreateParams", form) == []

    @pytest.mark.parametrize(
        "bad",
        [
            "payment_method_types[0]=card",
            "allowed_payment_method_types[0]=kard",
            "capture_method=manuel",
            "off_session=sometimes",
            "setup_future_usage=later",
            "payment_method_options[card][mit_exemption][network_transaction_id]=1",
            "payment_method_options[card][stored_credential_usage]=subscription",
            "payment_method_data[card][number]=4242424242424242",
            "amount=12.34",
            "bogus=1",
            "api_key=sk_test_1",
        ],
    )
    def test_refuses(self, bad):
        form = read_form(f"{self.GOOD}&{bad}")
        assert judge("PaymentIntentCreateParams", form) != []

    def test_refuses_what_is_missing(self):
        assert judge("PaymentIntentCreateParams", {"currency": "usd"}) == [
            "amount: missing"
        ]

    @pytest.mark.parametrize(
        ("name", "form"),
        [
            ("PaymentMethodCreateParams", {"type": "card", "card": {"numbr": "4"}}),
            ("PaymentMethodCreateParams", {"type": "kard"}),
            ("RefundCreateParams", {"payment_intent": "pi_1", "reason": "oops"}),
            ("PaymentIntentCancelParams", {"cancellation_reason": "nope"}),
            ("PaymentIntentListParams", {"created": {"since": "1"}}),
        ],
    )
    def test_refuses_mistakes_in_other_requests(self, name, form):
        assert judge(name, form) != []
