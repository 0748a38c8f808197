"""Misbehaviour on request, and answers that no processor should give."""

import asyncio
from dataclasses import replace

import pytest

from gateway.payments.processor import (
    Approved,
    Declined,
    ProcessorOutcomeUnknown,
    ProcessorRefused,
)
from gateway.processors.simulator.faults import (
    FAULTS,
    Fault,
    FaultKind,
    FaultUnknown,
)
from gateway.processors.simulator.processor import SimulatorProcessor
from gateway.processors.simulator.wire import FAULT_KEY, Answer, Operation
from gateway.words.money import Money
from tests.contract.processor_contract import Desk
from tests.contract.processor_harness import (
    a_call,
    a_card,
    a_payment_name,
    an_account,
    an_order,
)
from tests.processors.simulator_harness import embedded_harness


@pytest.fixture
async def desk():
    harness = embedded_harness()
    made = Desk(harness, harness.make_processor())
    yield made
    await made.processor.close()


class TestFault:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "drop",
            "drop_after:5",
            "slow",
            "slow:",
            "slow:fast",
            "slow:-1",
            "slow:600001",
            "decline",
            "decline:",
        ],
    )
    def test_refuses_to_read(self, text):
        with pytest.raises(FaultUnknown):
            Fault.read(text)

    def test_reads_milliseconds_and_codes(self):
        assert Fault.read("slow:500").milliseconds == 500
        assert Fault.read("decline:call_issuer").code == "call_issuer"

    def test_of_every_kind_is_described(self):
        assert set(FAULTS) == set(FaultKind)


class TestFaultInMetadata:
    def order_and_call(self, desk, reference, key, fault):
        call = a_call(desk.harness.account, key, payment=desk.payment)
        call = type(call)(
            account=call.account,
            idempotency_key=key,
            deadline=call.deadline,
            metadata={**call.metadata, FAULT_KEY: fault},
        )
        return call, an_order(reference, desk.payment)

    async def test_spoils_the_first_request_of_a_key_alone(self, desk):
        reference = await desk.store()
        call, order = self.order_and_call(desk, reference, "k", "drop_before")

        with pytest.raises(ProcessorOutcomeUnknown):
            await desk.processor.charge(call, order)
        assert await desk.money() == (0, 0, 0)

        assert isinstance(await desk.processor.charge(call, order), Approved)
        assert await desk.money() == (0, 1999, 0)

    async def test_declines_with_the_code_it_names(self, desk):
        reference = await desk.store()
        call, order = self.order_and_call(desk, reference, "k", "decline:call_issuer")

        outcome = await desk.processor.charge(call, order)

        assert isinstance(outcome, Declined)
        assert outcome.decline.reason == "CALL_ISSUER"

    async def test_that_is_unknown_is_refused(self, desk):
        reference = await desk.store()
        call, order = self.order_and_call(desk, reference, "k", "explode")

        with pytest.raises(ProcessorRefused):
            await desk.processor.charge(call, order)


class TestFront:
    async def test_refuses_the_twin_of_what_is_being_executed(self, desk):
        reference = await desk.store()
        desk.harness.front.plan(Fault.read("slow:100"), Operation.PAYMENT)
        first = asyncio.create_task(desk.charge(reference))
        await asyncio.sleep(0.02)

        with pytest.raises(ProcessorOutcomeUnknown):
            await desk.charge(reference)

        assert isinstance(await first, Approved)
        assert await desk.money() == (0, 1999, 0)

    async def test_executes_what_was_sent_though_the_caller_left(self, desk):
        reference = await desk.store()
        desk.harness.front.plan(Fault.read("slow:50"), Operation.PAYMENT)
        call = asyncio.create_task(desk.charge(reference))
        await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.wait([call])

        await desk.processor.close()

        assert await desk.money() == (0, 1999, 0)

    async def test_forgets_what_was_planned(self, desk):
        reference = await desk.store()
        desk.harness.front.plan(Fault.read("drop_before"), times=3)
        desk.harness.front.clear()

        assert isinstance(await desk.charge(reference), Approved)


class Answering:
    """A transport that always gives the same answer."""

    def __init__(self, answer):
        self._answer = answer

    async def send(self, request, deadline):
        return self._answer

    async def close(self):
        pass


PAYMENT = {
    "id": "pay_x",
    "status": "succeeded",
    "amount": 1999,
    "currency": "USD",
    "captured": 1999,
    "refunded": 0,
    "capture_before": 0,
    "network_transaction_id": "",
    "metadata": {},
}
NOT_UNDERSTOOD = [
    Answer(200, {}),
    Answer(200, PAYMENT | {"id": ""}),
    Answer(200, PAYMENT | {"id": 7}),
    Answer(200, PAYMENT | {"status": "settled"}),
    Answer(200, PAYMENT | {"amount": -1}),
    Answer(200, PAYMENT | {"amount": "1999"}),
    Answer(200, PAYMENT | {"currency": "EURO"}),
    Answer(200, PAYMENT | {"status": "requires_action"}),
    Answer(201, PAYMENT),
    Answer(302, PAYMENT),
    Answer(400, {}),
    Answer(400, {"error": "a proxy's words"}),
    Answer(401, {"error": {"code": "key_invalid"}}),
    Answer(402, {}),
    Answer(402, {"error": {"code": None}}),
    Answer(404, {}),
    Answer(409, {"error": {"code": "idempotency_key_in_use"}}),
    Answer(500, {"error": {"code": "internal_error"}}),
    Answer(503, {}),
]


class TestAnswerThatIsNotUnderstood:
    @pytest.mark.parametrize("answer", NOT_UNDERSTOOD, ids=str)
    async def test_to_a_charge_means_that_nobody_knows(self, desk, answer):
        processor = SimulatorProcessor(Answering(answer))
        reference = await desk.store()

        with pytest.raises(ProcessorOutcomeUnknown):
            await processor.charge(
                a_call(an_account("simulator"), "k"),
                an_order(reference, a_payment_name()),
            )

    @pytest.mark.parametrize("answer", [Answer(404, {}), Answer(200, {})], ids=str)
    async def test_to_an_inquiry_is_no_absence(self, answer):
        processor = SimulatorProcessor(Answering(answer))
        call = a_call(an_account("simulator"), "k")

        with pytest.raises(ProcessorOutcomeUnknown):
            await processor.inquire(call, "pay_x")

    @pytest.mark.parametrize("status", [402, 500])
    async def test_to_a_refund_is_no_refund(self, status):
        processor = SimulatorProcessor(Answering(Answer(status, {"error": {}})))
        call = a_call(an_account("simulator"), "k")

        with pytest.raises(ProcessorOutcomeUnknown):
            await processor.refund(call, "pay_x", Money(1, "USD"))


class TestRefusal:
    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            ("payment_unexpected_state", "STATE_CONFLICT"),
            ("payment_not_captured", "NOT_REFUNDABLE"),
            ("amount_exceeds_refundable", "AMOUNT_INVALID"),
            ("idempotency_mismatch", "IDEMPOTENCY_MISMATCH"),
            ("resource_missing", "NOT_FOUND_AT_PROCESSOR"),
            ("a_code_from_the_future", "REQUEST_REFUSED"),
        ],
    )
    async def test_is_told_in_neutral_words(self, code, reason):
        processor = SimulatorProcessor(
            Answering(Answer(400, {"error": {"code": code}}))
        )

        with pytest.raises(ProcessorRefused) as caught:
            await processor.cancel(a_call(an_account("simulator"), "k"), "pay_x")

        assert caught.value.failure_reason == reason


class TestRequest:
    async def test_takes_no_more_of_a_person_than_was_declared(self, desk):
        seen = []

        class Watching(Answering):
            async def send(self, request, deadline):
                seen.append(request)
                return self._answer

        processor = SimulatorProcessor(Watching(Answer(200, {"id": "pm_x"})))
        card = a_card("4242424242424242")
        call = a_call(an_account("simulator"), "k")

        person = replace(card.opened.billing, email="ada@shop.example", phone="+41 1")
        opened = replace(card.opened, billing=person)
        await processor.store_card(call, "cus_x", opened, card.security_code)

        (request,) = seen
        assert set(request.body["billing"]) == {"name", "line1", "city", "country"}
        assert card.digits not in repr(request)
