"""Opening, locking, purging and closing the SQLite engine."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading

import pytest

from gateway.errors import StorageUnavailable
from gateway.storage.connection import WriterLock, connect_sqlite
from tests.builders.rows import TOKEN, a_card_entry, add_card, keys_of
from tests.builders.storage import NOW, SHOP, VAULT, a_signer, an_entry, open_shop
from tests.contract.storage_contract import whole_log


@pytest.fixture
async def storage(tmp_path):
    opened = await open_shop(tmp_path)
    yield opened
    await opened.close()


def bytes_of(folder):
    """Reads the database's files in another process.

    Closing a database file drops this process's locks on it (POSIX), and with them
    what keeps SQLite's connections apart.
    """
    files = sorted(folder.glob("bailee.db*"))
    return subprocess.run(["cat", *files], capture_output=True, check=True).stdout


class TestOpen:
    async def test_makes_files_that_only_their_owner_reads(self, storage, tmp_path):
        await storage.commit(SHOP, lambda unit: unit.log.append(an_entry()))

        modes = {
            file.name: stat.S_IMODE(file.stat().st_mode)
            for file in tmp_path.glob("bailee.db*")
        }
        assert set(modes) == {
            f"bailee.db{end}" for end in ("", "-wal", "-shm", ".lock")
        }
        assert set(modes.values()) == {0o600}

    async def test_takes_other_readers_rights_away(self, tmp_path):
        await (await open_shop(tmp_path)).close()
        (tmp_path / "bailee.db").chmod(0o644)

        await (await open_shop(tmp_path)).close()

        assert stat.S_IMODE((tmp_path / "bailee.db").stat().st_mode) == 0o600

    async def test_refuses_a_folder_that_does_not_exist(self, tmp_path):
        with pytest.raises(StorageUnavailable):
            await open_shop(tmp_path / "none")

    async def test_refuses_a_file_that_is_no_database(self, tmp_path):
        (tmp_path / "bailee.db").write_bytes(b"not a database" * 100)

        with pytest.raises(StorageUnavailable):
            await open_shop(tmp_path)

    @pytest.mark.parametrize(
        ("setting", "wrong"),
        [
            ("journal_mode", "DELETE"),
            ("synchronous", "NORMAL"),
            ("secure_delete", "FAST"),
            ("foreign_keys", "OFF"),
            ("temp_store", "FILE"),
            ("trusted_schema", "ON"),
        ],
    )
    async def test_refuses_a_setting_that_did_not_hold(self, tmp_path, setting, wrong):
        """covers: I5."""

        class Stubborn(sqlite3.Connection):
            """A connection that has its own idea of one setting."""

            def execute(self, sql, *values):
                if sql.startswith(f"PRAGMA {setting}="):
                    sql = f"PRAGMA {setting}={wrong}"
                return super().execute(sql, *values)

        def connect(path):
            return sqlite3.connect(path, isolation_level=None, factory=Stubborn)

        with pytest.raises(StorageUnavailable) as refused:
            await open_shop(tmp_path, connect=connect)

        assert refused.value.metadata == {"setting": setting}
        await (await open_shop(tmp_path)).close()  # and the lock was given back


class TestLock:
    async def test_refuses_a_second_writer(self, storage, tmp_path):
        with pytest.raises(StorageUnavailable) as refused:
            await open_shop(tmp_path)

        assert "has it open" in refused.value.metadata["database"]

    def test_refuses_another_process_until_it_is_killed(self, tmp_path):
        code = textwrap.dedent(
            """
            import sys, time
            from pathlib import Path
            from gateway.storage.connection import WriterLock
            lock = WriterLock(Path(sys.argv[1]))
            print("locked", flush=True)
            time.sleep(60)
            """
        )
        path = tmp_path / "bailee.db"
        command = [sys.executable, "-c", code, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
            assert holder.stdout.readline() == b"locked\n"
            with pytest.raises(StorageUnavailable):
                WriterLock(path)
            holder.kill()
        WriterLock(path).release()


class TestClose:
    async def test_commits_what_is_queued(self, tmp_path):
        storage = await open_shop(tmp_path)
        waiting = [
            asyncio.ensure_future(
                storage.commit(SHOP, lambda unit: unit.log.append(an_entry()))
            )
            for _ in range(300)
        ]
        await asyncio.sleep(0)

        await storage.close()

        appended = await asyncio.gather(*waiting)
        assert [item.index for item in appended] == list(range(300))
        reopened = await open_shop(tmp_path)
        assert len(await whole_log(reopened)) == 300
        await reopened.close()

    async def test_refuses_what_comes_later(self, tmp_path):
        storage = await open_shop(tmp_path)
        await storage.close()
        await storage.close()

        for late in (
            storage.commit(SHOP, lambda unit: None),
            storage.read(SHOP, lambda unit: None),
            storage.purge(),
            storage.unsettled(NOW, 1),
        ):
            with pytest.raises(StorageUnavailable):
                await late

    async def test_leaves_one_file_and_no_open_one(self, tmp_path):
        storage = await open_shop(tmp_path)
        await storage.commit(SHOP, lambda unit: unit.log.append(an_entry()))
        await storage.close()

        assert {file.name for file in tmp_path.glob("bailee.db*")} == {
            "bailee.db",
            "bailee.db.lock",
        }
        links = [os.readlink(f"/proc/self/fd/{fd}") for fd in open_descriptors()]
        assert not [link for link in links if link.startswith(str(tmp_path))]

    async def test_a_restart_continues_the_log(self, tmp_path):
        first = await open_shop(tmp_path)
        for _ in range(3):
            await first.commit(SHOP, lambda unit: unit.log.append(an_entry()))
        await first.close()

        second = await open_shop(tmp_path)
        appended = await second.commit(SHOP, lambda unit: unit.log.append(an_entry()))

        assert appended.index == 3
        assert len(await whole_log(second)) == 4
        await second.close()


class TestPurge:
    async def test_leaves_no_erased_byte_in_any_file(self, storage, tmp_path):
        """covers: I10."""

        def fill(unit):
            add_card(unit)
            unit.log.append(a_card_entry(salt=b"a-salt-of-entry!"))

        await storage.commit(SHOP, fill)
        secrets = [copy.wrapped for copy in keys_of()]
        secrets += [b"sealed-card_", b"number-fingerprint-", b"a-salt-of-entry!"]
        assert [secret for secret in secrets if secret not in bytes_of(tmp_path)] == []

        await storage.commit(SHOP, lambda unit: unit.cards.erase(TOKEN, NOW))
        # The control: an erasure alone leaves them in the write-ahead log.
        assert any(secret in bytes_of(tmp_path) for secret in secrets)
        await storage.purge()

        assert [secret for secret in secrets if secret in bytes_of(tmp_path)] == []
        assert TOKEN.encode() in bytes_of(tmp_path)  # the emptied row stays

    async def test_says_so_when_a_reader_keeps_the_bytes(
        self, storage, tmp_path, monkeypatch
    ):
        """A purge that did nothing must not look like one that did. covers: I10."""
        monkeypatch.setattr("gateway.storage.engine._PURGE_PAUSE_SECONDS", 0.001)
        await storage.commit(SHOP, add_card)
        reader = connect_sqlite(tmp_path / "bailee.db")
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM cards").fetchall()
        await storage.commit(SHOP, lambda unit: unit.cards.erase(TOKEN, NOW))

        with pytest.raises(StorageUnavailable):
            await storage.purge()
        # Meanwhile, commits go on, and soon.
        await storage.commit(SHOP, lambda unit: unit.log.append(an_entry()))
        reader.close()

        await storage.purge()
        assert keys_of()[0].wrapped not in bytes_of(tmp_path)


class TestReads:
    async def test_work_on_any_thread(self, storage):
        await storage.commit(SHOP, add_card)
        found = []

        def read():
            found.append(storage.read_now(SHOP, lambda unit: unit.cards.find(TOKEN)))

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)

        assert [card.token for card in found] == [TOKEN] * 4

    async def test_see_one_moment(self, storage):
        """Two queries of one read see the same commits."""

        def twice(unit):
            first = unit.cards.find(TOKEN)
            worker = threading.Thread(
                target=lambda: asyncio.run(storage.commit(SHOP, add_card))
            )
            worker.start()
            worker.join()
            return first, unit.cards.find(TOKEN)

        assert await storage.read(SHOP, twice) == (None, None)
        assert await storage.read(SHOP, lambda unit: unit.cards.find(TOKEN))

    async def test_prove_under_the_head_of_their_moment(self, storage):
        """A commit in the middle of a read does not break its proofs."""
        await storage.commit(SHOP, lambda unit: unit.log.append(an_entry()))

        def prove(unit):
            unit.merchants.get()  # the moment
            worker = threading.Thread(
                target=lambda: asyncio.run(
                    storage.commit(SHOP, lambda other: other.log.append(an_entry()))
                )
            )
            worker.start()
            worker.join()
            return unit.log.receipt(0)

        receipt = await storage.read(SHOP, prove)

        assert "\n1\n" in receipt.proof  # the checkpoint's size


class TestSigner:
    async def test_signs_once_for_each_merchant_and_commit(self, tmp_path):
        signer = a_signer()
        signed = []

        class Counting:
            public_key = signer.public_key

            def sign(self, text):
                signed.append(text)
                return signer.sign(text)

        storage = await open_shop(tmp_path, signer=Counting(), vault_id=VAULT)
        started, go_on = threading.Event(), threading.Event()

        def hold(unit):
            started.set()
            go_on.wait(10)

        def append(unit):
            return unit.log.append(an_entry())

        holding = asyncio.ensure_future(storage.commit(SHOP, hold))
        await asyncio.to_thread(started.wait, 10)
        waiting = [asyncio.ensure_future(storage.commit(SHOP, append)) for _ in "abcd"]
        await asyncio.sleep(0)
        go_on.set()
        appended = await asyncio.gather(*waiting)
        await holding
        assert signed == []  # lazily: nobody asked yet
        for item in appended:
            item.receipt()
            item.receipt()
        await storage.read(SHOP, lambda unit: unit.log.receipt(0))

        assert len(signed) == 1
        await storage.close()


def open_descriptors():
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        found.append(name)
    return found
