"""Commits that fail, as a whole or because of one unit."""

import asyncio
import sqlite3
import threading
from dataclasses import replace

import pytest

from gateway.errors import InvariantBroken, MerchantNotFound, StorageUnavailable
from gateway.merchants.ports import Merchant
from gateway.words.identifiers import MerchantId
from gateway.words.lifecycles import MerchantState
from tests.builders.rows import TOKEN, add_card
from tests.builders.storage import NOW, SHOP, add_merchant, an_entry, open_shop
from tests.contract.storage_contract import verify, whole_log

NEW = MerchantId("new")
NEXT = MerchantId("next")


@pytest.fixture
async def storage(tmp_path):
    opened = await open_shop(tmp_path)
    yield opened
    await opened.close()


def append(unit):
    return unit.log.append(an_entry(unit._scope.merchant))


def a_merchant():
    return Merchant(
        merchant_id=NEW, state=MerchantState.ACTIVE, policy_version=1, created_at=NOW
    )


def poison(unit):
    """Leaves a row that only the commit finds fault with."""
    add_card(unit)
    append(unit)
    unit._connection.execute("PRAGMA defer_foreign_keys=ON")
    unit._connection.execute("UPDATE cards SET scope = 999 WHERE token = ?", [TOKEN])


async def together(storage, *works):
    """Commits the works in one transaction and returns values and errors."""
    return await mixed(storage, *((SHOP, work) for work in works))


async def mixed(storage, *units):
    """Commits units of several merchants in one transaction."""
    started, go_on = threading.Event(), threading.Event()

    def hold(unit):
        started.set()
        go_on.wait(10)

    holding = asyncio.ensure_future(storage.commit(SHOP, hold))
    await asyncio.to_thread(started.wait, 10)
    waiting = [asyncio.ensure_future(storage.commit(*unit)) for unit in units]
    await asyncio.sleep(0)
    go_on.set()
    await holding
    return await asyncio.gather(*waiting, return_exceptions=True)


class Faulty:
    """A connection whose commits fail, before or after they happened."""

    def __init__(self, connection, error, *, happens=False):
        self._connection = connection
        self._error = error
        self._happens = happens

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def execute(self, sql, *values):
        if sql == "COMMIT":
            if self._happens:
                self._connection.execute(sql, *values)
            raise self._error
        return self._connection.execute(sql, *values)


def an_error(code, kind=sqlite3.OperationalError):
    error = kind("made up")
    error.sqlite_errorcode = code
    error.sqlite_errorname = "MADE_UP"
    return error


class TestPoisonedUnit:
    async def test_fails_alone(self, storage):
        results = await together(storage, append, poison, append, poison)

        assert [results[0].index, results[2].index] == [0, 1]
        assert isinstance(results[1], InvariantBroken)
        assert isinstance(results[3], InvariantBroken)
        assert len(await whole_log(storage)) == 2
        assert not await storage.read(SHOP, lambda unit: unit.cards.find(TOKEN))
        for kept in (results[0], results[2]):
            assert verify(kept.receipt()).index == kept.index

    async def test_is_undone_when_it_was_alone(self, storage):
        with pytest.raises(InvariantBroken):
            await storage.commit(SHOP, poison)

        assert (await storage.commit(SHOP, append)).index == 0

    async def test_runs_the_others_again(self, storage):
        """The contract of ``work``: it may run twice."""
        runs = []

        await together(storage, lambda unit: runs.append(1), poison)

        assert runs == [1, 1]


class TestFailedCommit:
    @pytest.mark.parametrize(
        "error", [an_error(sqlite3.SQLITE_FULL), an_error(sqlite3.SQLITE_BUSY), OSError]
    )
    async def test_fails_every_unit_and_leaves_nothing(
        self, storage, monkeypatch, error
    ):
        """covers: I5."""
        await storage.commit(SHOP, append)
        writer = storage._writer._transactions
        faulty = Faulty(writer._connection, error)
        monkeypatch.setattr(writer, "_connection", faulty)
        kept = []
        results = await asyncio.gather(
            *(
                storage.commit(SHOP, lambda unit: kept.append(append(unit)))
                for _ in range(4)
            ),
            return_exceptions=True,
        )
        monkeypatch.undo()

        assert {type(result) for result in results} == {StorageUnavailable}
        assert not any(item.is_durable for item in kept)
        assert len(await whole_log(storage)) == 1
        assert (await storage.commit(SHOP, append)).index == 1
        assert len(await whole_log(storage)) == 2

    async def test_keeps_what_happened_although_it_was_reported_failed(
        self, storage, monkeypatch
    ):
        """The head is read again, so nothing is written over what is there."""
        writer = storage._writer._transactions
        error = an_error(sqlite3.SQLITE_FULL)
        faulty = Faulty(writer._connection, error, happens=True)
        monkeypatch.setattr(writer, "_connection", faulty)
        with pytest.raises(StorageUnavailable):
            await storage.commit(SHOP, append)
        monkeypatch.undo()

        assert (await storage.commit(SHOP, append)).index == 1
        assert len(await whole_log(storage)) == 2

    @pytest.mark.parametrize(
        "code",
        [sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB],
    )
    async def test_stops_writing_when_the_file_cannot_be_relied_upon(
        self, storage, monkeypatch, code
    ):
        """After a failed fsync the kernel may drop what it was given. covers: I5."""
        writer = storage._writer._transactions
        faulty = Faulty(writer._connection, an_error(code, sqlite3.DatabaseError))
        monkeypatch.setattr(writer, "_connection", faulty)
        with pytest.raises(StorageUnavailable):
            await storage.commit(SHOP, append)
        monkeypatch.undo()

        with pytest.raises(StorageUnavailable):
            await storage.commit(SHOP, append)
        assert await storage.read(SHOP, lambda unit: unit.merchants.get())

    async def test_remembers_no_merchant_that_it_created(self, storage, monkeypatch):
        """Its row number is the next merchant's. covers: I9."""
        writer = storage._writer._transactions
        faulty = Faulty(writer._connection, an_error(sqlite3.SQLITE_FULL))
        monkeypatch.setattr(writer, "_connection", faulty)

        def create(unit):
            add_merchant(unit, NEW)
            append(unit)

        results = await together_failing(storage, create, append)
        monkeypatch.undo()
        await storage.commit(NEXT, lambda unit: add_merchant(unit, NEXT))

        assert {type(result) for result in results} == {StorageUnavailable}
        assert (await storage.commit(NEXT, append)).index == 0
        with pytest.raises(MerchantNotFound):
            await storage.commit(NEW, append)
        with pytest.raises(MerchantNotFound):
            await storage.read(NEW, lambda unit: unit.merchants.get())


async def together_failing(storage, *works):
    return await asyncio.gather(
        *(storage.commit(NEW, work) for work in works), return_exceptions=True
    )


class TestUndoneMerchant:
    """A merchant whose creation was undone leaves nothing to the next. covers: I9."""

    async def test_has_no_log_when_it_is_created_again(self, storage):
        def fails(unit):
            add_merchant(unit, NEW)
            append(unit)
            raise KeyError

        def create(unit):
            add_merchant(unit, unit._scope.merchant)
            return append(unit)

        results = await mixed(
            storage, (NEW, fails), (NEXT, create), (NEW, create), (NEXT, append)
        )

        assert isinstance(results[0], KeyError)
        assert [item.index for item in results[1:]] == [0, 0, 1]
        for merchant, size in ((NEW, 1), (NEXT, 2)):
            leaves = await whole_log(storage, merchant)
            assert len(leaves) == size
            assert all(f'"merchant":"{merchant}"'.encode() in leaf for leaf in leaves)

    async def test_has_no_generation(self, storage):
        def fails(unit):
            unit.merchants.add(replace(a_merchant(), log_generation=2))
            append(unit)
            raise KeyError

        with pytest.raises(KeyError):
            await storage.commit(NEW, fails)
        await storage.commit(NEW, lambda unit: unit.merchants.add(a_merchant()))
        appended = await storage.commit(NEW, append)

        assert verify(appended.receipt(), NEW).index == 0


class TestTransaction:
    async def test_lost_inside_a_unit_fails_every_unit(self, storage):
        """As when the disk is full: SQLite undoes more than the savepoint."""

        def loses(unit):
            unit._connection.execute("ROLLBACK")
            raise KeyError

        results = await together(storage, append, loses, append)

        assert {type(result) for result in results} == {StorageUnavailable}
        assert await whole_log(storage) == []
        assert (await storage.commit(SHOP, append)).index == 0

    async def test_a_bug_in_a_query_is_not_an_outage(self, storage):
        def wrong(unit):
            unit._connection.execute("SELECT :missing", {})

        with pytest.raises(InvariantBroken):
            await storage.commit(SHOP, wrong)
