"""A measured processor is the same processor, counted."""

import pytest

from gateway.errors import ProcessorUnavailable
from gateway.metrics import Metrics
from gateway.parts import PROCESSORS, Parts, PartState
from gateway.payments.decline_reasons import DeclineReason
from gateway.payments.processor import ProcessorOutcomeUnknown
from gateway.processors.measured import MeasuredProcessor, Reachability
from tests.builders.metric_lines import samples_of, value_of
from tests.contract.processor_contract import Desk, ProcessorContract
from tests.contract.processor_harness import Behaviour, Fault, Operation, a_call
from tests.processors.simulator_harness import SimulatorHarness, embedded_harness


class MeasuredHarness(SimulatorHarness):
    """Wraps every processor that a test asks for."""

    def __init__(self):
        plain = embedded_harness()
        super().__init__(plain.front, plain._connect)
        self.metrics, self.parts = Metrics(), Parts()
        self.reachability = Reachability(self.parts)

    def make_processor(self):
        return MeasuredProcessor(
            super().make_processor(),
            metrics=self.metrics,
            reachability=self.reachability,
        )


class TestMeasuredSimulator(ProcessorContract):
    @pytest.fixture
    async def harness(self):
        return MeasuredHarness()


@pytest.fixture
async def harness():
    return MeasuredHarness()


@pytest.fixture
async def desk(harness):
    made = Desk(harness, harness.make_processor())
    yield made
    await made.processor.close()


def steps(harness, step, outcome):
    return value_of(
        harness.metrics,
        "bailee_processor_step_seconds_count",
        processor="simulator",
        step=step,
        outcome=outcome,
    )


class TestMeasuredProcessor:
    async def test_counts_each_step_by_its_outcome(self, harness, desk):
        approved = await desk.approve()

        assert approved.captured.minor_units
        assert steps(harness, "customer", "answered") == 1
        assert steps(harness, "payment_method", "answered") == 1
        assert steps(harness, "charge", "approved") == 1

    @pytest.mark.parametrize(
        ("fault", "error", "outcome"),
        [
            (Fault.UNREACHABLE, ProcessorUnavailable, "unavailable"),
            (Fault.LOST_AFTER, ProcessorOutcomeUnknown, "unknown"),
        ],
    )
    async def test_counts_what_was_not_answered(
        self, harness, desk, fault, error, outcome
    ):
        await harness.set_fault(fault, Operation.CUSTOMER)

        with pytest.raises(error):
            await desk.processor.create_customer(a_call(harness.account, "a-key"))

        assert steps(harness, "customer", outcome) == 1

    async def test_counts_declines_by_reason(self, harness, desk):
        await harness.decline_next_charge(DeclineReason.INSUFFICIENT_FUNDS)
        await desk.charge(await desk.store())

        reason = {"processor": "simulator", "reason": "INSUFFICIENT_FUNDS"}
        assert value_of(harness.metrics, "bailee_declines_total", **reason) == 1
        unmapped = "bailee_decline_codes_unmapped_total"
        assert value_of(harness.metrics, unmapped, processor="simulator") is None

    async def test_counts_codes_that_nobody_mapped(self, harness, desk):
        await harness.decline_next_charge(None)
        await desk.charge(await desk.store())

        unmapped = "bailee_decline_codes_unmapped_total"
        assert value_of(harness.metrics, unmapped, processor="simulator") == 1
        assert "a_code_from_the_future" not in str(samples_of(harness.metrics))


class TestReachability:
    async def test_needs_three_silent_calls_in_a_row(self, harness, desk):
        state = []
        for number in range(3):
            await harness.set_fault(Fault.UNREACHABLE, Operation.CUSTOMER)
            call = a_call(harness.account, f"key-{number}")
            with pytest.raises(ProcessorUnavailable):
                await desk.processor.create_customer(call)
            state.append(harness.parts.state(PROCESSORS))

        assert state == [PartState.USABLE, PartState.USABLE, PartState.DEGRADED]

    async def test_comes_back_with_the_first_answer(self, harness, desk):
        for _ in range(3):
            harness.reachability.note("simulator", answered=False)
        assert harness.parts.state(PROCESSORS) is PartState.DEGRADED

        await desk.store(Behaviour.DECLINED)

        assert harness.parts.state(PROCESSORS) is PartState.USABLE

    async def test_names_those_that_do_not_answer(self, harness):
        for _ in range(3):
            harness.reachability.note("stripe", answered=False)
        harness.reachability.note("simulator", answered=True)

        assert "stripe" in harness.parts._problems[PROCESSORS]
        assert "simulator" not in harness.parts._problems[PROCESSORS]
