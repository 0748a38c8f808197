"""Every LogReader: the gateway's own, and the one that tests tamper with."""

import pytest

from gateway.audit.checkpoint import origin_of
from gateway.audit.verify import verify_log
from tests.builders.logs import ORIGIN, PUBLIC, a_log, leaves_of
from tests.builders.storage import NOW, SHOP, VAULT, an_entry, open_shop
from tests.contract.log_reader_contract import SIZE, LogReaderContract


class TestMemoryLog(LogReaderContract):
    @pytest.fixture
    def leaves(self):
        return leaves_of(SIZE)

    @pytest.fixture
    def reader(self, leaves):
        return a_log(leaves)

    @pytest.fixture
    def origin(self):
        return ORIGIN

    @pytest.fixture
    def public_key(self):
        return PUBLIC


class TestStoredLog(LogReaderContract):
    @pytest.fixture
    async def storage(self, tmp_path):
        storage = await open_shop(tmp_path)
        have = storage.stored_log(SHOP).size()
        for number in range(SIZE - have):
            entry = an_entry(at=NOW.replace(second=number))
            await storage.commit(SHOP, lambda unit, entry=entry: unit.log.append(entry))
        yield storage
        await storage.close()

    @pytest.fixture
    def reader(self, storage):
        return storage.stored_log(SHOP)

    @pytest.fixture
    def leaves(self, reader):
        return list(reader.leaves(0, SIZE))

    @pytest.fixture
    def origin(self):
        return origin_of(VAULT, SHOP, 1)

    @pytest.fixture
    def public_key(self):
        return PUBLIC

    def test_is_a_log_that_verifies(self, reader, origin, public_key):
        checked = verify_log(reader, origin=origin, public_key=public_key)

        assert checked.size == SIZE
