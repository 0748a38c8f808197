"""Fixtures over the stand-in for Stripe."""

import pytest

from tests.processors.stripe.harness import StripeHarness
from tests.processors.stripe.stand_in import stripe_stand_in


@pytest.fixture
async def stand_in():
    async with stripe_stand_in() as serving:
        yield serving


@pytest.fixture
def harness(stand_in):
    return StripeHarness(stand_in)
