"""What is read in the moment between a commit and the publishing of its heads."""

import asyncio
import threading

import pytest

from gateway.errors import IntegrityViolation
from tests.builders.storage import SHOP, an_entry, open_shop
from tests.contract.storage_contract import verify


class Pause:
    """Stops the storage thread after the database's commit."""

    def __init__(self, log):
        self._publish = log.committed
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def __call__(self):
        self.reached.set()
        self.go_on.wait(10)
        self._publish()


@pytest.fixture
async def storage(tmp_path):
    opened = await open_shop(tmp_path)
    yield opened
    await opened.close()


class TestReceipt:
    async def test_of_an_entry_that_just_committed_is_given(self, storage, monkeypatch):
        """covers: I7. It was DATA_LOSS to whoever sent a request again just then."""
        first = await storage.commit(SHOP, lambda unit: unit.log.append(an_entry()))
        pause = Pause(storage._log)
        monkeypatch.setattr(storage._log, "committed", pause)
        second = asyncio.create_task(
            storage.commit(SHOP, lambda unit: unit.log.append(an_entry()))
        )
        await asyncio.to_thread(pause.reached.wait, 10)

        index = first.index + 1
        receipt = await storage.read(SHOP, lambda unit: unit.log.receipt(index))
        older = await storage.read(SHOP, lambda unit: unit.log.receipt(first.index))
        with pytest.raises(IntegrityViolation):
            await storage.read(SHOP, lambda unit: unit.log.receipt(index + 1))

        pause.go_on.set()
        assert (await second).index == verify(receipt).index == index
        assert verify(older).index == first.index
