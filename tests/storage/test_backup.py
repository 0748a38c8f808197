"""Backups are one committed moment, complete, and hold no key. covers: I5."""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from gateway.audit.checkpoint import open_checkpoint, origin_of
from gateway.errors import IntegrityViolation, StorageUnavailable
from gateway.storage import backup as backup_module
from gateway.storage.backup import (
    BackupInvalid,
    BackupKeys,
    check_backup,
    put_in_place,
    write_backup,
)
from gateway.storage.log_reader import open_stored_log
from tests.builders.storage import (
    NOW,
    OTHER,
    SHOP,
    VAULT,
    a_signer,
    an_entry,
    open_shop,
)

MAC = b"k" * 32
KEYS = BackupKeys(vault_id=VAULT, signer=a_signer(), mac_key=MAC)


@pytest.fixture
async def storage(tmp_path):
    opened = await open_shop(tmp_path)
    yield opened
    await opened.close()


async def append(storage, count, merchant=SHOP):
    units = [
        storage.commit(merchant, lambda unit: unit.log.append(an_entry(merchant)))
        for _ in range(count)
    ]
    await asyncio.gather(*units)


def back_up(folder, target=None, **arguments):
    target = target or folder / "backup"
    write_backup(folder / "bailee.db", target, keys=KEYS, now=NOW, **arguments)
    return target


def check(folder, vault_id=VAULT, mac_key=MAC):
    return check_backup(folder, vault_id=vault_id, mac_key=mac_key)


def size_in(database, merchant=SHOP):
    signer = a_signer()
    with open_stored_log(database, merchant, signer=signer, vault_id=VAULT) as log:
        return log.size()


class TestBackup:
    async def test_holds_what_is_committed(self, storage, tmp_path):
        await append(storage, 7)
        await append(storage, 2, OTHER)

        target = back_up(tmp_path)

        facts = check(target)
        sizes = {}
        for log in facts["logs"]:
            sizes[log["merchant"]] = open_checkpoint(
                log["checkpoint"],
                origin=origin_of(VAULT, log["merchant"], 1),
                public_key=a_signer().public_key,
            ).size
        assert sizes == {SHOP: 7, OTHER: 2}
        assert size_in(target / "bailee.db") == 7
        assert {file.name for file in target.iterdir()} == {
            "bailee.db",
            "manifest.json",
        }

    async def test_is_for_its_owner_alone(self, storage, tmp_path):
        target = back_up(tmp_path)

        assert target.stat().st_mode & 0o777 == 0o700
        assert {file.stat().st_mode & 0o777 for file in target.iterdir()} == {0o600}

    async def test_is_one_moment_although_writers_go_on(
        self, storage, tmp_path, monkeypatch
    ):
        """In steps of one page, with commits between them: it neither ends never nor
        mixes two moments.
        """
        monkeypatch.setattr(backup_module, "_PAGES_AT_ONCE", 1)
        await append(storage, 50)
        steps = []
        loop = asyncio.get_running_loop()

        def copied(left, pages):
            steps.append(left)
            if len(steps) % 5 == 0:
                more = asyncio.run_coroutine_threadsafe(append(storage, 3), loop)
                more.result(timeout=10)

        target = await asyncio.to_thread(back_up, tmp_path, copied=copied)

        assert len(steps) > 10
        check(target)
        assert size_in(target / "bailee.db") == 50
        assert storage.stored_log(SHOP).size() > 50

    async def test_never_overwrites(self, storage, tmp_path):
        back_up(tmp_path)

        with pytest.raises(FileExistsError):
            back_up(tmp_path)

    async def test_leaves_nothing_when_it_fails(self, storage, tmp_path):
        def copied(_left, _pages):
            raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            back_up(tmp_path, copied=copied)
        assert not [file for file in tmp_path.iterdir() if "backup" in file.name]

    async def test_a_damaged_database_is_not_backed_up(self, storage, tmp_path):
        await append(storage, 200)
        await storage.close()
        with (tmp_path / "bailee.db").open("r+b") as file:
            file.seek(-3 * 4096, os.SEEK_END)
            file.write(b"\xff" * 4096)

        with pytest.raises((StorageUnavailable, IntegrityViolation)):
            back_up(tmp_path)
        assert not (tmp_path / "backup").exists()

    async def test_killed_in_the_middle_leaves_no_backup(self, storage, tmp_path):
        """By kill -9, each time at another moment: all or nothing."""
        await append(storage, 1_000)
        code = (
            "import sys, time; from pathlib import Path;"
            "from gateway.storage import backup;"
            "from tests.storage import test_backup as t;"
            "backup._PAGES_AT_ONCE = 1;"
            "f = Path(sys.argv[1]);"
            "print('begun', flush=True);"
            "t.back_up(f, f / 'killed', copied=lambda left, pages: time.sleep(0.002))"
        )
        for milliseconds in (5, 50, 150):
            process = subprocess.Popen(
                [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE
            )
            process.stdout.readline()
            time.sleep(milliseconds / 1000)
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
            assert not (tmp_path / "killed").exists()

        target = back_up(tmp_path, tmp_path / "killed")
        assert check(target)
        assert not list(tmp_path.glob(".*"))


class TestCheck:
    @pytest.fixture
    async def backup(self, storage, tmp_path):
        await append(storage, 3)
        return back_up(tmp_path)

    async def test_refuses_a_damaged_copy(self, backup):
        with (backup / "bailee.db").open("r+b") as file:
            file.seek(5000)
            file.write(b"\x00\xff")

        with pytest.raises(BackupInvalid, match="damaged"):
            check(backup)

    async def test_refuses_an_altered_manifest(self, backup):
        """Somebody who swaps the copy would have to swap its digest."""
        file = backup / "manifest.json"
        facts = json.loads(file.read_text())
        facts["database"]["sha256"] = "0" * 64
        file.write_text(json.dumps(facts))

        with pytest.raises(BackupInvalid, match="altered"):
            check(backup)

    @pytest.mark.parametrize("other", [{"vault_id": "x/y"}, {"mac_key": b"x" * 32}])
    async def test_refuses_that_of_another_vault_or_keyring(self, backup, other):
        with pytest.raises(BackupInvalid):
            check(backup, **other)

    @pytest.mark.parametrize("name", ["manifest.json", "bailee.db"])
    async def test_refuses_one_that_lacks_a_file(self, backup, name):
        (backup / name).unlink()

        with pytest.raises(BackupInvalid):
            check(backup)

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"mac": 1}', '"x"'])
    async def test_refuses_what_is_no_manifest(self, backup, text):
        (backup / "manifest.json").write_text(text)

        with pytest.raises(BackupInvalid):
            check(backup)


class TestPutInPlace:
    async def test_keeps_the_database_that_was_there_with_all_it_held(
        self, storage, tmp_path
    ):
        await append(storage, 3)
        backup = back_up(tmp_path)
        await append(storage, 4)
        database = tmp_path / "place" / "bailee.db"
        database.parent.mkdir()
        # As a killed process leaves it: most of it in the write-ahead log.
        for suffix in ("", "-wal"):
            shutil.copy(tmp_path / f"bailee.db{suffix}", f"{database}{suffix}")

        kept = put_in_place(backup, database, NOW)

        assert size_in(database) == 3
        assert size_in(kept) == 7
        assert not database.with_name("bailee.db-wal").exists()
        assert database.stat().st_mode & 0o777 == 0o600

    async def test_a_write_ahead_log_without_its_database_is_moved_away(
        self, storage, tmp_path
    ):
        """It would be applied to the restored database."""
        await append(storage, 3)
        backup = back_up(tmp_path)
        await append(storage, 4)
        database = tmp_path / "place" / "bailee.db"
        database.parent.mkdir()
        shutil.copy(tmp_path / "bailee.db-wal", f"{database}-wal")

        assert put_in_place(backup, database, NOW) is None

        with closing(sqlite3.connect(database)) as opened:
            (state,) = opened.execute("PRAGMA integrity_check").fetchone()
        assert state == "ok"
        assert size_in(database) == 3
