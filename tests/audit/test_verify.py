"""Checking whole logs in place, and what is found when they were touched.

covers: I7, I9.
"""

import tracemalloc

import pytest

from gateway.audit.checkpoint import Checkpoint, checkpoint_text, signed_note
from gateway.audit.tree import EMPTY, grow, leaf_hash
from gateway.audit.verify import (
    CheckedLog,
    LogBroken,
    verify_chunks,
    verify_entries,
    verify_log,
)
from gateway.errors import IntegrityViolation
from tests.audit.naive_tree import root_of
from tests.builders.logs import ORIGIN, PUBLIC, SIGNER, a_leaf, a_log, leaves_of
from tests.builders.storage import OTHER

LEAVES = leaves_of(300)


def flipped(leaf, place=40):
    damaged = bytearray(leaf)
    damaged[place] ^= 1
    return bytes(damaged)


def checked(log, *, origin=ORIGIN, public_key=PUBLIC):
    return verify_log(log, origin=origin, public_key=public_key)


def finding(log, **pinned):
    """Returns what is found in a log that must be refused."""
    with pytest.raises(LogBroken) as caught:
        checked(log, **pinned)
    assert caught.value.finding in str(caught.value)
    return caught.value


class TestVerifyEntries:
    @pytest.mark.parametrize("size", [0, 1, 2, 7, 255, 256, 257, 300])
    def test_takes_the_entries_that_were_signed(self, size):
        leaves = LEAVES[:size]
        root = root_of(leaves)

        result = verify_entries(leaves, size=size, root=root, merchant="shop")

        assert result == CheckedLog(size, root)

    @pytest.mark.parametrize("size", [1, 3, 256, 300])
    def test_refuses_a_log_that_was_cut(self, size):
        root = root_of(LEAVES[:size])

        with pytest.raises(LogBroken, match="missing") as caught:
            verify_entries(LEAVES[: size - 1], size=size, root=root, merchant="shop")

        assert caught.value.index == size - 1

    @pytest.mark.parametrize("size", [0, 3, 256, 257])
    def test_refuses_entries_that_nobody_signed(self, size):
        root = root_of(LEAVES[:size])

        with pytest.raises(LogBroken, match="does not sign") as caught:
            verify_entries(LEAVES[: size + 1], size=size, root=root, merchant="shop")

        assert caught.value.index == size

    def test_refuses_entries_of_another_root(self):
        leaves = [LEAVES[1], LEAVES[0], *LEAVES[2:]]

        with pytest.raises(LogBroken, match="altered, moved or replaced") as caught:
            verify_entries(leaves, size=300, root=root_of(LEAVES), merchant="shop")

        assert caught.value.index is None

    @pytest.mark.parametrize("place", [0, 5, 255, 256, 299])
    @pytest.mark.parametrize(
        ("leaf", "words"),
        [
            (b"{}", "of a version that this software does not know"),
            (b"nothing", "not JSON"),
            (a_leaf(1, merchant=OTHER), "belongs to another merchant"),
            (a_leaf(1) + b"\n", "not canonical"),
        ],
    )
    def test_refuses_a_leaf_that_should_never_have_been_signed(
        self, place, leaf, words
    ):
        """Even when signature and hashes fit."""
        leaves = [*LEAVES[:place], leaf, *LEAVES[place + 1 :]]

        with pytest.raises(LogBroken, match=words) as caught:
            verify_entries(leaves, size=300, root=root_of(leaves), merchant="shop")

        assert caught.value.index == place

    def test_keeps_little_in_memory(self):
        """All leaves together, or all their hashes, would need more than is allowed."""
        size = 12_000
        hashes = [leaf_hash(a_leaf(number)) for number in range(size)]
        root = grow(EMPTY, hashes).frontier.root()
        del hashes
        entries = (a_leaf(number) for number in range(size))
        tracemalloc.start()
        try:
            verify_entries(entries, size=size, root=root, merchant="shop")
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        assert peak_bytes < 500_000

    def test_shows_each_hash_to_whoever_compares(self):
        rows = []
        verify_chunks(
            [LEAVES[:3]],
            signed=Checkpoint(3, root_of(LEAVES[:3])),
            merchant="shop",
            on_row=lambda level, first, row: rows.append((level, first, len(row))),
        )

        assert rows == [(0, 0, 3), (1, 0, 1)]


class TestVerifyLog:
    @pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 300])
    def test_takes_a_log_as_it_was_written(self, size):
        log = a_log(LEAVES[:size])

        assert checked(log) == CheckedLog(size, log.root)

    def test_takes_a_log_longer_than_one_read(self):
        assert checked(a_log(leaves_of(4100))).size == 4100

    @pytest.mark.parametrize("place", range(10))
    def test_names_the_pair_of_a_changed_entry(self, place):
        log = a_log(LEAVES[:10])
        log.entries[place] = flipped(log.entries[place])

        found = finding(log)

        pair = place & ~1
        assert found.index == pair
        assert str(found) == (
            f"entry {pair}: one of the entries {pair} to {pair + 1} does not fit the "
            "stored hash"
        )

    @pytest.mark.parametrize("place", range(10))
    def test_names_the_pair_of_a_dropped_entry(self, place):
        log = a_log(LEAVES[:10])
        del log.entries[place]

        # Of the last pair one remains, and its hash alone is not stored.
        assert finding(log).index == (place & ~1 if place < 8 else 9)

    @pytest.mark.parametrize("place", range(9))
    def test_names_the_pair_of_two_exchanged_entries(self, place):
        log = a_log(LEAVES[:10])
        log.entries[place], log.entries[place + 1] = LEAVES[place + 1], LEAVES[place]

        assert finding(log).index == place & ~1

    @pytest.mark.parametrize("place", [0, 100, 255, 256, 298])
    def test_names_the_pair_in_a_larger_log(self, place):
        log = a_log(LEAVES)
        log.entries[place] = LEAVES[place + 1]

        assert finding(log).index == place & ~1

    def test_finds_a_change_of_the_last_entry_of_an_odd_log(self):
        log = a_log(LEAVES[:9])
        log.entries[8] = LEAVES[9]

        assert finding(log).index is None

    def test_finds_each_damaged_and_each_missing_hash(self):
        whole = a_log(LEAVES[:13])
        for level, index in whole.nodes:
            if level == 0:
                continue
            log = a_log(LEAVES[:13])
            log.nodes[level, index] = bytes(32)
            assert finding(log).index == index << level
            del log.nodes[level, index]
            found = finding(log)
            assert found.index == index << level
            assert "has no stored hash" in found.finding

    def test_refuses_an_entry_that_was_added(self):
        log = a_log(LEAVES[:5])
        log.entries[5] = LEAVES[5]

        assert finding(log).index == 5

    def test_refuses_a_log_that_was_cut(self):
        log = a_log(LEAVES[:6])
        del log.entries[5], log.entries[4]

        assert finding(log).index == 4

    def test_refuses_a_log_rewritten_together_with_its_hashes(self):
        """Only the signature stands in the way of an operator with a text editor."""
        log = a_log(LEAVES[:5])
        rewritten = a_log([LEAVES[7], *LEAVES[1:5]])
        rewritten.note = log.note

        assert finding(rewritten).index is None

    def test_refuses_a_checkpoint_of_another_key_log_or_size(self):
        log = a_log(LEAVES[:5])
        other = ORIGIN.replace("/shop/", "/other/")
        shorter = a_log(LEAVES[:4])

        assert finding(log, public_key=bytes(32)).index is None
        assert finding(log, origin=other).index is None
        log.note = shorter.note
        assert finding(log).index == 4

    def test_refuses_an_origin_that_names_no_merchant(self):
        log = a_log(LEAVES[:1], origin="example.com/log")

        assert "merchant" in finding(log, origin="example.com/log").finding

    def test_refuses_another_merchants_entries_under_this_origin(self):
        leaves = [a_leaf(number, merchant=OTHER) for number in range(3)]

        found = finding(a_log(leaves))

        assert (found.index, found.finding) == (0, "it belongs to another merchant")

    def test_refuses_a_signed_root_that_is_wrong(self):
        log = a_log(LEAVES[:5])
        text = checkpoint_text(ORIGIN, 5, bytes(32))
        log.note = signed_note(text, ORIGIN, PUBLIC, SIGNER.sign(text))

        assert finding(log).index is None

    def test_reports_a_damaged_head(self):
        class Damaged:
            def checkpoint(self):
                raise IntegrityViolation

        assert "head" in finding(Damaged()).finding
