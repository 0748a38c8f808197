"""What a cardholder agreed to."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.policy.mandate import DEFAULT_PURPOSES, Mandate
from gateway.words.purposes import GRANTABLE, Purpose

NOW = datetime(2026, 11, 25, tzinfo=UTC)


class TestMandate:
    def test_grants_a_present_cardholder_and_verification_by_default(self):
        assert {Purpose.CUSTOMER_INITIATED, Purpose.VERIFICATION} == DEFAULT_PURPOSES
        assert not Mandate().grants(Purpose.RECURRING, NOW)

    @pytest.mark.parametrize("purpose", sorted(set(Purpose) - GRANTABLE))
    def test_refuses_what_nobody_can_grant(self, purpose):
        with pytest.raises(ValueError, match="grantable"):
            Mandate(purposes=frozenset({Purpose.RECURRING, purpose}))

    def test_refuses_to_grant_nothing(self):
        with pytest.raises(ValueError, match="grantable"):
            Mandate(purposes=frozenset())

    def test_ends_at_its_last_moment(self):
        mandate = Mandate(expires_at=NOW)

        assert mandate.grants(
            Purpose.CUSTOMER_INITIATED, NOW - timedelta(microseconds=1)
        )
        assert not mandate.grants(Purpose.CUSTOMER_INITIATED, NOW)
