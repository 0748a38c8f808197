"""Group commit, without a database: who waits for whom."""

import asyncio
import threading

import pytest

from gateway.errors import StorageUnavailable
from gateway.storage import batcher as module
from gateway.storage.batcher import UNITS_MAX, Batcher
from tests.builders.storage import SHOP


class Database:
    """Commits by running the work; holds a commit up when told to."""

    def __init__(self):
        self.commits = []
        self.error = None
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.has_begun = threading.Event()

    def commit(self, units):
        self.has_begun.set()
        self.may_go_on.wait(10)
        self.commits.append(len(units))
        if self.error is not None:
            raise self.error
        for unit in units:
            unit.attempt(lambda unit=unit: unit.work(None))

    async def hold(self, batcher):
        """Returns a first unit whose commit lasts until ``may_go_on`` is set."""
        self.has_begun.clear()
        self.may_go_on.clear()
        first = asyncio.ensure_future(batcher.submit(SHOP, lambda unit: "first"))
        await asyncio.to_thread(self.has_begun.wait, 10)
        return first


@pytest.fixture
def database():
    return Database()


@pytest.fixture
async def batcher(database):
    running = Batcher(database.commit)
    yield running
    database.may_go_on.set()
    await running.close()


def submit_many(batcher, count):
    return [
        asyncio.ensure_future(batcher.submit(SHOP, lambda unit, number=number: number))
        for number in range(count)
    ]


class TestGathering:
    async def test_shares_the_next_commit_in_the_order_of_arrival(
        self, batcher, database
    ):
        first = await database.hold(batcher)
        rest = submit_many(batcher, 5)
        await asyncio.sleep(0)
        database.may_go_on.set()

        assert await asyncio.gather(first, *rest) == ["first", 0, 1, 2, 3, 4]
        assert database.commits == [1, 5]

    async def test_lets_no_commit_grow_without_bound(self, batcher, database):
        first = await database.hold(batcher)
        rest = submit_many(batcher, 2 * UNITS_MAX + 3)
        await asyncio.sleep(0)
        database.may_go_on.set()
        await asyncio.gather(first, *rest)

        assert database.commits == [1, UNITS_MAX, UNITS_MAX, 3]

    async def test_never_makes_a_lone_caller_wait(self, batcher, monkeypatch):
        sleeps = []
        monkeypatch.setattr(module.time, "sleep", sleeps.append)

        for _ in range(20):
            await batcher.submit(SHOP, lambda unit: None)

        assert sleeps == []

    async def test_waits_a_moment_while_callers_come_together(
        self, batcher, database, monkeypatch
    ):
        sleeps = []
        monkeypatch.setattr(module.time, "sleep", sleeps.append)
        first = await database.hold(batcher)
        rest = submit_many(batcher, 2)
        await asyncio.sleep(0)
        database.may_go_on.set()
        await asyncio.gather(first, *rest)

        await batcher.submit(SHOP, lambda unit: None)  # waits once for company
        assert len(sleeps) == 1
        await batcher.submit(SHOP, lambda unit: None)  # and is known to be alone
        assert len(sleeps) == 1


class TestDelivery:
    async def test_calls_into_the_loop_once_for_each_commit(self, batcher, database):
        loop = asyncio.get_running_loop()
        calls = []
        original = loop.call_soon_threadsafe

        def counting(callback, *values, **options):
            if callback is module._deliver:
                calls.append(len(values[0]))
            return original(callback, *values, **options)

        loop.call_soon_threadsafe = counting
        first = await database.hold(batcher)
        rest = submit_many(batcher, 40)
        await asyncio.sleep(0)
        database.may_go_on.set()
        await asyncio.gather(first, *rest)

        assert calls == [1, 40]

    async def test_gives_each_caller_its_own_error(self, batcher):
        def fails(unit):
            raise LookupError("mine")

        results = await asyncio.gather(
            batcher.submit(SHOP, lambda unit: 1),
            batcher.submit(SHOP, fails),
            batcher.submit(SHOP, lambda unit: 2),
            return_exceptions=True,
        )

        assert (results[0], results[2]) == (1, 2)
        assert isinstance(results[1], LookupError)

    async def test_fails_every_unit_of_a_commit_that_did_not_happen(
        self, batcher, database
    ):
        database.error = OSError("disk full")
        results = await asyncio.gather(*submit_many(batcher, 3), return_exceptions=True)
        database.error = None

        assert [type(result) for result in results] == [StorageUnavailable] * 3
        assert await batcher.submit(SHOP, lambda unit: "next") == "next"

    async def test_runs_a_unit_whose_caller_left(self, batcher, database):
        ran = []
        first = await database.hold(batcher)
        task = asyncio.ensure_future(batcher.submit(SHOP, lambda unit: ran.append(1)))
        await asyncio.sleep(0)
        task.cancel()
        database.may_go_on.set()
        await first
        await batcher.submit(SHOP, lambda unit: None)

        assert ran == [1]
        assert task.cancelled()

    async def test_survives_a_loop_that_closed(self, batcher, database):
        def leave():
            async def submit():
                task = asyncio.ensure_future(batcher.submit(SHOP, lambda unit: 1))
                await asyncio.sleep(0)
                task.cancel()

            asyncio.run(submit())

        first = await database.hold(batcher)
        await asyncio.to_thread(leave)
        database.may_go_on.set()

        assert await first == "first"
        assert await batcher.submit(SHOP, lambda unit: "next") == "next"


class TestTasks:
    async def test_run_between_two_commits(self, batcher, database):
        order = []
        first = await database.hold(batcher)
        work = [
            asyncio.ensure_future(batcher.submit(SHOP, lambda unit: order.append("a"))),
            asyncio.ensure_future(
                batcher.run_between_commits(lambda: order.append("task"))
            ),
            asyncio.ensure_future(batcher.submit(SHOP, lambda unit: order.append("b"))),
        ]
        await asyncio.sleep(0)
        database.may_go_on.set()
        await asyncio.gather(first, *work)

        assert order == ["a", "task", "b"]
        assert database.commits == [1, 1, 1]

    async def test_give_back_values_and_errors(self, batcher):
        def fails():
            raise LookupError

        assert await batcher.run_between_commits(lambda: 7) == 7
        with pytest.raises(LookupError):
            await batcher.run_between_commits(fails)


class TestClose:
    async def test_commits_what_is_queued_and_refuses_the_rest(self, database):
        batcher = Batcher(database.commit)
        first = await database.hold(batcher)
        rest = submit_many(batcher, 3)
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(batcher.close())
        await asyncio.sleep(0)
        with pytest.raises(StorageUnavailable):
            await batcher.submit(SHOP, lambda unit: None)
        database.may_go_on.set()
        await closing

        assert await asyncio.gather(first, *rest) == ["first", 0, 1, 2]
