"""One request id, one request. covers: I6."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.idempotency.claims import (
    MISMATCHES_MAX,
    Repeated,
    Reused,
    claim,
    look_up,
)
from gateway.idempotency.ports import RequestRecord
from gateway.words.identifiers import RequestId
from tests.fakes.request_store import MemoryRequestStore

RPC = "CreatePayment"
ID = RequestId("6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f")
OTHER_ID = RequestId("6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e60")
DIGEST = bytes(range(32))
OTHER_DIGEST = bytes(31) + b"\x01"


def a_record(**changes):
    values: dict[str, Any] = {
        "rpc": RPC,
        "request_id": ID,
        "digest": DIGEST,
        "resource": "payment_x",
        "entry_index": 7,
        "created_at": datetime(2026, 11, 25, tzinfo=UTC),
    }
    return RequestRecord(**values | changes)


@pytest.fixture
def requests():
    return MemoryRequestStore()


@pytest.fixture
def used(requests):
    requests.add(a_record())
    return requests


class TestClaim:
    def test_finds_a_new_id_free_and_writes_nothing(self, requests):
        assert claim(requests, RPC, ID, DIGEST) is None
        assert not requests.records

    def test_gives_the_earlier_record_for_the_same_request(self, used):
        assert claim(used, RPC, ID, DIGEST) == Repeated(a_record())

    def test_gives_the_record_as_it_is_now(self, used):
        used.set_entry_index(RPC, ID, 9)

        assert claim(used, RPC, ID, DIGEST) == Repeated(a_record(entry_index=9))

    @pytest.mark.parametrize(
        "digest", [OTHER_DIGEST, b"", DIGEST[:-1], DIGEST + b"\x00", bytes(32)]
    )
    def test_refuses_another_request(self, used, digest):
        assert claim(used, RPC, ID, digest) == Reused()
        assert used.find(RPC, ID).mismatches == 1

    def test_the_scope_is_one_rpc_and_one_id(self, used):
        assert claim(used, "RefundPayment", ID, OTHER_DIGEST) is None
        assert claim(used, RPC, OTHER_ID, OTHER_DIGEST) is None
        assert used.find(RPC, ID).mismatches == 0

    def test_the_right_request_still_works_after_two_wrong_ones(self, used):
        claim(used, RPC, ID, OTHER_DIGEST)
        claim(used, RPC, ID, OTHER_DIGEST)

        assert isinstance(claim(used, RPC, ID, DIGEST), Repeated)

    def test_three_wrong_ones_burn_the_id_even_for_the_right_request(self, used):
        for _ in range(MISMATCHES_MAX):
            assert claim(used, RPC, ID, OTHER_DIGEST) == Reused()

        assert MISMATCHES_MAX == 3
        assert claim(used, RPC, ID, DIGEST) == Reused()
        assert look_up(used, RPC, ID, DIGEST) == Reused()

    @given(st.lists(st.sampled_from([DIGEST, OTHER_DIGEST]), max_size=12))
    def test_answers_by_the_number_of_wrong_requests_before(self, digests):
        requests, wrong = MemoryRequestStore(), 0
        requests.add(a_record())
        for digest in digests:
            answer = claim(requests, RPC, ID, digest)
            right = digest == DIGEST and wrong < MISMATCHES_MAX
            assert isinstance(answer, Repeated if right else Reused)
            wrong += digest != DIGEST


class TestLookUp:
    @pytest.mark.parametrize("digest", [DIGEST, OTHER_DIGEST])
    def test_answers_as_claim_does_and_writes_nothing(self, used, digest):
        before = dict(used.records)

        looked = look_up(used, RPC, ID, digest)

        assert used.records == before
        assert looked == claim(used, RPC, ID, digest)

    def test_finds_a_new_id_free(self, requests):
        assert look_up(requests, RPC, ID, DIGEST) is None
