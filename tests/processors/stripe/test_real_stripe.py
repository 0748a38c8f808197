"""The contract's main promises against the real Stripe API, in test mode.

Opt-in: set STRIPE_TEST_KEY to a secret or restricted test key (sk_test_…, rk_test_…)
of an account with nothing else in it. Where raw card data APIs are not enabled the card
is one of Stripe's own ``pm_card_…`` names, and only storing a card goes unproven.
"""

import os
from datetime import UTC, datetime, timedelta

import pytest

from gateway.payments.decline_reasons import DeclineReason
from gateway.payments.processor import (
    Approved,
    Canceled,
    CredentialReference,
    Declined,
    MoveState,
    ProcessorRefused,
)
from gateway.processors.stripe.errors import RAW_CARDS_NOT_ENABLED
from gateway.processors.stripe.processor import StripeProcessor
from gateway.words.money import Money
from gateway.words.purposes import Purpose
from tests.contract.processor_harness import (
    a_call,
    a_card,
    a_payment_name,
    an_account,
    an_order,
)
from tests.processors.stripe import cards
from tests.processors.stripe.stand_in import always

KEY = os.environ.get("STRIPE_TEST_KEY", "")

pytestmark = pytest.mark.skipif(
    not KEY, reason="STRIPE_TEST_KEY not set: the real Stripe API was not exercised"
)

PRICE = Money(1999, "USD")
# docs.stripe.com/testing: what stands for each card where raw numbers are refused.
_STRIPES_NAMES = {
    cards.VISA: "pm_card_visa",
    cards.GENERIC_DECLINE: "pm_card_visa_chargeDeclined",
    cards.INSUFFICIENT_FUNDS: "pm_card_visa_chargeDeclinedInsufficientFunds",
    cards.LOST: "pm_card_visa_chargeDeclinedLostCard",
    cards.AUTHENTICATE_ALWAYS: "pm_card_authenticationRequired",
}


class Account:
    """A processor on the real API, and one customer."""

    def __init__(self, processor):
        self.processor = processor
        self.customer = ""

    def call(self, payment=None):
        name = payment or a_payment_name()
        key = f"bailee-test-{a_payment_name()}"
        return a_call(an_account("stripe"), key, payment=name)

    async def store(self, number=cards.VISA):
        self.customer = await self.processor.create_customer(self.call())
        card = a_card(number)
        try:
            stored = await self.processor.store_card(
                self.call(), self.customer, card.opened, card.security_code
            )
        except ProcessorRefused as refused:
            assert refused.failure_reason == RAW_CARDS_NOT_ENABLED  # noqa: PT017 - another path follows
            return CredentialReference(
                payment_method=_STRIPES_NAMES[number], customer=self.customer
            )
        assert isinstance(stored, CredentialReference)
        return stored

    async def charge(self, number=cards.VISA, **changes):
        reference = await self.store(number)
        payment = a_payment_name()
        order = an_order(reference, payment, **changes)
        return payment, await self.processor.charge(self.call(payment), order)


@pytest.fixture
async def account():
    assert KEY[3:].startswith("test_"), "only a test key may be used here"
    processor = StripeProcessor(credentials=always(KEY))
    yield Account(processor)
    await processor.close()


class TestRealStripe:
    async def test_charges_finds_and_refunds(self, account):
        payment, charge = await account.charge()

        assert isinstance(charge, Approved)
        assert (charge.authorized, charge.captured) == (PRICE, PRICE)
        refund = await account.processor.refund(
            account.call(), charge.processor_object, Money(500, "USD")
        )
        assert refund.state in (MoveState.SUCCEEDED, MoveState.PENDING)
        since = datetime.now(UTC) - timedelta(minutes=10)
        (found,) = await account.processor.find(
            account.call(), payment, account.customer, since
        )
        assert found.outcome == charge

    async def test_authorizes_captures_and_cancels(self, account):
        _, first = await account.charge(capture=False)
        _, second = await account.charge(capture=False)

        captured = await account.processor.capture(
            account.call(), first.processor_object, Money(500, "USD")
        )
        canceled = await account.processor.cancel(
            account.call(), second.processor_object
        )

        assert first.capture_before > datetime.now(UTC)
        assert captured.state is canceled.state is MoveState.SUCCEEDED
        gone = await account.processor.inquire(account.call(), second.processor_object)
        assert isinstance(gone.outcome, Canceled)

    @pytest.mark.parametrize(
        ("number", "reason"),
        [
            (cards.GENERIC_DECLINE, DeclineReason.DO_NOT_HONOR),
            (cards.INSUFFICIENT_FUNDS, DeclineReason.INSUFFICIENT_FUNDS),
            (cards.LOST, DeclineReason.LOST_OR_STOLEN),
            (cards.AUTHENTICATE_ALWAYS, DeclineReason.AUTHENTICATION_REQUIRED),
        ],
    )
    async def test_declines_and_closes(self, account, number, reason):
        _, outcome = await account.charge(number)

        assert isinstance(outcome, Declined)
        assert outcome.decline.reason == reason
        assert outcome.still_confirmable
        closed = await account.processor.cancel(
            account.call(), outcome.processor_object
        )
        assert closed.state is MoveState.SUCCEEDED

    @pytest.mark.parametrize("first", [Purpose.CUSTOMER_INITIATED, Purpose.RECURRING])
    async def test_charges_a_kept_card_again(self, account, first):
        reference = await account.store()
        orders = [
            an_order(
                reference,
                a_payment_name(),
                purpose=first,
                stores_credential=True,
                off_session_later=True,
            ),
            an_order(reference, a_payment_name(), purpose=Purpose.RECURRING),
        ]

        for order in orders:
            outcome = await account.processor.charge(account.call(), order)
            assert isinstance(outcome, Approved)

    async def test_refuses_a_key_that_stripe_does_not_know(self):
        processor = StripeProcessor(credentials=always("sk_test_51ThisKeyDoesNotExist"))
        with pytest.raises(ProcessorRefused, match="CREDENTIAL_REJECTED"):
            await processor.create_customer(a_call(an_account("stripe"), "no-key"))
        await processor.close()
