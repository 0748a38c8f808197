"""The fake that misbehaves on request is otherwise a true processor."""

import pytest

from tests.contract.processor_contract import ProcessorContract
from tests.fakes.processor import ScriptedProcessor
from tests.processors.simulator_harness import embedded_harness


class TestScriptedProcessor(ProcessorContract):
    @pytest.fixture
    async def harness(self):
        made = embedded_harness()
        plain = made.make_processor
        made.make_processor = lambda: ScriptedProcessor(plain())
        return made
