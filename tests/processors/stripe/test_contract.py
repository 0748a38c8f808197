"""StripeProcessor passes the contract of every processor."""

import pytest

from tests.contract.payment_lister_contract import PaymentListerContract
from tests.contract.processor_contract import ProcessorContract
from tests.processors.stripe.harness import StripeHarness


class TestStripeProcessor(ProcessorContract):
    @pytest.fixture
    def harness(self, stand_in):
        return StripeHarness(stand_in)


class TestListOfStripe(PaymentListerContract):
    @pytest.fixture
    def harness(self, stand_in):
        stand_in.books.page_max = 5
        return StripeHarness(stand_in)
