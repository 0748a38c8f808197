"""Asking with a deadline: what is sent again, and what a silence means."""

import asyncio
from datetime import timedelta

import pytest

from gateway.errors import ProcessorUnavailable
from gateway.payments.asking import Asking
from gateway.payments.processor import ProcessorOutcomeUnknown, ProcessorRefused
from tests.builders.payments import a_till
from tests.builders.vault import an_account
from tests.fakes.processor import Gate
from tests.payments.records import a_payment

SOON = timedelta(milliseconds=30)


class Sending:
    """Answers each try with the next thing of a list; exceptions are raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.tries = 0

    async def __call__(self):
        self.tries += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class TestAsk:
    async def test_returns_the_answer(self):
        assert await Asking(timedelta(seconds=5)).ask(Sending("yes")) == "yes"

    async def test_sends_again_what_was_not_executed(self):
        sending = Sending(ProcessorUnavailable(), "yes")

        assert await Asking(timedelta(seconds=5)).ask(sending) == "yes"

    async def test_gives_up_after_two_tries(self):
        sending = Sending(*[ProcessorUnavailable()] * 3)

        with pytest.raises(ProcessorUnavailable):
            await Asking(timedelta(seconds=5)).ask(sending)
        assert sending.tries == 2

    async def test_does_not_know_what_an_adapter_did_that_broke(self, caplog):
        sending = Sending(KeyError("4242424242424242"), "yes")

        with pytest.raises(ProcessorOutcomeUnknown):
            await Asking(timedelta(seconds=5)).ask(sending)

        (record,) = caplog.records
        assert (record.type, sending.tries) == ("KeyError", 1)
        assert record.at.startswith("test_asking.py:")
        assert "4242" not in str(vars(record))

    @pytest.mark.parametrize(
        "error", [ProcessorOutcomeUnknown(), ProcessorRefused("X")]
    )
    async def test_never_sends_again_what_may_have_been_executed(self, error):
        """covers: I6."""
        sending = Sending(error, "yes")

        with pytest.raises(type(error)):
            await Asking(timedelta(seconds=5)).ask(sending)
        assert sending.tries == 1

    async def test_takes_a_silence_for_unknown(self):
        """covers: I6."""
        with pytest.raises(ProcessorOutcomeUnknown):
            await Asking(SOON).ask(lambda: asyncio.sleep(5))

    async def test_takes_the_adapters_own_timeout_for_unknown(self):
        with pytest.raises(ProcessorOutcomeUnknown):
            await Asking(timedelta(seconds=5)).ask(Sending(TimeoutError()))

    async def test_does_not_try_again_past_its_deadline(self):
        sending = Sending(ProcessorUnavailable(), "late")

        with pytest.raises(ProcessorUnavailable):
            await Asking(SOON).ask(sending)
        assert sending.tries == 1

    def test_names_the_payment_and_its_purpose_and_nothing_else(self):
        """The platform's own texts never reach the processor."""
        payment = a_payment(description="secret", metadata={"order": "secret"})

        call = Asking(SOON).call(an_account(), payment, "key")

        assert call.metadata == {
            "bailee_payment": payment.name,
            "bailee_purpose": "payment.customer_initiated",
        }
        assert (call.idempotency_key, call.deadline) == ("key", SOON)


class TestDeadline:
    async def test_makes_a_silent_charge_unknown(self, tmp_path):
        """covers: I6."""
        async with a_till(tmp_path, deadline=timedelta(seconds=0.3)) as till:
            token = await till.stored_with_reference()
            till.processor.spoil("charge", Gate(after=True))

            payment = (await till.charge(token)).payment

            assert payment.state.name == "UNKNOWN"
            assert till.collected(payment) == 1999

    async def test_makes_a_silent_customer_step_a_failure(self, tmp_path):
        async with a_till(tmp_path, deadline=timedelta(seconds=0.3)) as till:
            till.processor.spoil("customer", Gate())

            payment = (await till.charge()).payment

            assert payment.failure_reason == "PROCESSOR_UNAVAILABLE"
            assert till.processor.keys("charge") == []
