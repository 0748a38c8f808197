"""The keyed digest of a request."""

import hashlib
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gateway.idempotency.digest import request_digest
from gateway.words.keyed_hash import KeyedHash

RAW_KEY = bytes(range(32))
KEY = KeyedHash(RAW_KEY)
FROZEN = json.loads(
    Path(__file__).parents[1].joinpath("vectors/request_digest_v1.json").read_text()
)


class TestRequestDigest:
    def test_has_not_changed(self):
        """Stored digests must still match after an upgrade."""
        digest = request_digest(
            KeyedHash(bytes.fromhex(FROZEN["key"])),
            FROZEN["rpc"],
            bytes.fromhex(FROZEN["request"]),
        )

        assert digest.hex() == FROZEN["digest"]

    @given(st.binary(max_size=64), st.binary(max_size=64))
    def test_tells_requests_apart(self, one, other):
        same = request_digest(KEY, "A", one) == request_digest(KEY, "A", other)

        assert same is (one == other)

    def test_tells_keys_apart(self):
        other = KeyedHash(bytes(range(1, 33)))

        assert request_digest(KEY, "A", b"x") != request_digest(other, "A", b"x")

    @given(st.text(max_size=9), st.binary(max_size=9), st.text(max_size=9))
    def test_never_takes_a_part_of_the_name_for_the_request(self, rpc, request, more):
        whole = request_digest(KEY, rpc, more.encode() + request)
        moved = request_digest(KEY, rpc + more, request)

        assert (whole == moved) is (not more)

    def test_cannot_be_computed_without_the_key(self):
        """Card numbers are guessable: an unkeyed digest would give one away."""
        request = b"4242424242424242"
        digest = request_digest(KEY, "TokenizeCard", request)

        unkeyed = len("TokenizeCard").to_bytes(4, "big") + b"TokenizeCard" + request
        assert digest not in (
            hashlib.sha256(request).digest(),
            hashlib.sha256(unkeyed).digest(),
            request_digest(KeyedHash(bytes(32)), "TokenizeCard", request),
        )
