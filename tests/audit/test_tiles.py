"""Tiles and entry bundles as C2SP tlog-tiles has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.tiles import (
    TILE_WIDTH,
    StreamedTree,
    read_bundle,
    tile_path,
    tiles_of,
    write_bundle,
)
from gateway.audit.tree import EMPTY, grow

HASHES = [number.to_bytes(32, "big") for number in range(66_000)]


def streamed(hashes):
    """Returns the root and every node that was shown, as (level, index, hash)."""
    shown = []

    def on_row(level, first, row):
        assert len(row) <= TILE_WIDTH
        shown.extend((level, first + place, value) for place, value in enumerate(row))

    built = StreamedTree(on_row)
    for start in range(0, len(hashes), TILE_WIDTH):
        built.add(hashes[start : start + TILE_WIDTH])
    assert built.size == len(hashes)
    return built.close(), shown


class TestStreamedTree:
    @pytest.mark.parametrize(
        "size",
        [
            *range(20),
            255,
            256,
            257,
            511,
            512,
            513,
            1000,
            65_535,
            65_536,
            65_537,
            66_000,
        ],
    )
    def test_is_the_tree_that_grows_leaf_by_leaf(self, size):
        growth = grow(EMPTY, HASHES[:size])

        root, shown = streamed(HASHES[:size])

        assert root == growth.frontier.root()
        assert sorted(shown) == sorted(growth.nodes)

    @given(st.integers(0, 3000))
    def test_is_the_tree_of_any_size(self, size):
        assert streamed(HASHES[:size])[0] == grow(EMPTY, HASHES[:size]).frontier.root()

    def test_takes_leaves_in_whole_tiles_only(self):
        built = StreamedTree(lambda level, first, row: None)
        with pytest.raises(ValueError, match="tiles of 256"):
            built.add(HASHES[:257])
        built.add(HASHES[:255])
        with pytest.raises(ValueError, match="tiles of 256"):
            built.add(HASHES[:1])


class TestPaths:
    @pytest.mark.parametrize(
        ("kind", "number", "width", "path"),
        [
            ("0", 0, 256, "tile/0/000"),
            ("0", 0, 1, "tile/0/000.p/1"),
            ("1", 999, 256, "tile/1/999"),
            ("0", 1000, 256, "tile/0/x001/000"),
            ("entries", 1_234_067, 256, "tile/entries/x001/x234/067"),
            ("entries", 1_234_067, 255, "tile/entries/x001/x234/067.p/255"),
        ],
    )
    def test_are_those_of_the_specification(self, kind, number, width, path):
        assert tile_path(kind, number, width) == path

    def test_cover_every_node_once(self):
        assert list(tiles_of(0)) == []
        assert list(tiles_of(256)) == [(0, 256)]
        assert list(tiles_of(600)) == [(0, 256), (1, 256), (2, 88)]


class TestBundles:
    @given(st.lists(st.binary(max_size=70_000 // 100), max_size=20))
    def test_read_back_what_was_written(self, leaves):
        assert read_bundle(write_bundle(leaves)) == (leaves, True)

    def test_hold_the_longest_leaf(self):
        leaves = [b"x" * 65_535, b"", b"y"]

        assert read_bundle(write_bundle(leaves)) == (leaves, True)

    def test_say_where_they_were_cut(self):
        content = write_bundle([b"first", b"second"])
        for length in range(len(content)):
            leaves, is_whole = read_bundle(content[:length])

            assert leaves == [b"first"] * (length >= 7)
            assert is_whole == (length in {0, 7})

    @given(st.binary(max_size=300))
    def test_read_any_bytes_without_failing(self, content):
        leaves, is_whole = read_bundle(content)

        written = write_bundle(leaves)
        assert content.startswith(written)
        assert is_whole == (written == content)
