"""What each kind of answer becomes, and when nothing is known."""

import asyncio
import json
import socket
from datetime import timedelta

import pytest
from aiohttp import web

from gateway.errors import KeyUnavailable, ProcessorUnavailable
from gateway.merchants.ports import Environment
from gateway.payments.processor import (
    ActionRequired,
    Declined,
    MoveState,
    Pending,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
)
from gateway.processors.stripe.errors import REFUSALS
from gateway.processors.stripe.processor import StripeProcessor
from gateway.words.money import Money
from tests.contract.processor_contract import Desk
from tests.contract.processor_harness import Fault, Operation, a_call
from tests.processors.stripe.shapes import error_body
from tests.processors.stripe.stand_in import KEY, stripe_stand_in

INVALID = "invalid_request_error"


def answer(status, kind=INVALID, message="No.", **codes):
    return web.json_response(error_body(kind, message, **codes), status=status)


@pytest.fixture
async def desk(harness):
    desk = Desk(harness, harness.make_processor())
    yield desk
    await desk.processor.close()


@pytest.fixture
async def reference(desk):
    return await desk.store()


class TestRefusals:
    @pytest.mark.parametrize("status", [401, 403])
    async def test_rejects_a_credential(self, desk, stand_in, status):
        stand_in.canned[Operation.CUSTOMER] = answer(status, message="Invalid API Key")

        with pytest.raises(ProcessorRefused, match=r"^CREDENTIAL_REJECTED$"):
            await desk.store()

    async def test_explains_that_raw_cards_are_not_enabled(self, desk, stand_in):
        stand_in.books.raw_cards_enabled = False

        with pytest.raises(ProcessorRefused, match=r"^RAW_CARDS_NOT_ENABLED$"):
            await desk.store()

    @pytest.mark.parametrize("status", [400, 402, 403])
    async def test_knows_that_refusal_by_its_text_alone(self, desk, stand_in, status):
        text = "Sending credit card numbers directly to the Stripe API is generally …"
        stand_in.canned[Operation.STORE] = answer(status, message=text)

        with pytest.raises(ProcessorRefused, match=r"^RAW_CARDS_NOT_ENABLED$"):
            await desk.store()

    @pytest.mark.parametrize(("code", "reason"), REFUSALS.items())
    @pytest.mark.parametrize("status", [400, 402, 404])
    async def test_names_the_reason(
        self, desk, stand_in, reference, code, reason, status
    ):
        stand_in.canned[Operation.CHARGE] = answer(status, code=code)

        with pytest.raises(ProcessorRefused, match=f"^{reason}$"):
            await desk.charge(reference)

    async def test_names_every_other_refusal_alike(self, desk, stand_in, reference):
        stand_in.canned[Operation.CHARGE] = answer(400, code="parameter_missing")

        with pytest.raises(ProcessorRefused, match=r"^REQUEST_REFUSED$"):
            await desk.charge(reference)

    async def test_refuses_amounts_that_stripe_cannot_express(self, desk, stand_in):
        charge = await desk.approve(capture=False)
        stand_in.received.clear()
        amount = Money(5124, "KWD")
        moves = (desk.processor.capture, desk.processor.refund)
        for move in moves:
            with pytest.raises(ProcessorRefused, match=r"^AMOUNT_NOT_REPRESENTABLE$"):
                await move(desk.call("move"), charge.processor_object, amount)
        assert stand_in.received == []


class TestNotExecuted:
    @pytest.mark.parametrize(
        "refusal",
        [
            answer(429, code="rate_limit"),
            answer(429, code="lock_timeout"),
            answer(400, code="rate_limit"),
            answer(409, code="lock_timeout"),
            web.Response(status=429, text="<html>slow down</html>"),
        ],
    )
    async def test_may_be_tried_again(self, desk, stand_in, reference, refusal):
        stand_in.canned[Operation.CHARGE] = refusal

        with pytest.raises(ProcessorUnavailable):
            await desk.charge(reference)
        assert len(stand_in.forms("/v1/payment_intents")) == 1

    async def test_is_a_deadline_before_anything_left(self, harness):
        """The kernel accepts and nobody speaks TLS: the request stayed here."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            processor = StripeProcessor(
                credentials=lambda _account: KEY, address=f"https://127.0.0.1:{port}"
            )
            quick = a_call(harness.account, "k", deadline=timedelta(seconds=0.1))

            with pytest.raises(ProcessorUnavailable):
                await processor.create_customer(quick)
            await processor.close()

    async def test_is_not_silence_after_the_request_left(self, harness):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            processor = StripeProcessor(
                credentials=lambda _account: KEY, address=f"http://127.0.0.1:{port}"
            )
            quick = a_call(harness.account, "k", deadline=timedelta(seconds=0.1))

            with pytest.raises(ProcessorOutcomeUnknown):
                await processor.create_customer(quick)
            await processor.close()


class TestUnknown:
    @pytest.mark.parametrize(
        "status_and_text",
        [
            (500, json.dumps(error_body("api_error", "x"))),
            (502, "<html>bad gateway</html>"),
            (503, ""),
            (409, json.dumps(error_body(INVALID, "x", code="idempotency_key_in_use"))),
            (424, json.dumps(error_body("api_error", "x"))),
            (403, "<html>firewall</html>"),
            (400, "<html>proxy</html>"),
            (200, ""),
            (200, "[]"),
            (200, "null"),
            (200, "{}"),
            (200, '{"object": "payment_intent", "id": "pi_1"}'),
            (200, '{"object": "payment_intent", "id": "pi_1", "status": "new"}'),
            (
                200,
                '{"object": "payment_intent", "id": "pi_1", "status": "succeeded", '
                '"amount": 1, "amount_received": 1, "currency": "xxx"}',
            ),
        ],
    )
    async def test_is_every_answer_that_proves_nothing(
        self, desk, stand_in, reference, status_and_text
    ):
        status, text = status_and_text
        stand_in.canned[Operation.CHARGE] = web.Response(
            status=status, text=text, content_type="application/json"
        )

        with pytest.raises(ProcessorOutcomeUnknown):
            await desk.charge(reference)
        assert len(stand_in.forms("/v1/payment_intents")) == 1

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    async def test_is_a_redirect_and_nobody_follows_it(
        self, desk, stand_in, reference, status
    ):
        async with stripe_stand_in() as elsewhere:
            stand_in.canned[Operation.CHARGE] = web.Response(
                status=status,
                headers={"Location": f"{elsewhere.address}/v1/payment_intents"},
            )
            with pytest.raises(ProcessorOutcomeUnknown):
                await desk.charge(reference)
            assert elsewhere.received == []

    async def test_is_a_redirect_and_no_card_follows_it(self, desk, stand_in):
        """covers: I1."""
        async with stripe_stand_in() as elsewhere:
            stand_in.canned[Operation.STORE] = web.Response(
                status=307,
                headers={"Location": f"{elsewhere.address}/v1/payment_methods"},
            )
            with pytest.raises(ProcessorOutcomeUnknown):
                await desk.store()
            assert elsewhere.received == []

    async def test_is_a_notice_that_python_turns_into_an_error(
        self, desk, stand_in, reference
    ):
        """``-W error``, as in these tests, raises the SDK's warnings."""
        stand_in.canned[Operation.CHARGE] = web.Response(
            text="{}", headers={"Stripe-Notice": "look here"}
        )
        with pytest.raises(ProcessorOutcomeUnknown):
            await desk.charge(reference)

    async def test_is_not_a_cancelled_call(self, desk, stand_in, reference):
        stand_in.faults[Operation.CHARGE] = Fault.SLOW
        charging = asyncio.ensure_future(desk.charge(reference))
        await asyncio.sleep(0.1)
        charging.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await charging
        assert caught.value.__context__ is None


class TestOutcomes:
    async def charge_with(self, desk, stand_in, reference, **values):
        body = {
            "object": "payment_intent",
            "id": "pi_1",
            "amount": 1999,
            "amount_received": 0,
            "amount_capturable": 0,
            "currency": "usd",
            "latest_charge": "ch_1",
            "metadata": {},
        }
        stand_in.canned[Operation.CHARGE] = web.json_response(body | values)
        return await desk.charge(reference)

    async def test_waits_for_what_is_processing(self, desk, stand_in, reference):
        outcome = await self.charge_with(desk, stand_in, reference, status="processing")
        assert outcome == Pending(processor_object="pi_1")

    async def test_has_no_address_for_an_action_only_an_app_can_do(
        self, desk, stand_in, reference
    ):
        outcome = await self.charge_with(
            desk,
            stand_in,
            reference,
            status="requires_action",
            next_action={"type": "use_stripe_sdk"},
        )
        assert outcome == ActionRequired(processor_object="pi_1", redirect_url="")

    @pytest.mark.parametrize(
        "status", ["requires_payment_method", "requires_confirmation"]
    )
    async def test_closes_what_could_still_be_confirmed(
        self, desk, stand_in, reference, status
    ):
        outcome = await self.charge_with(desk, stand_in, reference, status=status)

        assert isinstance(outcome, Declined)
        assert outcome.decline.reason == "OTHER"
        assert outcome.still_confirmable

    async def test_calls_what_radar_blocked_fraud_when_it_is_found(self, desk, harness):
        await harness.decline_next_charge(None)
        outcome = await desk.charge(await desk.store())
        intent = harness.stand_in.books.intents[outcome.processor_object]
        intent.refusal = type(intent.refusal)("card_declined", blocked=True)

        found = await desk.inquire(outcome.processor_object)

        assert found.outcome.decline.reason == "SUSPECTED_FRAUD"

    async def test_has_no_end_once_it_is_collected(self, desk):
        charge = await desk.approve(capture=False)
        await desk.capture(charge, 1999)
        assert charge.capture_before is not None
        assert (await desk.found()).outcome.capture_before is None

    async def test_tells_a_failed_refund(self, desk, stand_in):
        charge = await desk.approve()
        stand_in.books.next_refund_status = "failed"

        refund = await desk.refund(charge, 500)

        assert refund.state is MoveState.FAILED
        assert refund.failure_reason == "REFUND_CARD_CLOSED"

    @pytest.mark.parametrize("status", ["pending", "requires_action"])
    async def test_waits_for_a_refund(self, desk, stand_in, status):
        charge = await desk.approve()
        stand_in.books.next_refund_status = status
        assert (await desk.refund(charge, 500)).state is MoveState.PENDING

    async def test_tells_that_the_bank_refused_a_capture(self, desk, stand_in):
        charge = await desk.approve(capture=False)
        stand_in.canned[Operation.CAPTURE] = answer(
            402, "card_error", code="card_declined", decline_code="expired_card"
        )

        moved = await desk.capture(charge, 500)

        assert moved.state is MoveState.FAILED
        assert moved.failure_reason == "CARD_EXPIRED"


class TestCredentials:
    def processor(self, stand_in, source):
        return StripeProcessor(credentials=source, address=stand_in.address)

    async def refused(self, stand_in, source, account):
        processor = self.processor(stand_in, source)
        with pytest.raises(ProcessorRefused) as caught:
            await processor.create_customer(a_call(account, "k"))
        await processor.close()
        assert stand_in.received == []
        return caught.value.failure_reason

    async def test_are_missing(self, stand_in, harness):
        def nothing(_account):
            raise KeyError("account-1")

        def no_file(_account):
            raise FileNotFoundError

        for source in (nothing, no_file, lambda _account: " \n"):
            reason = await self.refused(stand_in, source, harness.account)
            assert reason == "CREDENTIAL_MISSING"

    @pytest.mark.parametrize("key", ["sk_live_51abc", "rk_live_51abc"])
    async def test_are_of_the_other_mode(self, stand_in, harness, key):
        reason = await self.refused(stand_in, lambda _account: key, harness.account)
        assert reason == "CREDENTIAL_OF_OTHER_ENVIRONMENT"

    async def test_never_moves_test_money_for_a_live_account(self, stand_in, harness):
        account = harness.account.__class__(
            account_id=harness.account.account_id,
            processor="stripe",
            environment=Environment.LIVE,
            external_account="acct_live",
            created_at=harness.account.created_at,
        )
        reason = await self.refused(stand_in, lambda _account: KEY, account)
        assert reason == "CREDENTIAL_OF_OTHER_ENVIRONMENT"

    @pytest.mark.parametrize("error", [KeyUnavailable(), PermissionError("file")])
    async def test_cannot_be_read_now(self, stand_in, harness, error):
        def fail(_account):
            raise error

        processor = self.processor(stand_in, fail)
        with pytest.raises(ProcessorUnavailable):
            await processor.create_customer(a_call(harness.account, "k"))
        await processor.close()

    async def test_are_those_of_the_account(self, stand_in, harness):
        asked = []

        def source(account):
            asked.append(account.account_id)
            return f"{KEY}\n"

        processor = self.processor(stand_in, source)
        await processor.create_customer(a_call(harness.account, "k"))
        await processor.close()
        assert asked == ["account-1"]
        assert stand_in.received[0].headers["Authorization"] == f"Bearer {KEY}"
