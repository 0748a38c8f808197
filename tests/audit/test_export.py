"""An export is checked with the public key alone; each change is refused.

covers: I7.
"""

import shutil

import pytest

from gateway.audit.checkpoint import checkpoint_text, origin_of, signed_note
from gateway.audit.export import write_export
from gateway.audit.leaf import encode_leaf
from gateway.audit.tree import EMPTY, find_among, grow, leaf_hash
from gateway.audit.verify import LogBroken, verify_export
from tests.builders.storage import SHOP, VAULT, a_signer, an_entry

ORIGIN = origin_of(VAULT, SHOP, 1)
SIGNER = a_signer()
LEAVES = [
    encode_leaf(an_entry(caller=f"caller {number}"), build="test")
    for number in range(700)
]


class Reader:
    """A log in memory, signed as it is."""

    def __init__(self, leaves):
        self.all = leaves
        growth = grow(EMPTY, [leaf_hash(leaf) for leaf in leaves])
        self.node = find_among(EMPTY, growth.nodes)
        text = checkpoint_text(ORIGIN, len(leaves), growth.frontier.root())
        self.note = signed_note(text, ORIGIN, SIGNER.public_key, SIGNER.sign(text))

    def checkpoint(self):
        return self.note

    def size(self):
        return len(self.all)

    def leaves(self, start, stop):
        return self.all[start:stop]


def export(folder, leaves):
    write_export(folder, Reader(leaves), origin=ORIGIN, public_key=SIGNER.public_key)


def check(folder, *, origin=ORIGIN, public_key=SIGNER.public_key):
    return verify_export(folder, origin=origin, public_key=public_key)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "whole"
    export(folder, LEAVES)
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def bundle(leaves):
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def finding(folder):
    with pytest.raises(LogBroken) as caught:
        check(folder)
    return caught.value.index


class TestExport:
    @pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 700])
    def test_verifies(self, tmp_path, size):
        export(tmp_path / "export", LEAVES[:size])

        assert check(tmp_path / "export").size == size

    def test_names_a_flipped_entry(self, copy):
        file = copy / "tile/entries/001"
        file.write_bytes(file.read_bytes().replace(b"caller 300", b"caller 301", 1))

        assert finding(copy) == 300

    def test_names_a_dropped_entry(self, copy):
        kept = LEAVES[512:530] + LEAVES[531:700]
        (copy / "tile/entries/002.p/188").write_bytes(bundle(kept))

        assert finding(copy) == 530

    def test_names_a_reordered_entry(self, copy):
        moved = [*LEAVES[:10], LEAVES[11], LEAVES[10], *LEAVES[12:256]]
        (copy / "tile/entries/000").write_bytes(bundle(moved))

        assert finding(copy) == 10

    def test_names_where_a_log_was_cut(self, copy):
        (copy / "tile/entries/002.p/188").write_bytes(bundle(LEAVES[512:600]))

        assert finding(copy) == 600

    def test_refuses_a_log_that_was_made_again(self, copy, tmp_path):
        other = [*LEAVES[:5], LEAVES[6], *LEAVES[6:]]
        export(tmp_path / "forged", other)
        shutil.copy(copy / "checkpoint", tmp_path / "forged" / "checkpoint")

        with pytest.raises(LogBroken):
            check(tmp_path / "forged")

    def test_refuses_another_key(self, whole):
        with pytest.raises(LogBroken):
            check(whole, public_key=bytes(32))

    def test_refuses_another_log(self, whole):
        with pytest.raises(LogBroken):
            check(whole, origin=origin_of(VAULT, SHOP, 2))

    def test_refuses_each_flipped_byte_of_a_small_export(self, tmp_path):
        folder = tmp_path / "export"
        export(folder, LEAVES[:3])
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            content = file.read_bytes()
            for place in range(len(content)):
                damaged = bytearray(content)
                damaged[place] ^= 1
                file.write_bytes(bytes(damaged))
                with pytest.raises(LogBroken):
                    check(folder)
            file.write_bytes(content)

    def test_writes_into_a_new_folder_only(self, whole):
        with pytest.raises(FileExistsError):
            export(whole, LEAVES[:1])
