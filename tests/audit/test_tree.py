"""The Merkle tree against RFC 6962's definition and published vectors. covers: I7."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit import tree
from tests.audit.naive_tree import path_of, proof_of, root_of

VECTORS = json.loads(
    Path(__file__).parents[1].joinpath("vectors/audit/rfc6962.json").read_text("utf-8")
)
LEAVES = [bytes.fromhex(leaf) for leaf in VECTORS["leaves"]]
SIZES = range(1, 41)
MANY = [f"leaf {number}".encode() for number in range(41)]
HASHES = [tree.leaf_hash(leaf) for leaf in MANY]
ROOTS = [root_of(MANY[:size]) for size in range(42)]
lists_of_leaves = st.lists(st.binary(max_size=8), max_size=70)


def grown(leaves, before=tree.EMPTY):
    return tree.grow(before, [tree.leaf_hash(leaf) for leaf in leaves])


def finder(leaves):
    return tree.find_among(tree.EMPTY, grown(leaves).nodes)


FIND = finder(MANY)


def flipped(value):
    return bytes([value[0] ^ 1]) + value[1:]


def changed_paths(path):
    """Yields every path that differs from this one in one obvious way."""
    for place in range(len(path)):
        yield [*path[:place], flipped(path[place]), *path[place + 1 :]]
        yield [*path[:place], *path[place + 1 :]]
        yield [*path[:place], path[place], *path[place:]]
    for place in range(len(path) - 1):
        yield [*path[:place], path[place + 1], path[place], *path[place + 2 :]]
    yield [*path, bytes(32)]
    yield [bytes(32), *path]


class TestKnownAnswers:
    """The vectors of Google's certificate-transparency repository."""

    def test_the_empty_tree(self):
        assert tree.EMPTY.root().hex() == VECTORS["empty_root"]
        assert tree.frontier_of(0, FIND) == tree.EMPTY

    @pytest.mark.parametrize("size", range(1, 9))
    def test_the_root_of_each_size(self, size):
        assert grown(LEAVES[:size]).frontier.root().hex() == VECTORS["roots"][size - 1]

    @pytest.mark.parametrize("known", VECTORS["inclusion"])
    def test_the_inclusion_paths(self, known):
        path = tree.inclusion_path(known["index"], known["size"], finder(LEAVES))

        assert [part.hex() for part in path] == known["path"]

    @pytest.mark.parametrize("known", VECTORS["consistency"])
    def test_the_consistency_paths(self, known):
        path = tree.consistency_path(known["old"], known["new"], finder(LEAVES))

        assert [part.hex() for part in path] == known["path"]


class TestGrow:
    @given(lists_of_leaves, lists_of_leaves)
    def test_in_two_batches_is_the_tree_of_all(self, first, second):
        before = grown(first).frontier
        after = grown(second, before).frontier

        assert after.size == len(first) + len(second)
        assert after.root() == root_of(first + second)
        assert len(after.hashes) == after.size.bit_count()

    @given(lists_of_leaves)
    def test_reports_each_complete_subtree_once(self, leaves):
        nodes = grown(leaves).nodes
        expected = {
            (level, index): root_of(leaves[index << level : (index + 1) << level])
            for level in range(8)
            for index in range(len(leaves) >> level)
        }

        assert {(level, index): value for level, index, value in nodes} == expected
        assert len(nodes) == len(expected)

    @given(lists_of_leaves)
    def test_can_start_again_from_stored_nodes(self, leaves):
        rebuilt = tree.frontier_of(len(leaves), finder(leaves))

        assert rebuilt == grown(leaves).frontier

    @given(lists_of_leaves, st.lists(st.binary(max_size=8), min_size=1, max_size=70))
    def test_knows_every_sibling_of_a_new_leaf(self, old, new):
        """A receipt of a fresh commit needs no look-up in the database."""
        before = grown(old).frontier
        growth = grown(new, before)
        known = tree.find_among(before, growth.nodes)
        size = growth.frontier.size

        for index in range(len(old), size):
            path = tree.inclusion_path(index, size, known)

            assert path == path_of(index, old + new)


class TestInclusion:
    @pytest.mark.parametrize("size", SIZES)
    def test_every_path_is_that_of_the_rfc_and_verifies(self, size):
        for index in range(size):
            path = tree.inclusion_path(index, size, FIND)

            assert path == path_of(index, MANY[:size])
            tree.verify_inclusion(HASHES[index], index, size, path, root=ROOTS[size])

    @pytest.mark.parametrize("size", SIZES)
    def test_refuses_another_leaf_and_another_root(self, size):
        path = tree.inclusion_path(size - 1, size, FIND)
        leaf, root = HASHES[size - 1], ROOTS[size]

        with pytest.raises(tree.ProofInvalid):
            tree.verify_inclusion(flipped(leaf), size - 1, size, path, root=root)
        with pytest.raises(tree.ProofInvalid):
            tree.verify_inclusion(leaf, size - 1, size, path, root=flipped(root))

    @pytest.mark.parametrize("size", SIZES)
    def test_refuses_every_other_index(self, size):
        for index in range(size):
            path = tree.inclusion_path(index, size, FIND)
            for other in {*range(-1, size + 2)} - {index}:
                with pytest.raises(tree.ProofInvalid):
                    tree.verify_inclusion(
                        HASHES[index], other, size, path, root=ROOTS[size]
                    )

    @pytest.mark.parametrize("size", SIZES)
    def test_refuses_every_changed_path(self, size):
        for index in range(size):
            path = tree.inclusion_path(index, size, FIND)
            for changed in changed_paths(path):
                if changed == path:
                    continue
                with pytest.raises(tree.ProofInvalid):
                    tree.verify_inclusion(
                        HASHES[index], index, size, changed, root=ROOTS[size]
                    )

    @pytest.mark.parametrize("index", [-1, 3, 4])
    def test_has_no_path_outside_the_tree(self, index):
        with pytest.raises(ValueError, match="outside"):
            tree.inclusion_path(index, 3, FIND)


class TestConsistency:
    @pytest.mark.parametrize("new", SIZES)
    def test_every_path_is_that_of_the_rfc_and_verifies(self, new):
        for old in range(1, new + 1):
            path = tree.consistency_path(old, new, FIND)

            assert path == proof_of(old, MANY[:new])
            tree.verify_consistency(
                old, new, path, old_root=ROOTS[old], new_root=ROOTS[new]
            )

    @pytest.mark.parametrize("new", SIZES)
    def test_refuses_other_roots(self, new):
        for old in range(1, new + 1):
            path = tree.consistency_path(old, new, FIND)
            roots = ROOTS[old], ROOTS[new]
            for wrong in (
                (flipped(roots[0]), roots[1]),
                (roots[0], flipped(roots[1])),
                (flipped(roots[0]), bytes(32)),
            ):
                with pytest.raises(tree.ProofInvalid):
                    tree.verify_consistency(
                        old, new, path, old_root=wrong[0], new_root=wrong[1]
                    )

    @pytest.mark.parametrize("new", SIZES)
    def test_refuses_every_changed_path(self, new):
        for old in range(1, new + 1):
            path = tree.consistency_path(old, new, FIND)
            for changed in changed_paths(path):
                if changed == path:
                    continue
                with pytest.raises(tree.ProofInvalid):
                    tree.verify_consistency(
                        old, new, changed, old_root=ROOTS[old], new_root=ROOTS[new]
                    )

    @pytest.mark.parametrize("new", SIZES)
    def test_refuses_every_other_old_size(self, new):
        """The proof is of two sizes; it shows nothing about a third."""
        for old in range(1, new):
            path = tree.consistency_path(old, new, FIND)
            for other in {*range(-1, new + 2)} - {old}:
                with pytest.raises(tree.ProofInvalid):
                    tree.verify_consistency(
                        other, new, path, old_root=ROOTS[other], new_root=ROOTS[new]
                    )

    @pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3), (-1, 3)])
    def test_has_no_path_outside_the_tree(self, old, new):
        with pytest.raises(ValueError, match="outside"):
            tree.consistency_path(old, new, FIND)

    @pytest.mark.parametrize("old", range(1, 40))
    def test_is_never_shown_by_an_empty_path(self, old):
        with pytest.raises(tree.ProofInvalid, match="too short"):
            tree.verify_consistency(
                old, 40, [], old_root=ROOTS[old], new_root=ROOTS[40]
            )
