"""Exports: complete, checked with the public key alone, and refused when touched.

covers: I7. What an export does not cover, as gateway/audit/verify.py lists it: files
that are not of the log, and well-formed signature lines of other keys.
"""

import os
import shutil

import pytest

from gateway.audit.export import write_export
from gateway.audit.tiles import read_bundle, write_bundle
from gateway.audit.tree import leaf_hash
from gateway.audit.verify import CheckedLog, LogBroken, verify_export
from tests.audit.naive_tree import root_of
from tests.builders.logs import ORIGIN, PUBLIC, a_log, an_export, leaves_of

SMALL = 3
LARGE = 300  # a full tile, a partial one, and one tile above them


@pytest.fixture
def small(tmp_path):
    return an_export(tmp_path, SMALL)


@pytest.fixture
def large(tmp_path):
    return an_export(tmp_path, LARGE)


def checked(folder, *, origin=ORIGIN, public_key=PUBLIC):
    return verify_export(folder, origin=origin, public_key=public_key)


def finding(folder, **pinned):
    """Returns what is found in an export that must be refused."""
    with pytest.raises(LogBroken) as caught:
        checked(folder, **pinned)
    return caught.value


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def names_of(folder):
    return [str(path.relative_to(folder)) for path in files_of(folder)]


def change_entries(folder, change, *, number=0):
    """Rewrites a bundle of the large export and leaves the tiles alone."""
    name = "000" if number == 0 else "001.p/44"
    file = folder / "tile/entries" / name
    leaves, _ = read_bundle(file.read_bytes())
    change(leaves)
    file.write_bytes(write_bundle(leaves))


class TestWriteExport:
    def test_writes_the_files_of_tlog_tiles(self, small, large):
        assert names_of(small) == [
            "checkpoint",
            "tile/0/000.p/3",
            "tile/entries/000.p/3",
        ]
        assert names_of(large) == [
            "checkpoint",
            "tile/0/000",
            "tile/0/001.p/44",
            "tile/1/000.p/1",
            "tile/entries/000",
            "tile/entries/001.p/44",
        ]

    def test_writes_hashes_as_tiles_have_them(self, large):
        leaves = leaves_of(LARGE)
        hashes = [leaf_hash(leaf) for leaf in leaves]

        assert large.joinpath("tile/0/000").read_bytes() == b"".join(hashes[:256])
        assert large.joinpath("tile/0/001.p/44").read_bytes() == b"".join(hashes[256:])
        assert large.joinpath("tile/1/000.p/1").read_bytes() == root_of(leaves[:256])

    @pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512])
    def test_verifies_whatever_the_size(self, tmp_path, size):
        root = root_of(leaves_of(size))

        assert checked(an_export(tmp_path, size)) == CheckedLog(size, root)

    def test_makes_missing_folders(self, tmp_path):
        target = tmp_path / "a" / "b" / "export"

        write_export(target, a_log(leaves_of(2)), origin=ORIGIN, public_key=PUBLIC)

        assert checked(target).size == 2

    @pytest.mark.parametrize("name", ["export", "export.partial"])
    def test_overwrites_nothing(self, tmp_path, name):
        (tmp_path / name).mkdir()
        log = a_log(leaves_of(2))

        with pytest.raises(FileExistsError):
            write_export(tmp_path / "export", log, origin=ORIGIN, public_key=PUBLIC)

        assert [path.name for path in tmp_path.iterdir()] == [name]
        assert files_of(tmp_path) == []

    def test_exports_no_broken_log(self, tmp_path):
        log = a_log(leaves_of(300))
        log.entries[280] = leaves_of(1)[0]

        with pytest.raises(LogBroken) as caught:
            write_export(tmp_path / "export", log, origin=ORIGIN, public_key=PUBLIC)

        assert caught.value.index == 280
        assert list(tmp_path.iterdir()) == []

    def test_exports_no_entry_that_is_not_signed(self, tmp_path):
        log = a_log(leaves_of(5))
        log.entries[5] = leaves_of(6)[5]

        with pytest.raises(LogBroken) as caught:
            write_export(tmp_path / "export", log, origin=ORIGIN, public_key=PUBLIC)

        assert caught.value.index == 5
        assert list(tmp_path.iterdir()) == []


class TestVerifyExport:
    def test_refuses_each_flipped_byte_of_a_small_export(self, small):
        for file in files_of(small):
            content = file.read_bytes()
            for place in range(len(content)):
                for flip in (
                    0x01,
                    0x20,
                    0x80,
                ):  # the neighbour, the other case, no text
                    damaged = bytearray(content)
                    damaged[place] ^= flip
                    file.write_bytes(damaged)
                    finding(small)
            file.write_bytes(content)
        assert checked(small).size == SMALL

    def test_refuses_each_shorter_and_each_longer_file(self, small):
        for file in files_of(small):
            content = file.read_bytes()
            for length in range(len(content)):
                file.write_bytes(content[:length])
                finding(small)
            for more in (b"\x00", b"\n", content):
                file.write_bytes(content + more)
                finding(small)
            file.write_bytes(content)
        assert checked(small).size == SMALL

    def test_refuses_each_flipped_byte_of_the_tile_above(self, large):
        file = large / "tile/1/000.p/1"
        content = file.read_bytes()
        for place in range(len(content)):
            damaged = bytearray(content)
            damaged[place] ^= 0xFF
            file.write_bytes(damaged)

            found = finding(large)

            assert found.index == 0
            assert "entries 0 to 255" in found.finding

    def test_refuses_an_export_that_lacks_a_file(self, tmp_path, large):
        for name in names_of(large):
            copy = tmp_path / "copy"
            shutil.copytree(large, copy)
            (copy / name).unlink()

            assert "cannot be read" in finding(copy).finding
            shutil.rmtree(copy)

    @pytest.mark.parametrize("place", [0, 1, 100, 254, 255])
    def test_names_a_flipped_entry(self, large, place):
        def flip(leaves):
            leaves[place] = leaves[place].replace(b"test", b"tesu")

        change_entries(large, flip)

        assert finding(large).index == place

    @pytest.mark.parametrize("place", [0, 1, 43])
    def test_names_a_dropped_entry(self, large, place):
        change_entries(large, lambda leaves: leaves.pop(place), number=1)

        assert finding(large).index == 256 + place

    @pytest.mark.parametrize("place", [0, 1, 42])
    def test_names_the_first_of_two_exchanged_entries(self, large, place):
        def exchange(leaves):
            leaves[place], leaves[place + 1] = leaves[place + 1], leaves[place]

        change_entries(large, exchange, number=1)

        assert finding(large).index == 256 + place

    @pytest.mark.parametrize("place", [0, 1, 43, 44])
    def test_names_an_added_entry(self, large, place):
        change_entries(large, lambda leaves: leaves.insert(place, b"{}"), number=1)

        assert finding(large).index == 256 + place

    @pytest.mark.parametrize("place", [0, 100, 255])
    def test_names_a_damaged_hash(self, large, place):
        file = large / "tile/0/000"
        damaged = bytearray(file.read_bytes())
        damaged[place * 32 + 7] ^= 1
        file.write_bytes(damaged)

        found = finding(large)

        assert str(found) == f"entry {place}: it does not fit the stored hash"

    def test_names_the_tile_of_an_entry_changed_together_with_its_hash(self, large):
        other = leaves_of(LARGE + 1)[LARGE]
        change_entries(large, lambda leaves: leaves.__setitem__(9, other))
        file = large / "tile/0/000"
        hashes = bytearray(file.read_bytes())
        hashes[9 * 32 : 10 * 32] = leaf_hash(other)
        file.write_bytes(hashes)

        found = finding(large)

        assert found.index == 0
        assert "entries 0 to 255" in found.finding

    def test_refuses_a_log_rewritten_together_with_all_its_hashes(self, tmp_path):
        leaves = leaves_of(300)
        honest, forged = tmp_path / "honest", tmp_path / "forged"
        for folder, content in ((honest, leaves), (forged, [leaves[1], *leaves[1:]])):
            write_export(folder, a_log(content), origin=ORIGIN, public_key=PUBLIC)
        shutil.copy(honest / "checkpoint", forged / "checkpoint")

        found = finding(forged)

        assert found.index is None
        assert "altered, moved or replaced" in found.finding

    def test_refuses_a_log_cut_to_an_older_size(self, tmp_path):
        """An old checkpoint is a smaller log; a new one does not fit old tiles."""
        older, newer = an_export(tmp_path, 3), an_export(tmp_path, 5)
        shutil.copy(newer / "checkpoint", older / "checkpoint")

        assert finding(older).index == 0

    def test_takes_only_the_pinned_key_and_origin(self, small):
        assert finding(small, public_key=bytes(32)).index is None
        assert finding(small, origin=ORIGIN.replace("shop", "other")).index is None
        assert finding(small, origin=ORIGIN.replace("g1", "g2")).index is None

    def test_ignores_files_that_are_not_of_the_log(self, small):
        (small / "verifier-key.txt").write_text("anything")
        (small / "tile/0/001.p").mkdir()
        (small / "tile/0/001.p/7").write_bytes(b"of a longer log")

        assert checked(small).size == SMALL


class TestHostileExports:
    @pytest.mark.parametrize("name", ["checkpoint", "tile/0/000.p/3"])
    def test_pipes_and_devices_are_not_read(self, small, name):
        (small / name).unlink()
        os.mkfifo(small / name)
        assert "cannot be read" in finding(small).finding

        (small / name).unlink()
        (small / name).symlink_to("/dev/zero")
        assert "cannot be read" in finding(small).finding

    @pytest.mark.parametrize(
        "name", ["checkpoint", "tile/0/000.p/3", "tile/entries/000.p/3"]
    )
    def test_files_are_read_only_up_to_what_they_may_hold(self, small, name):
        with (small / name).open("r+b") as file:
            file.truncate(1 << 40)  # sparse: it needs no room

        assert "too long" in finding(small).finding

    @pytest.mark.parametrize("name", ["checkpoint", "tile/entries/000.p/3"])
    def test_folders_are_not_files(self, small, name):
        (small / name).unlink()
        (small / name).mkdir()

        assert "cannot be read" in finding(small).finding

    def test_files_that_may_not_be_read_are_findings(self, small, monkeypatch):
        def refuse(*_arguments):
            raise PermissionError

        with monkeypatch.context() as patch:
            patch.setattr("os.fstat", refuse)
            found = finding(small)

        assert "cannot be read" in found.finding

    def test_a_checkpoint_that_is_not_text_is_a_finding(self, small):
        (small / "checkpoint").write_bytes(b"\xff\xfe")

        assert "not text" in finding(small).finding

    def test_nothing_at_all_is_a_finding(self, tmp_path):
        assert finding(tmp_path / "nowhere").index is None
