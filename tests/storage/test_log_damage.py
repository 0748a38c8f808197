"""A log that was changed behind the gateway's back takes and proves no entry."""

import sqlite3

import pytest

from gateway.errors import IntegrityViolation
from tests.builders.storage import SHOP, an_entry, open_shop

SIZE = 7
DAMAGE = {
    "an entry less at the end": "DELETE FROM log_entries WHERE position = 6",
    "an entry more at the end": (
        "INSERT INTO log_entries (scope, generation, position, leaf, nodes) "
        "SELECT scope, generation, 7, leaf, nodes FROM log_entries WHERE position = 6"
    ),
    "a changed last leaf": "UPDATE log_entries SET leaf = x'7b7d' WHERE position = 6",
    "a changed node": (
        "UPDATE log_entries SET nodes = zeroblob(length(nodes)) WHERE position = 3"
    ),
    "a missing node": "UPDATE log_entries SET nodes = x'' WHERE position = 3",
    "a smaller head": "UPDATE log_heads SET size = 3, frontier = zeroblob(64)",
    "a frontier cut short": "UPDATE log_heads SET frontier = zeroblob(64)",
    "a changed frontier": "UPDATE log_heads SET frontier = zeroblob(96)",
    "no head": "DELETE FROM log_heads",
    "no entries": "DELETE FROM log_entries",
}


@pytest.fixture
async def damaged(tmp_path, request):
    storage = await open_shop(tmp_path)
    for _ in range(SIZE):
        await storage.commit(SHOP, lambda unit: unit.log.append(an_entry()))
    await storage.close()
    connection = sqlite3.connect(tmp_path / "bailee.db")
    with connection:
        connection.execute(request.param)
    connection.close()
    reopened = await open_shop(tmp_path)
    yield reopened
    await reopened.close()


@pytest.mark.parametrize("damaged", DAMAGE.values(), ids=DAMAGE.keys(), indirect=True)
class TestDamagedLog:
    async def test_takes_no_entry(self, damaged):
        with pytest.raises(IntegrityViolation):
            await damaged.commit(SHOP, lambda unit: unit.log.append(an_entry()))

    async def test_proves_no_entry(self, damaged):
        with pytest.raises(IntegrityViolation):
            await damaged.read(SHOP, lambda unit: unit.log.receipt(0))
        with pytest.raises(IntegrityViolation):
            await damaged.commit(SHOP, lambda unit: unit.log.receipt(0))


@pytest.mark.parametrize("damaged", ["SELECT 1"], indirect=True)
async def test_the_same_steps_without_damage_append(damaged):
    """The control."""
    appended = await damaged.commit(SHOP, lambda unit: unit.log.append(an_entry()))

    assert appended.index == SIZE
