"""The suite of what counts denials; see storage_contract.py for how to use it."""

from gateway.audit.denials import CountedDenials
from tests.builders.storage import OTHER, SHOP


def count(storage, *, merchant=SHOP, caller="billing", rule="purpose", minute=7):
    return storage.commit(
        merchant, lambda unit: unit.denials.count(caller, rule, minute)
    )


def before(storage, minute, merchant=SHOP):
    return storage.read(merchant, lambda unit: unit.denials.before(minute))


class DenialsContract:
    """What every DenialStore does."""

    async def test_counts_one_more_each_time(self, storage):
        assert [await count(storage) for _ in range(3)] == [1, 2, 3]

    async def test_counts_callers_rules_and_minutes_apart(self, storage):
        await count(storage)

        assert await count(storage, caller="other") == 1
        assert await count(storage, rule="erased") == 1
        assert await count(storage, minute=8) == 1

    async def test_shows_earlier_minutes_oldest_first(self, storage):
        await count(storage, minute=8)
        await count(storage, minute=7)
        await count(storage, minute=7)
        await count(storage, minute=9)

        assert await before(storage, 9) == [
            CountedDenials("billing", "purpose", 7, 2),
            CountedDenials("billing", "purpose", 8, 1),
        ]

    async def test_forgets_earlier_minutes_alone(self, storage):
        await count(storage, minute=7)
        await count(storage, minute=8)

        await storage.commit(SHOP, lambda unit: unit.denials.forget_before(8))

        assert [item.minute for item in await before(storage, 99)] == [8]

    async def test_keeps_merchants_apart(self, storage):
        """covers: I9."""
        await count(storage)
        assert await count(storage, merchant=OTHER) == 1
        assert len(await before(storage, 99, OTHER)) == 1

        await storage.commit(OTHER, lambda unit: unit.denials.forget_before(99))

        assert await before(storage, 99, OTHER) == []
        assert len(await before(storage, 99)) == 1
