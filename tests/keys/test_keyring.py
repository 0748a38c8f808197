"""The keyring file: who may read it, what it holds, how it changes."""

import itertools
import json
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.errors import KeyUnavailable
from gateway.key_providers import keyring as keyring_module
from gateway.key_providers.file import SEALING_KEY_LIFETIME, FileKeyProvider
from gateway.key_providers.keyring import (
    Keyring,
    KeyringFile,
    StoredSealingKey,
    Stretched,
    decode_keyring,
    encode_keyring,
)

VECTORS = json.loads(
    Path(__file__).parents[1].joinpath("vectors/keyring_v1.json").read_text("utf-8")
)
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
VAULT = "vault.example/vault-0123456789abcdef"
PASSPHRASE = b"correct horse battery staple"
A_KEYRING = Keyring(
    vault_id=VAULT,
    epochs={"epoch-2": b"2" * 32, "epoch-1": b"1" * 32},
    sealing_keys=[StoredSealingKey(b"s" * 32, NOW)],
    identity_key=b"i" * 32,
    log_key=b"l" * 32,
    mac_root=b"m" * 32,
)
# Cheap ones, made once: what a passphrase costs is not what these tests are about.
CHEAP = Stretched.again(
    PASSPHRASE, bytes.fromhex("000000010000000800000001") + b"s" * 16
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "keyring"


@pytest.fixture
def provider(folder):
    return FileKeyProvider.create(folder, VAULT, NOW)


def why(caught):
    return caught.value.metadata["keyring"]


class TestPermissions:
    def test_makes_what_only_its_user_can_read(self, folder):
        before = os.umask(0)
        try:
            FileKeyProvider.create(folder, VAULT, NOW).rotate_sealing_key(NOW)
        finally:
            os.umask(before)

        assert folder.stat().st_mode & 0o777 == 0o700
        assert [file.name for file in folder.iterdir()] == ["keyring"]
        assert (folder / "keyring").stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o601, 0o666])
    def test_refuses_a_file_that_others_can_reach(self, provider, folder, mode):
        (folder / "keyring").chmod(mode)

        with pytest.raises(KeyUnavailable) as caught:
            FileKeyProvider.open(folder)
        assert "chmod -R go=" in why(caught)

    @pytest.mark.parametrize("mode", [0o750, 0o705, 0o710, 0o701, 0o777])
    def test_refuses_a_folder_that_others_can_reach(self, provider, folder, mode):
        folder.chmod(mode)

        with pytest.raises(KeyUnavailable) as caught:
            FileKeyProvider.open(folder)
        assert "others can read it" in why(caught)

    def test_refuses_to_change_what_others_can_reach(self, provider, folder):
        (folder / "keyring").chmod(0o644)

        with pytest.raises(KeyUnavailable):
            provider.rotate_sealing_key(NOW)

    def test_does_not_take_the_mode_of_what_a_crash_left(self, provider, folder):
        left = folder / ".keyring.new"
        left.write_bytes(b"half a keyring")
        left.chmod(0o666)

        provider.rotate_sealing_key(NOW)

        assert (folder / "keyring").stat().st_mode & 0o777 == 0o600
        assert not left.exists()


class TestCreate:
    def test_never_overwrites_a_keyring(self, provider, folder):
        before = (folder / "keyring").read_bytes()

        with pytest.raises(FileExistsError):
            FileKeyProvider.create(folder, VAULT, NOW)
        assert (folder / "keyring").read_bytes() == before

    def test_makes_other_keys_each_time(self, tmp_path):
        made = [
            FileKeyProvider.create(tmp_path / name, VAULT, NOW) for name in ("a", "b")
        ]

        for one, other in itertools.pairwise(made):
            assert one.epochs() != other.epochs()
            assert one.log_public_key != other.log_public_key
            assert one.identity_public_key != other.identity_public_key
            assert one.mac_key("x") != other.mac_key("x")
            assert one.sealing_keys(NOW) != other.sealing_keys(NOW)

    async def test_opens_again_with_the_same_keys(self, provider, folder):
        wrapped = await provider.wrap(provider.epochs()[0], b"k" * 32, b"c")

        again = FileKeyProvider.open(folder)

        assert again.vault_id == VAULT
        assert again.log_public_key == provider.log_public_key
        assert again.identity_public_key == provider.identity_public_key
        assert again.mac_key("x") == provider.mac_key("x")
        assert again.sealing_keys(NOW) == provider.sealing_keys(NOW)
        assert await again.unwrap(again.epochs()[0], wrapped, b"c") == b"k" * 32

    def test_says_so_when_there_is_none(self, folder):
        with pytest.raises(KeyUnavailable) as caught:
            FileKeyProvider.open(folder)
        assert why(caught) == "cannot be read"


class TestPassphrase:
    def test_leaves_no_key_readable(self, folder):
        FileKeyProvider.create(folder, VAULT, NOW, passphrase=PASSPHRASE)

        content = (folder / "keyring").read_bytes()
        assert b"epoch" not in content
        assert content[2:3] != b"{"

    def test_costs_what_rfc_9106_recommends(self, folder):
        """Section 4, second recommended option: 3 passes, 64 MiB, 4 lanes."""
        FileKeyProvider.create(folder, VAULT, NOW, passphrase=PASSPHRASE)

        header = (folder / "keyring").read_bytes()[2:14]
        passes, memory, lanes = (
            int.from_bytes(header[place : place + 4], "big") for place in (0, 4, 8)
        )
        assert (passes, memory, lanes) == (3, 65536, 4)

    def test_opens_with_the_passphrase_alone(self, folder):
        made = FileKeyProvider.create(folder, VAULT, NOW, passphrase=PASSPHRASE)

        again = FileKeyProvider.open(folder, passphrase=PASSPHRASE)

        assert again.mac_key("x") == made.mac_key("x")
        for wrong in (PASSPHRASE + b" ", b"another"):
            with pytest.raises(
                KeyUnavailable, match="keys cannot be reached"
            ) as caught:
                FileKeyProvider.open(folder, passphrase=wrong)
            assert "does not open with this passphrase" in why(caught)

    @pytest.mark.parametrize(
        ("passphrase", "sentence"),
        [(None, "needs its passphrase file"), (b"", "its passphrase file is empty")],
    )
    def test_says_what_is_missing(self, folder, passphrase, sentence):
        FileKeyProvider.create(folder, VAULT, NOW, passphrase=PASSPHRASE)

        with pytest.raises(KeyUnavailable) as caught:
            FileKeyProvider.open(folder, passphrase=passphrase)
        assert why(caught) == sentence

    def test_refuses_an_empty_one_before_anything_is_made(self, folder):
        with pytest.raises(KeyUnavailable):
            FileKeyProvider.create(folder, VAULT, NOW, passphrase=b"")
        assert not folder.exists()

    def test_rotates_without_asking_for_it_again(self, folder):
        made = FileKeyProvider.create(folder, VAULT, NOW, passphrase=PASSPHRASE)

        new = made.rotate_sealing_key(NOW)

        again = FileKeyProvider.open(folder, passphrase=PASSPHRASE)
        assert new in again.sealing_keys(NOW)

    def test_never_uses_a_nonce_twice(self):
        nonces = {encode_keyring(A_KEYRING, CHEAP)[30:42] for _ in range(50)}

        assert len(nonces) == 50

    def test_does_not_undo_a_changed_passphrase(self, folder):
        """A server that still knows the old one must not write under it."""
        made = FileKeyProvider.create(folder, VAULT, NOW, passphrase=PASSPHRASE)
        other = encode_keyring(A_KEYRING, CHEAP)
        (folder / "keyring").write_bytes(other)

        with pytest.raises(KeyUnavailable) as caught:
            made.rotate_sealing_key(NOW)
        assert "another passphrase" in why(caught)
        assert (folder / "keyring").read_bytes() == other

    @pytest.mark.parametrize(
        "costs",
        [
            (3, 2**32 - 1, 4),
            (2**32 - 1, 65536, 4),
            (3, 65536, 2**20),
            (0, 65536, 4),
            (3, 65536, 0),
            (3, 7, 1),
        ],
    )
    def test_refuses_costs_that_would_stop_the_machine(self, folder, costs):
        """The header is read before it can be authenticated."""
        FileKeyProvider.create(folder, VAULT, NOW)
        header = b"".join(cost.to_bytes(4, "big") for cost in costs)
        (folder / "keyring").write_bytes(b"\x01\x01" + header + bytes(200))
        started = time.monotonic()

        with pytest.raises(KeyUnavailable) as caught:
            FileKeyProvider.open(folder, passphrase=PASSPHRASE)
        assert why(caught) == "is damaged"
        assert time.monotonic() - started < 1


class TestDamage:
    def test_does_not_wait_for_a_pipe(self, folder):
        folder.mkdir(mode=0o700)
        os.mkfifo(folder / "keyring", 0o600)

        with pytest.raises(KeyUnavailable) as caught:
            FileKeyProvider.open(folder)

        assert why(caught) == "is not a file"

    @pytest.mark.parametrize("stretched", [None, CHEAP], ids=["clear", "sealed"])
    def test_refuses_every_flipped_byte(self, stretched):
        content = encode_keyring(A_KEYRING, stretched)

        assert decode_keyring(content, stretched) == A_KEYRING
        for place in range(len(content)):
            wrong = bytearray(content)
            wrong[place] ^= 1
            with pytest.raises(KeyUnavailable):
                decode_keyring(bytes(wrong), stretched)

    @pytest.mark.parametrize("stretched", [None, CHEAP], ids=["clear", "sealed"])
    def test_refuses_every_shorter_file(self, stretched):
        content = encode_keyring(A_KEYRING, stretched)

        for length in range(len(content)):
            with pytest.raises(KeyUnavailable):
                decode_keyring(content[:length], stretched)

    @pytest.mark.parametrize("length", [0, 1, 2, 10, 29])
    def test_refuses_a_cut_header(self, folder, length):
        FileKeyProvider.create(folder, VAULT, NOW)
        sealed = encode_keyring(A_KEYRING, CHEAP)
        (folder / "keyring").write_bytes(sealed[:length])

        with pytest.raises(KeyUnavailable):
            FileKeyProvider.open(folder, passphrase=PASSPHRASE)

    def test_tells_a_newer_version_from_damage(self):
        with pytest.raises(KeyUnavailable) as caught:
            decode_keyring(b"\x02" + encode_keyring(A_KEYRING, None)[1:], None)
        assert why(caught) == "is of a version we do not know"

    @pytest.mark.parametrize(
        "change",
        [
            {"epochs": []},
            {"epochs": [["a", "MQ=="]]},
            {
                "epochs": [
                    [name, "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="]
                    for name in "abc"
                ]
            },
            {"identity_key": None},
            {"mac_root": "not base64!"},
            {"sealing_keys": [["x", "tomorrow"]]},
        ],
        ids=["no epoch", "short key", "three epochs", "no key", "no base64", "no time"],
    )
    def test_refuses_wrong_content_and_quotes_none_of_it(self, change):
        content = encode_keyring(A_KEYRING, None)
        text = json.dumps(json.loads(content[34:]) | change).encode()
        digest = keyring_module.hashlib.sha256(text).digest()

        with pytest.raises(KeyUnavailable) as caught:
            decode_keyring(b"\x01\x00" + digest + text, None)
        assert why(caught) == "is damaged"
        assert caught.value.__suppress_context__


class TestChange:
    def test_a_new_sealing_key_is_preferred_and_the_old_one_still_opens(
        self, provider, folder
    ):
        old = provider.sealing_keys(NOW)[0]

        new = provider.rotate_sealing_key(NOW + timedelta(days=1))

        assert provider.sealing_keys(NOW) == [new, old]
        assert FileKeyProvider.open(folder).sealing_keys(NOW) == [new, old]

    def test_an_ended_sealing_key_is_destroyed(self, provider, folder):
        old = provider.sealing_keys(NOW)[0]
        private = provider._keyring.sealing_keys[0].private_key

        new = provider.rotate_sealing_key(old.expires_at)

        kept = FileKeyProvider.open(folder)._keyring.sealing_keys
        assert provider.sealing_keys(NOW) == [new]
        assert private not in [key.private_key for key in kept]

    def test_keeps_what_another_program_changed(self, provider, folder):
        """Two programs must not undo each other: a lost epoch key is lost cards."""
        other = FileKeyProvider.open(folder)
        theirs = other.rotate_sealing_key(NOW)

        ours = provider.rotate_sealing_key(NOW)

        kept = FileKeyProvider.open(folder).sealing_keys(NOW)
        assert theirs in kept
        assert ours in kept

    def test_changes_at_the_same_time_are_both_kept(self, provider, folder):
        providers = [FileKeyProvider.open(folder) for _ in range(4)]

        def rotate(one):
            for _ in range(5):
                one.rotate_sealing_key(NOW)

        threads = [threading.Thread(target=rotate, args=[one]) for one in providers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(FileKeyProvider.open(folder).sealing_keys(NOW)) == 21

    @pytest.mark.parametrize("fails_at", [1, 2])
    def test_a_write_that_fails_leaves_the_old_file_or_the_new(
        self, provider, folder, monkeypatch, fails_at
    ):
        old = (folder / "keyring").read_bytes()
        calls = []

        def fsync(handle):
            calls.append(handle)
            if len(calls) == fails_at:
                raise OSError

        monkeypatch.setattr(keyring_module.os, "fsync", fsync)
        with pytest.raises(KeyUnavailable):
            provider.rotate_sealing_key(NOW)

        monkeypatch.undo()
        unchanged = (folder / "keyring").read_bytes() == old
        assert unchanged is (fails_at == 1)
        assert FileKeyProvider.open(folder).epochs() == provider.epochs()

    def test_the_file_reaches_the_disk_before_its_name(self, folder, monkeypatch):
        order = []
        fsync, replace = os.fsync, Path.replace

        def note_fsync(handle):
            order.append(
                "file"
                if os.readlink(f"/proc/self/fd/{handle}").endswith(".new")
                else "folder"
            )
            fsync(handle)

        def note_replace(path, target):
            order.append("name")
            return replace(path, target)

        monkeypatch.setattr(keyring_module.os, "fsync", note_fsync)
        monkeypatch.setattr(Path, "replace", note_replace)
        KeyringFile.create(folder, A_KEYRING, None)

        assert order == ["file", "name", "folder", "folder"]

    def test_says_so_when_the_folder_is_gone(self, provider, folder):
        (folder / "keyring").unlink()
        folder.rmdir()

        with pytest.raises(KeyUnavailable):
            provider.rotate_sealing_key(NOW)


class TestRenewSealingKey:
    def test_makes_none_while_the_newest_lasts(self, provider, folder):
        before = (folder / "keyring").read_bytes()

        again = FileKeyProvider.renew_sealing_key(folder, NOW + timedelta(hours=23))

        assert (folder / "keyring").read_bytes() == before
        assert again.sealing_keys(NOW) == provider.sealing_keys(NOW)

    def test_makes_one_every_day(self, provider, folder):
        now = NOW + timedelta(days=1, seconds=1)

        again = FileKeyProvider.renew_sealing_key(folder, now)

        assert len(again.sealing_keys(now)) == 2
        assert again.sealing_keys(now)[0].expires_at == now + SEALING_KEY_LIFETIME

    def test_makes_one_after_all_have_ended(self, provider, folder):
        now = NOW + timedelta(days=400)
        assert not provider.sealing_keys(now)

        again = FileKeyProvider.renew_sealing_key(folder, now)

        assert len(again.sealing_keys(now)) == 1


class TestVector:
    """Frozen: a keyring that was written once must open for ever."""

    @pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
    def test_opens(self, vector, folder):
        folder.mkdir(mode=0o700)
        (folder / "keyring").touch(mode=0o600)
        (folder / "keyring").write_bytes(bytes.fromhex(vector["file"]))
        passphrase = vector["passphrase"]

        provider = FileKeyProvider.open(
            folder, passphrase=passphrase and passphrase.encode()
        )

        assert provider.vault_id == vector["vault_id"]
        assert list(provider.epochs()) == vector["epochs"]
        assert provider.log_public_key.hex() == vector["log_public_key"]
        assert provider.identity_public_key.hex() == vector["identity_public_key"]
        assert provider.mac_key("fingerprint/shop").hex() == vector["mac_key"]
        shown = [
            [key.key_id, key.expires_at.isoformat(), key.signature.hex()]
            for key in provider.sealing_keys(NOW)
        ]
        assert shown == vector["sealing_keys"]


class TestSecrecy:
    def test_no_repr_shows_a_key(self):
        file = KeyringFile(Path("x"), CHEAP)
        shown = f"{A_KEYRING!r} {CHEAP!r} {file!r} {A_KEYRING.sealing_keys!r}"

        for secret in ("1" * 32, "2" * 32, "i" * 32, "l" * 32, "m" * 32, "s" * 32):
            assert secret not in shown
        assert repr(CHEAP.key)[2:-1] not in shown
