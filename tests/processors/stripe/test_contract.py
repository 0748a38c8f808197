"""StripeProcessor passes the contract of every processor."""

import pytest

from tests.contract.processor_contract import ProcessorContract
from tests.processors.stripe.harness import StripeHarness


class TestStripeProcessor(ProcessorContract):
    @pytest.fixture
    def harness(self, stand_in):
        return StripeHarness(stand_in)
