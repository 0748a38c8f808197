"""The simulator passes the contract of every Processor, both ways it is reached."""

import pytest

from tests.contract.payment_lister_contract import PaymentListerContract
from tests.contract.processor_contract import ProcessorContract
from tests.processors.simulator_harness import embedded_harness, http_harness


class TestEmbeddedSimulator(ProcessorContract):
    @pytest.fixture
    async def harness(self):
        return embedded_harness()


class TestSimulatorOverHttp(ProcessorContract):
    @pytest.fixture
    async def harness(self, tmp_path):
        async with http_harness(tmp_path / "ledger.jsonl") as made:
            yield made


class TestListOfEmbeddedSimulator(PaymentListerContract):
    @pytest.fixture
    async def harness(self):
        return embedded_harness()


class TestListOfSimulatorOverHttp(PaymentListerContract):
    @pytest.fixture
    async def harness(self, tmp_path):
        async with http_harness(tmp_path / "ledger.jsonl") as made:
            yield made
