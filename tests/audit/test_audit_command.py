"""``bailee-audit``: what it prints, and how it exits."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from bailee.audit.cli import FINDINGS, NOT_CHECKED, OK, main
from bailee.audit.entries import FIELDS, is_entry, read_entry
from bailee.audit.sources import ExportSource, SourceBroken
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.checkpoint import verifier_key
from gateway.audit.export import write_export
from gateway.audit.leaf import encode_leaf
from gateway.audit.leaf_grammar import FORMS
from tests.audit.test_leaf import entries, texts
from tests.builders.logs import ORIGIN, PUBLIC, a_leaf, a_log, an_export, leaves_of
from tests.builders.storage import NOW

KEY = verifier_key(ORIGIN, PUBLIC)
VECTORS = Path(__file__).parents[1] / "vectors" / "audit" / "log_v1"


@pytest.fixture
def export(tmp_path):
    return an_export(tmp_path, 300)


def replace(folder, leaves):
    shutil.rmtree(folder)
    write_export(folder, a_log(leaves), origin=ORIGIN, public_key=PUBLIC)


class TestVerify:
    def test_accepts_an_export(self, export, capsys):
        assert main(["verify", str(export), "--key", KEY]) == OK
        assert capsys.readouterr().out.startswith(f"ok: 300 entries of {ORIGIN}\n")

    def test_accepts_the_files_that_were_frozen(self):
        key = str(VECTORS / "verifier-key.txt")

        assert main(["verify", str(VECTORS / "export"), "--key", key]) == OK

    @pytest.mark.parametrize("place", [30, 5000, -1])
    def test_refuses_a_changed_byte(self, export, capsys, place):
        file = export / "tile/entries/000"
        content = bytearray(file.read_bytes())
        content[place] ^= 1
        file.write_bytes(content)

        assert main(["verify", str(export), "--key", KEY]) == FINDINGS
        assert "NOT the log that was signed" in capsys.readouterr().out

    @pytest.mark.parametrize("name", ["checkpoint", "tile/entries/000"])
    def test_refuses_a_missing_file(self, export, name):
        (export / name).unlink()

        assert main(["verify", str(export), "--key", KEY]) == FINDINGS

    def test_refuses_another_key(self, export):
        other = verifier_key(ORIGIN, bytes(32))

        assert main(["verify", str(export), "--key", other]) == FINDINGS

    @pytest.mark.parametrize("key", [[], ["--key", "nonsense+1+2"], ["--key", "none"]])
    def test_says_when_it_has_no_key(self, export, capsys, key):
        assert main(["verify", str(export), *key]) == NOT_CHECKED
        assert capsys.readouterr().err.startswith("bailee-audit: ")


class TestWatch:
    def watch(self, folder, export, *more):
        state = ["--state", str(folder / "state"), "--key", KEY]
        arguments = ["watch", *state, "--export", str(export), *more]
        return main(arguments, clock=lambda: NOW + timedelta(minutes=1))

    @pytest.fixture
    def export(self, tmp_path):
        return an_export(tmp_path, 20)

    def test_follows_a_log_and_finds_a_rewritten_one(self, tmp_path, export, capsys):
        assert self.watch(tmp_path, export) == OK
        replace(export, leaves_of(30))
        assert self.watch(tmp_path, export) == OK
        assert "30 entries" in capsys.readouterr().out
        replace(export, [a_leaf(99), *leaves_of(31)[1:]])

        assert self.watch(tmp_path, export) == FINDINGS
        assert "REWRITTEN" in capsys.readouterr().out

    def test_exits_with_findings_until_they_are_acknowledged(self, tmp_path, export):
        self.watch(tmp_path, export)
        genuine = tmp_path / "genuine"
        shutil.copytree(export, genuine)
        replace(export, leaves_of(10))
        self.watch(tmp_path, export)

        assert self.watch(tmp_path, genuine) == FINDINGS
        state = ["findings", "--state", str(tmp_path / "state"), "--key", KEY]
        assert main(state) == FINDINGS
        assert main([*state, "--acknowledge"]) == OK
        assert main(state) == OK
        assert self.watch(tmp_path, genuine) == OK

    def test_writes_the_cosigned_checkpoint(self, tmp_path, export):
        self.watch(tmp_path, export, "--witness", "witness.example/1")

        cosigned = (tmp_path / "state/cosigned-checkpoint").read_text()
        assert "\u2014 witness.example/1 " in cosigned

    def test_says_when_it_cannot_look(self, tmp_path, export, capsys):
        assert self.watch(tmp_path, tmp_path / "none") == NOT_CHECKED
        assert "checkpoint is missing" in capsys.readouterr().err
        assert main(["watch", "--state", str(tmp_path / "s"), "--key", KEY]) == 2

    def test_never_mixes_two_logs_in_one_state(self, tmp_path, export):
        self.watch(tmp_path, export)
        other = verifier_key("vault.example/other/m/shop/g1", PUBLIC)
        state = ["--state", str(tmp_path / "state"), "--key", other]

        assert main(["watch", *state, "--export", str(export)]) == NOT_CHECKED


class TestEntries:
    def test_are_understood_in_every_field_that_the_gateway_writes(self):
        assert set(FORMS) == FIELDS

    @given(entries, texts)
    def test_are_taken_in_every_spelling_that_the_gateway_has(self, entry, build):
        leaf = encode_leaf(entry, build=build)

        assert is_entry(leaf, entry.merchant.encode())
        assert read_entry(0, leaf, entry.merchant).type == entry.type

    @given(st.data())
    def test_are_taken_by_both_readers_or_by_none(self, data):
        leaf = bytearray(a_leaf(7))
        place = data.draw(st.integers(0, len(leaf) - 1))
        leaf[place] = data.draw(st.integers(0, 255))

        if is_entry(bytes(leaf), b"shop"):
            assert read_entry(0, bytes(leaf), "shop").index == 0


class TestExportSource:
    def test_reads_any_range(self, export):
        source, leaves = ExportSource(export), leaves_of(300)

        for start, stop in [(0, 300), (0, 1), (255, 257), (299, 300), (256, 300)]:
            assert list(source.entries(start, stop)) == leaves[start:stop]

    def test_refuses_a_file_that_is_cut_off(self, export):
        file = export / "tile/entries/001.p/44"
        file.write_bytes(file.read_bytes()[:-1])

        with pytest.raises(SourceBroken, match="cut off"):
            list(ExportSource(export).entries(0, 300))

    def test_refuses_a_file_that_is_too_long(self, export):
        (export / "checkpoint").write_bytes(b"x" * 70_000)

        with pytest.raises(SourceBroken, match="too long"):
            ExportSource(export).checkpoint()
