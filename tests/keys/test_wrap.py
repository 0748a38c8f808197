"""Wrapping keys: bound to their place, refused anywhere else. covers: I3."""

import json
from pathlib import Path

import pytest

from gateway.errors import IntegrityViolation
from gateway.keys.hierarchy import KeyHierarchy, WrappingKey
from gateway.keys.wrap import Wrapper
from gateway.words.purposes import Purpose
from tests.contract.key_provider_contract import damaged
from tests.fakes.key_provider import MemoryKeyProvider

VECTOR = json.loads(
    Path(__file__)
    .parents[1]
    .joinpath("vectors/wrapping_key_v1.json")
    .read_text("utf-8")
)
KEY = bytes(range(32))
OUTER = bytes(range(100, 132))
RECURRING, VERIFICATION = Purpose.RECURRING, Purpose.VERIFICATION


class TestWrapper:
    def test_returns_the_key_it_wrapped(self):
        assert Wrapper(OUTER).unwrap(Wrapper(OUTER).wrap(KEY, b"c"), b"c") == KEY

    def test_begins_with_the_version(self):
        wrapped = Wrapper(OUTER).wrap(KEY, b"c")

        assert wrapped[0] == 1
        assert len(wrapped) == 61

    def test_uses_a_fresh_nonce_each_time(self):
        wrapped = {Wrapper(OUTER).wrap(KEY, b"c")[1:13] for _ in range(50)}

        assert len(wrapped) == 50

    @pytest.mark.parametrize("context", [b"", b"d", b"c\x00"])
    def test_refuses_another_context(self, context):
        with pytest.raises(IntegrityViolation):
            Wrapper(OUTER).unwrap(Wrapper(OUTER).wrap(KEY, b"c"), context)

    def test_refuses_another_key(self):
        with pytest.raises(IntegrityViolation):
            Wrapper(KEY).unwrap(Wrapper(OUTER).wrap(KEY, b"c"), b"c")

    @damaged
    def test_refuses_damaged_bytes(self, damage):
        with pytest.raises(IntegrityViolation):
            Wrapper(OUTER).unwrap(damage(Wrapper(OUTER).wrap(KEY, b"c")), b"c")

    def test_refuses_every_flipped_bit(self):
        wrapped = Wrapper(OUTER).wrap(KEY, b"c")

        for place in range(8 * len(wrapped)):
            wrong = bytearray(wrapped)
            wrong[place // 8] ^= 1 << place % 8
            with pytest.raises(IntegrityViolation):
                Wrapper(OUTER).unwrap(bytes(wrong), b"c")

    def test_shows_nothing_of_its_key(self):
        assert repr(Wrapper(OUTER)) == "Wrapper(****)"


class TestWrappingKey:
    def test_binds_what_it_wraps_to_its_purpose(self):
        """The same bytes under another purpose's label open nothing."""
        wrapped = WrappingKey("wk-1", RECURRING, OUTER).wrap(KEY, b"c")

        assert WrappingKey("wk-1", RECURRING, OUTER).unwrap(wrapped, b"c") == KEY
        with pytest.raises(IntegrityViolation):
            WrappingKey("wk-1", VERIFICATION, OUTER).unwrap(wrapped, b"c")

    def test_binds_what_it_wraps_to_its_id(self):
        wrapped = WrappingKey("wk-1", RECURRING, OUTER).wrap(KEY, b"c")

        with pytest.raises(IntegrityViolation):
            WrappingKey("wk-2", RECURRING, OUTER).unwrap(wrapped, b"c")

    def test_takes_no_part_for_another(self):
        """Lengths stand before the parts: no context can imitate a purpose."""
        wrapped = WrappingKey("b", RECURRING, OUTER).wrap(KEY, b"ca")

        with pytest.raises(IntegrityViolation):
            WrappingKey("ab", RECURRING, OUTER).unwrap(wrapped, b"c")

    def test_shows_nothing_of_its_key(self):
        shown = repr(WrappingKey("wk-1", RECURRING, b"k" * 32))

        assert shown == "WrappingKey('wk-1', 'payment.recurring')"


class TestVector:
    """Frozen: a wrapping key that was stored once must unwrap for ever."""

    def test_unwraps(self):
        wrapped = bytes.fromhex(VECTOR["wrapped"])
        context = bytes.fromhex(VECTOR["context"])

        opened = Wrapper(bytes.fromhex(VECTOR["epoch_key"])).unwrap(wrapped, context)

        assert opened.hex() == VECTOR["wrapping_key"]

    def test_its_place_has_not_changed(self):
        provider = MemoryKeyProvider(vault_id=VECTOR["vault_id"])
        hierarchy = KeyHierarchy(provider=provider, storage=None, clock=None)

        context = hierarchy._context(
            VECTOR["merchant"],
            VECTOR["key_id"],
            Purpose(VECTOR["purpose"]),
            VECTOR["epoch"],
        )

        assert context.hex() == VECTOR["context"]
