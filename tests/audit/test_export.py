"""An export is checked with the public key alone; each change is refused.

covers: I7.
"""

import base64
import shutil

import pytest

from gateway.audit.checkpoint import checkpoint_text, origin_of, signed_note
from gateway.audit.export import verify_export, write_export
from gateway.audit.tree import EMPTY, find_among, grow, leaf_hash
from gateway.audit.verify import LogBroken
from tests.builders.storage import SHOP, VAULT, a_signer

ORIGIN = origin_of(VAULT, SHOP, 1)
SIGNER = a_signer()
LEAVES = [
    f'{{"merchant":"shop","request_id":"{number}","v":1}}'.encode()
    for number in range(700)
]


def export(folder, leaves):
    growth = grow(EMPTY, [leaf_hash(leaf) for leaf in leaves])
    text = checkpoint_text(ORIGIN, len(leaves), growth.frontier.root())
    note = signed_note(text, ORIGIN, SIGNER.public_key, SIGNER.sign(text))
    write_export(
        folder,
        note=note,
        size=len(leaves),
        leaves=lambda start, stop: leaves[start:stop],
        node=find_among(EMPTY, growth.nodes),
    )


def check(folder):
    return verify_export(folder, origin=ORIGIN, public_key=SIGNER.public_key)


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


class TestExport:
    @pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 700])
    def test_verifies(self, tmp_path, size):
        export(tmp_path / "export", LEAVES[:size])

        assert check(tmp_path / "export").size == size

    def test_names_a_flipped_entry(self, copy):
        file = copy / "tile/entries/001"
        file.write_bytes(file.read_bytes().replace(b'"300"', b'"301"', 1))

        with pytest.raises(LogBroken) as caught:
            check(copy)

        assert caught.value.index == 300

    def test_names_a_dropped_entry(self, copy):
        kept = LEAVES[512:530] + LEAVES[531:700]
        (copy / "tile/entries/002.p/188").write_bytes(bundle(kept))

        with pytest.raises(LogBroken) as caught:
            check(copy)

        assert caught.value.index == 530

    def test_names_a_reordered_entry(self, copy):
        moved = [*LEAVES[:10], LEAVES[11], LEAVES[10], *LEAVES[12:256]]
        (copy / "tile/entries/000").write_bytes(bundle(moved))

        with pytest.raises(LogBroken) as caught:
            check(copy)

        assert caught.value.index == 10

    def test_names_where_a_log_was_cut(self, copy):
        (copy / "tile/entries/002.p/188").write_bytes(bundle(LEAVES[512:600]))

        with pytest.raises(LogBroken) as caught:
            check(copy)

        assert caught.value.index == 600

    def test_refuses_a_whole_log_that_was_made_again(self, copy, tmp_path):
        other = [leaf.replace(b"shop", b"shop") for leaf in LEAVES]
        other[5] = other[5].replace(b'"5"', b'"6"')
        export(tmp_path / "forged", other)
        shutil.copy(copy / "checkpoint", tmp_path / "forged" / "checkpoint")

        with pytest.raises(LogBroken):
            check(tmp_path / "forged")

    def test_refuses_an_entry_of_another_merchant(self, tmp_path):
        leaves = [LEAVES[0], LEAVES[1].replace(b"shop", b"other")]
        export(tmp_path / "export", leaves)

        with pytest.raises(LogBroken) as caught:
            check(tmp_path / "export")

        assert caught.value.index == 1

    def test_refuses_another_key(self, whole):
        with pytest.raises(LogBroken):
            verify_export(whole, origin=ORIGIN, public_key=bytes(32))

    def test_refuses_another_log(self, whole):
        with pytest.raises(LogBroken):
            verify_export(
                whole,
                origin=origin_of(VAULT, SHOP, 2),
                public_key=SIGNER.public_key,
            )

    def test_refuses_each_changed_line_of_the_checkpoint(self, copy):
        note = (copy / "checkpoint").read_text()
        for old, new in (
            ("\n700\n", "\n699\n"),
            (ORIGIN, ORIGIN + "x"),
            (note.split("\n")[2], base64.b64encode(bytes(32)).decode()),
        ):
            (copy / "checkpoint").write_text(note.replace(old, new, 1))

            with pytest.raises(LogBroken):
                check(copy)

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
