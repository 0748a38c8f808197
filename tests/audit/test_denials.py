"""Denials: ten entries a minute for each caller and rule, then a count. covers: I7."""

import asyncio
import json
from datetime import timedelta

import pytest

from gateway.audit.denials import append_denial, fold_denials
from gateway.audit.entry import Decision, EntryType
from gateway.errors import InvariantBroken
from gateway.words.purposes import Purpose
from tests.builders.storage import NOW, OTHER, SHOP, an_entry, open_shop
from tests.builders.vault import a_use, a_vault


@pytest.fixture
async def storage(tmp_path):
    opened = await open_shop(tmp_path)
    yield opened
    await opened.close()


async def deny(storage, times=1, *, at=NOW, merchant=SHOP, **changes):
    """Denies several times; returns how many became entries."""
    values = {"caller": "billing", "rule": "purpose", "decision": Decision.DENIED}
    entry = an_entry(merchant, type=EntryType.USE_DENIED, at=at, **values | changes)
    done = await asyncio.gather(
        *(
            storage.commit(merchant, lambda unit: append_denial(unit, entry))
            for _ in range(times)
        )
    )
    return sum(appended is not None for appended in done)


def entries(storage, merchant=SHOP):
    log = storage.stored_log(merchant)
    return [json.loads(leaf) for leaf in log.leaves(0, log.size())]


class TestAppendDenial:
    async def test_writes_ten_a_minute_and_counts_the_rest(self, storage):
        assert await deny(storage, 25) == 10

        assert await deny(storage, at=NOW + timedelta(minutes=1)) == 1
        counted = entries(storage)[10]
        assert (counted["type"], counted["count"]) == ("use.denied", 15)
        assert (counted["caller"], counted["rule"]) == ("billing", "purpose")
        assert len(entries(storage)) == 12

    async def test_counts_each_caller_and_each_rule_apart(self, storage):
        assert await deny(storage, 12) == 10
        assert await deny(storage, 12, caller="other") == 10
        assert await deny(storage, 12, rule="erased") == 10
        assert await deny(storage, 12, merchant=OTHER) == 10

    async def test_starts_again_each_minute(self, storage):
        for minute in range(3):
            at = NOW + timedelta(minutes=minute)
            assert await deny(storage, 10, at=at) == 10

        assert all("count" not in entry for entry in entries(storage))

    async def test_counts_nothing_that_was_undone(self, storage):
        def fails(unit):
            append_denial(unit, an_entry(type=EntryType.USE_DENIED, rule="purpose"))
            raise InvariantBroken

        for _ in range(20):
            with pytest.raises(InvariantBroken):
                await storage.commit(SHOP, fails)

        assert await deny(storage, 10, caller="test") == 10

    async def test_is_folded_by_a_later_minute_without_a_denial(self, storage):
        await deny(storage, 12)
        later = NOW + timedelta(minutes=5)
        for _ in range(2):
            await storage.commit(SHOP, lambda unit: fold_denials(unit, SHOP, later))

        assert [entry.get("count") for entry in entries(storage)[10:]] == [2]

    async def test_keeps_its_count_when_the_gateway_starts_again(self, tmp_path):
        storage = await open_shop(tmp_path)
        await deny(storage, 25)
        await storage.close()
        storage = await open_shop(tmp_path)

        assert await deny(storage, at=NOW + timedelta(minutes=1)) == 1
        assert entries(storage)[10]["count"] == 15
        await storage.close()


class TestDoor:
    async def test_bounds_the_denials_of_uses(self, tmp_path):
        async with a_vault(tmp_path) as vault:
            token = (await vault.tokenize()).token
            for _ in range(15):
                await vault.intend(a_use(token, purpose=Purpose.MARKETING))
            denied = [t for t in await vault.log_types() if t == "use.denied"]

        assert len(denied) == 10
