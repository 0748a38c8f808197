"""The search itself must find: one that finds nothing anywhere proves nothing."""

import base64
import json

import pytest

from tests.security.leak_search import search_bytes

SECRET = "4242424242424242"
AROUND = "a request with "

WAYS = {
    "text": lambda secret: secret.encode(),
    "JSON": lambda secret: json.dumps({"number": secret}).encode(),
    "wide text": lambda secret: secret.encode("utf-16"),
    "hex": lambda secret: secret.encode().hex().encode(),
    "reversed": lambda secret: secret[::-1].encode(),
    "spaced": lambda secret: " ".join(secret).encode(),
    "grouped": lambda secret: b"4242 4242 4242 4242",
    "packed decimal": lambda secret: bytes.fromhex(secret),
    "integer": lambda secret: int(secret).to_bytes(8, "little"),
}


class TestSearchBytes:
    @pytest.mark.parametrize("way", WAYS)
    def test_finds_a_secret_written_as(self, way):
        content = AROUND.encode() + WAYS[way](SECRET) + b" in it"

        assert search_bytes("file", content, [SECRET])

    @pytest.mark.parametrize("before", range(7))
    @pytest.mark.parametrize("after", range(4))
    def test_finds_a_secret_inside_base64(self, before, after):
        around = b"x" * before + SECRET.encode() + b"y" * after
        content = b"data: " + base64.b64encode(around)

        assert search_bytes("file", content, [SECRET])

    def test_finds_nothing_in_other_digits(self):
        assert not search_bytes("file", b"4000056655665556", [SECRET])
