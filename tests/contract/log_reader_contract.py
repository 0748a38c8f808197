"""The suite that every LogReader passes.

Use it so, with a fixture that yields a reader of a log of seven entries, whose leaves
are ``leaves`` and whose checkpoint is signed for ``origin`` with ``public_key``:

    class TestOurReader(LogReaderContract):
        @pytest.fixture
        def reader(self):
            return OurReader()
"""

import pytest

from gateway.audit.checkpoint import open_checkpoint
from gateway.audit.tree import frontier_of, leaf_hash
from gateway.errors import IntegrityViolation

SIZE = 7


class LogReaderContract:
    """What every LogReader does."""

    def test_counts_the_entries(self, reader):
        assert reader.size() == SIZE

    def test_reads_any_range_in_order(self, reader, leaves):
        for start in range(SIZE + 1):
            for stop in range(start, SIZE + 1):
                assert list(reader.leaves(start, stop)) == leaves[start:stop]

    def test_reads_no_entry_that_is_not_there(self, reader, leaves):
        assert list(reader.leaves(5, 99)) == leaves[5:]

    def test_finds_the_hash_of_each_leaf(self, reader, leaves):
        found = [reader.node(0, index) for index in range(SIZE)]

        assert found == [leaf_hash(leaf) for leaf in leaves]

    def test_finds_every_complete_subtree_and_signs_their_root(
        self, reader, origin, public_key
    ):
        signed = open_checkpoint(
            reader.checkpoint(), origin=origin, public_key=public_key
        )

        assert signed.size == SIZE
        assert frontier_of(SIZE, reader.node).root() == signed.root

    @pytest.mark.parametrize("place", [(0, 7), (1, 3), (2, 1), (3, 0), (9, 0)])
    def test_refuses_a_subtree_that_is_not_complete(self, reader, place):
        with pytest.raises(IntegrityViolation):
            reader.node(*place)
