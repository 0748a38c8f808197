"""The integers in the database mean what they always meant."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import IntegrityViolation
from gateway.merchants.ports import Environment
from gateway.payments.payment import MoveKind, MoveStatus, PaymentState, Step
from gateway.storage import codes
from gateway.vault.ports import KeyKind
from gateway.words.lifecycles import CardState, MerchantState
from gateway.words.purposes import Purpose

# Frozen: a line may be added, never changed or removed.
FROZEN = {
    "PURPOSES": (
        Purpose,
        {
            "payment.customer_initiated": 1,
            "payment.recurring": 2,
            "payment.installment": 3,
            "payment.unscheduled": 4,
            "verification": 5,
            "transfer": 6,
            "erasure": 7,
            "marketing": 8,
            "analytics": 9,
            "profiling": 10,
            "research": 11,
            "resale": 12,
        },
    ),
    "MERCHANT_STATES": (MerchantState, {"active": 1, "deactivated": 2}),
    "CARD_STATES": (CardState, {"active": 1, "erased": 2}),
    "KEY_KINDS": (KeyKind, {"card": 1, "reference": 2}),
    "ENVIRONMENTS": (Environment, {"test": 1, "live": 2}),
    "PAYMENT_STATES": (
        PaymentState,
        {
            "submitted": 1,
            "requires_action": 2,
            "pending": 3,
            "authorized": 4,
            "partially_captured": 5,
            "captured": 6,
            "declined": 7,
            "failed": 8,
            "canceled": 9,
            "expired": 10,
            "unknown": 11,
            "needs_attention": 12,
        },
    ),
    "STEPS": (Step, {"customer": 1, "payment_method": 2, "charge": 3, "done": 4}),
    "MOVE_KINDS": (MoveKind, {"capture": 1, "cancel": 2, "refund": 3}),
    "MOVE_STATUSES": (
        MoveStatus,
        {"submitted": 1, "pending": 2, "succeeded": 3, "failed": 4, "unknown": 5},
    ),
}
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
LATEST = datetime(9999, 12, 30, tzinfo=UTC).replace(tzinfo=None)
MOMENTS = st.datetimes(min_value=EARLIEST, max_value=LATEST)
ZONES = st.integers(-12, 12).map(lambda hours: timezone(timedelta(hours=hours)))


class TestCodes:
    @pytest.mark.parametrize("name", FROZEN)
    def test_never_change(self, name):
        words, frozen = FROZEN[name]
        kept = getattr(codes, name)

        assert {word.value: kept.code(word) for word in words} == frozen
        assert [kept.word(code).value for code in frozen.values()] == list(frozen)

    def test_that_mean_nothing_are_damage(self):
        with pytest.raises(IntegrityViolation):
            codes.PURPOSES.word(99)
        with pytest.raises(IntegrityViolation):
            codes.PURPOSES.words(1 << 0)

    @given(st.frozensets(st.sampled_from(list(Purpose))))
    def test_keep_sets(self, purposes):
        assert codes.PURPOSES.words(codes.PURPOSES.mask(purposes)) == purposes


class TestTimes:
    @given(MOMENTS, ZONES)
    def test_come_back_exactly_and_in_utc(self, moment, zone):
        aware = moment.replace(tzinfo=zone)

        read = codes.read_time(codes.store_time(aware))

        assert read == aware
        assert read.tzinfo is UTC

    def test_need_a_zone(self):
        with pytest.raises(TypeError):
            codes.store_time(LATEST)

    def test_may_be_absent(self):
        assert codes.store_optional_time(None) is None
        assert codes.read_optional_time(None) is None


class TestRequestIds:
    @given(st.uuids(version=4).map(str))
    def test_come_back(self, request_id):
        stored = codes.store_request_id(request_id)

        assert len(stored) == 16
        assert codes.read_request_id(stored) == request_id
