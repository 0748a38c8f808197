"""What is kept outside the database: anchor and erasure journal. covers: I5, I10."""

import os
from datetime import timedelta

import pytest

from gateway.errors import AnchorUnusable
from gateway.storage.anchor import Anchor, AnchoredLog, AnchorFolder, Erasure
from gateway.words.identifiers import CardTokenName
from tests.builders.storage import NOW, OTHER, SHOP, VAULT

KEY = b"k" * 32
LOGS = {SHOP: AnchoredLog(1, 7, b"r" * 32), OTHER: AnchoredLog(2, 1, b"s" * 32)}
ERASURES = [
    Erasure(NOW + timedelta(seconds=number), SHOP, CardTokenName(f"card_{number}"))
    for number in range(3)
]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "anchor"


@pytest.fixture
def anchor(folder):
    return AnchorFolder.create(folder, NOW, vault_id=VAULT, mac_key=KEY)


def opened(folder, *, vault_id=VAULT, mac_key=KEY):
    return AnchorFolder.open(folder, vault_id=vault_id, mac_key=mac_key)


class TestAnchor:
    @pytest.mark.parametrize("is_restored", [False, True])
    def test_is_read_as_it_was_written(self, anchor, folder, is_restored):
        anchor.write(Anchor(NOW, LOGS, is_restored))

        assert opened(folder).read() == Anchor(NOW, LOGS, is_restored)

    def test_is_only_for_its_owner(self, anchor, folder):
        anchor.note_erasures(ERASURES)

        assert folder.stat().st_mode & 0o777 == 0o700
        assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}

    @pytest.mark.parametrize("name", ["anchor", "erasures"])
    def test_is_unusable_when_a_file_is_missing(self, anchor, folder, name):
        (folder / name).unlink()

        with pytest.raises(AnchorUnusable):
            opened(folder)

    @pytest.mark.parametrize(
        ("old", "new"),
        [(b"shop 1 7", b"shop 1 6"), (b"log other", b"log othes"), (b"mac ", b"mac 0")],
    )
    def test_refuses_an_altered_one(self, anchor, folder, old, new):
        anchor.write(Anchor(NOW, LOGS))
        file = folder / "anchor"
        file.write_bytes(file.read_bytes().replace(old, new))

        with pytest.raises(AnchorUnusable):
            anchor.read()

    @pytest.mark.parametrize("kept", range(0, 200, 13))
    def test_refuses_a_cut_one(self, anchor, folder, kept):
        anchor.write(Anchor(NOW, LOGS))
        file = folder / "anchor"
        file.write_bytes(file.read_bytes()[:kept])

        with pytest.raises(AnchorUnusable):
            anchor.read()

    @pytest.mark.parametrize("other", [{"vault_id": "x/y"}, {"mac_key": b"x" * 32}])
    def test_refuses_that_of_another_vault_or_keyring(self, anchor, folder, other):
        foreign = opened(folder, **other)

        with pytest.raises(AnchorUnusable):
            foreign.read()
        with pytest.raises(AnchorUnusable):
            foreign.erasures()

    def test_creating_it_again_changes_nothing(self, anchor, folder):
        anchor.write(Anchor(NOW, LOGS))
        anchor.note_erasures(ERASURES)

        again = AnchorFolder.create(folder, NOW, vault_id=VAULT, mac_key=KEY)

        assert again.read().logs == LOGS
        assert again.erasures() == ERASURES


class TestErasures:
    def test_are_kept_in_their_order(self, anchor, folder):
        anchor.note_erasures(ERASURES[:1])
        anchor.note_erasures(ERASURES[1:])

        assert opened(folder).erasures() == ERASURES

    def test_a_torn_line_is_ignored_and_then_gone(self, anchor, folder):
        """A power cut in the middle of a write: that erasure never committed."""
        anchor.note_erasures(ERASURES[:1])
        with (folder / "erasures").open("ab") as file:
            file.write(b"2026-11-25T12:00:00+00:00 shop card_to")
        assert anchor.erasures() == ERASURES[:1]

        anchor.note_erasures(ERASURES[1:])

        assert anchor.erasures() == ERASURES

    @pytest.mark.parametrize("number", [1, 2, 3])
    def test_an_altered_line_is_refused(self, anchor, folder, number):
        """It could hide a card from being erased again, or name one that lives."""
        anchor.note_erasures(ERASURES)
        file = folder / "erasures"
        lines = file.read_bytes().splitlines(keepends=True)
        lines[number] = lines[number].replace(b"card_", b"card-")
        file.write_bytes(b"".join(lines))

        with pytest.raises(AnchorUnusable):
            anchor.erasures()

    @pytest.mark.parametrize("content", ["", "lost", "lost\n", "\n\n"])
    def test_a_journal_that_is_none_is_refused(self, anchor, folder, content):
        (folder / "erasures").write_text(content)

        with pytest.raises(AnchorUnusable):
            anchor.erasures()

    def test_reach_the_disk_before_it_returns(self, anchor, folder, monkeypatch):
        synced = []
        fsync = os.fsync

        def note(handle):
            name = os.readlink(f"/proc/self/fd/{handle}")
            synced.append((name, os.fstat(handle).st_size))
            fsync(handle)

        monkeypatch.setattr(os, "fsync", note)
        anchor.note_erasures(ERASURES)

        file = folder / "erasures"
        assert synced == [(str(file), file.stat().st_size)]
