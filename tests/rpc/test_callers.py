"""The directory of callers: loaded at start, refreshed, and never silently dead."""

import asyncio

import pytest

from gateway.errors import CallerUnknown, InvariantBroken, StorageUnavailable
from gateway.merchants.ports import CallerStore
from gateway.rpc.callers import CallerDirectory, caller_of_call
from gateway.words.callers import Caller, Role
from gateway.words.identifiers import GATEWAY
from tests.builders.guarded_server import BILLING, CALLERS, CallerTable
from tests.builders.storage import open_shop

SECONDS = 5


class Peer:
    """A TLS 1.3 connection of this caller."""

    def __init__(self, spiffe_id=BILLING):
        self._spiffe_id = spiffe_id

    def auth_context(self):
        return {
            "ssl_tls_version": [b"TLSv1.3"],
            "peer_spiffe_id": [self._spiffe_id.encode()],
        }


def directory_of(table, refresh_seconds=3600.0):
    return CallerDirectory(storage=table, refresh_seconds=refresh_seconds)


class TestCallerDirectory:
    async def test_knows_nobody_before_it_is_loaded(self):
        with pytest.raises(CallerUnknown):
            directory_of(CallerTable()).authenticate(Peer())

    async def test_reads_the_gateways_own_rows(self, tmp_path):
        """With real storage: callers live in the gateway's scope, not a merchant's."""
        storage = await open_shop(tmp_path)
        caller = Caller(BILLING, frozenset({Role.PAY}), None)

        def put(unit: CallerUnitOfTest) -> None:
            unit.callers.put(caller)

        await storage.commit(GATEWAY, put)
        directory = directory_of(storage)
        await directory.refresh()

        assert directory.authenticate(Peer()) == caller
        await storage.close()

    async def test_fails_to_start_without_storage(self):
        table = CallerTable()
        table.error = StorageUnavailable()

        with pytest.raises(StorageUnavailable):
            await directory_of(table).start()

    async def test_forgets_a_caller_that_was_removed(self):
        table = CallerTable()
        directory = directory_of(table, refresh_seconds=0.001)
        await directory.start()
        assert directory.authenticate(Peer()) == CALLERS[0]

        table.rows.clear()
        await until(lambda: is_unknown(directory))
        await directory.close()

    @pytest.mark.parametrize("error", [StorageUnavailable(), RuntimeError("a bug")])
    async def test_goes_on_after_any_failure(self, error):
        """A loop that ended would let removed callers in for ever."""
        table = CallerTable()
        directory = directory_of(table, refresh_seconds=0.001)
        await directory.start()
        table.error, reads = error, count_reads(table)
        await until(lambda: len(reads) > 2)
        assert directory.authenticate(Peer()) == CALLERS[0]

        table.error = None
        table.rows.clear()
        await until(lambda: is_unknown(directory))
        await directory.close()

    async def test_closes_without_having_started(self):
        await directory_of(CallerTable()).close()


class TestCallerOfCall:
    def test_raises_where_no_guard_let_anybody_in(self):
        with pytest.raises(InvariantBroken):
            caller_of_call()


class CallerUnitOfTest:
    """The part of a unit that this test uses."""

    callers: CallerStore


def count_reads(table):
    reads, read = [], table.read

    async def counted(merchant, query):
        reads.append(merchant)
        return await read(merchant, query)

    table.read = counted
    return reads


def is_unknown(directory):
    try:
        directory.authenticate(Peer())
    except CallerUnknown:
        return True
    return False


async def until(condition):
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.001)
