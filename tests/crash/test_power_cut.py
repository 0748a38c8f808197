"""The power goes at any write or sync: what was acknowledged is there. covers: I5.

kill -9 cannot show this, because the kernel survives it and writes what it was given.
The engine itself runs on a disk that forgets what was not synced. The control runs the
same on ``synchronous=NORMAL``: if it lost nothing, this test could not see a loss.
"""

import asyncio
import random
import shutil
import sqlite3
from uuid import UUID

import pytest

from gateway.errors import StorageUnavailable
from gateway.storage.engine import SqliteStorage
from tests.builders.rows import RPC, a_record
from tests.builders.storage import SHOP, VAULT, a_signer, an_entry, open_shop
from tests.contract.storage_contract import whole_log
from tests.crash.lossy_disk import Disk, connecting

CUTS = 30
CUTS_DEEP = 200
# A run makes somewhat more writes and syncs than this; the power goes at one of them.
OPERATIONS = 200
UNITS = 120
IN_FLIGHT = 6


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A new database, made on a disk that keeps its power."""
    folder = tmp_path_factory.mktemp("template")

    async def make():
        await (await open_shop(folder)).close()

    asyncio.run(make())
    return folder / "bailee.db"


def a_request(number):
    return str(UUID(int=number | 4 << 76 | 8 << 60))


async def work_until_the_power_goes(folder, disk, seed, **instead):
    """Returns what was acknowledged: index, leaf and request id of each entry."""
    random_source = random.Random(seed)
    acknowledged = []
    storage = SqliteStorage.open(
        folder / "bailee.db",
        signer=a_signer(),
        vault_id=VAULT,
        build="test",
        connect=connecting(disk, **instead),
    )

    async def append(number):
        request = a_request(number)

        def work(unit):
            unit.requests.add(a_record(request_id=request))
            return unit.log.append(an_entry(outcome=f"NUMBER_{number}"))

        appended = await storage.commit(SHOP, work)
        acknowledged.append((appended.index, appended.receipt().entry, request))

    try:
        for first in range(0, UNITS, IN_FLIGHT):
            numbers = range(first, first + random_source.randint(1, IN_FLIGHT))
            await asyncio.gather(*map(append, numbers))
            if random_source.random() < 0.1:
                await storage.purge()
    except StorageUnavailable:
        assert not disk.is_on
    finally:
        if disk.is_on:
            disk.cut()
        await asyncio.sleep(0)
        await close(storage)
    return acknowledged


async def close(storage):
    """Lets go of a storage whose disk is gone."""
    try:
        await storage.close()
    except sqlite3.Error:
        storage._lock.release()


async def count_lost(folder, acknowledged):
    """Opens what the disk holds on a whole machine and looks for each entry."""
    storage = await open_shop(folder)
    leaves = await whole_log(storage)
    lost = 0
    for index, leaf, request in acknowledged:
        record = await storage.read(
            SHOP, lambda unit, request=request: unit.requests.find(RPC, request)
        )
        lost += leaves[index : index + 1] != [leaf] or record is None
    again = await storage.commit(SHOP, lambda unit: unit.log.append(an_entry()))
    assert again.index == len(leaves)
    await storage.close()
    check = sqlite3.connect(folder / "bailee.db")
    assert check.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    check.close()
    return lost


async def cut_many_times(template, folder, cuts, **instead):
    """Returns how many entries were acknowledged, and how many runs lost some."""
    total, losing = 0, 0
    for seed in range(cuts):
        place = folder / str(seed)
        place.mkdir()
        shutil.copy(template, place)
        disk = Disk(seed=seed, cut_at=random.Random(seed).randint(1, OPERATIONS))
        try:
            acknowledged = await work_until_the_power_goes(place, disk, seed, **instead)
        except StorageUnavailable:  # the power went while the database was opened
            acknowledged = []
        disk.unregister()
        total += len(acknowledged)
        losing += await count_lost(place, acknowledged) > 0
        shutil.rmtree(place)
    return total, losing


class TestPowerCut:
    # Small checkpoints: the write-ahead log is emptied and begun again all the time.
    @pytest.mark.parametrize("pages", [4000, 12])
    async def test_loses_no_acknowledged_entry(self, template, tmp_path, pages):
        total, losing = await cut_many_times(
            template, tmp_path, CUTS, wal_autocheckpoint=pages
        )

        assert losing == 0
        assert total > CUTS

    async def test_would_show_a_loss(self, template, tmp_path):
        """The control: one setting less, and acknowledged entries are gone."""
        total, losing = await cut_many_times(
            template, tmp_path, CUTS, synchronous="NORMAL"
        )

        print(f"synchronous=NORMAL: {losing} of {CUTS} cuts lost entries")
        assert total > CUTS
        assert losing > CUTS // 2

    @pytest.mark.deep
    @pytest.mark.parametrize("pages", [4000, 12])
    async def test_loses_none_in_many_cuts(self, template, tmp_path, pages):
        total, losing = await cut_many_times(
            template, tmp_path, CUTS_DEEP, wal_autocheckpoint=pages
        )

        assert losing == 0
        assert total > CUTS_DEEP
