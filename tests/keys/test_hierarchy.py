"""Wrapping keys are made when needed, kept wrapped, found again. covers: I3, I9."""

import asyncio
from dataclasses import replace

import pytest

from gateway.errors import IntegrityViolation, KeyUnavailable
from gateway.keys import hierarchy as hierarchy_module
from gateway.words.purposes import Purpose
from tests.builders.storage import OTHER, SHOP
from tests.builders.vault import a_vault, together

RECURRING, VERIFICATION = Purpose.RECURRING, Purpose.VERIFICATION
CREATED = "key.wrapping_created"


@pytest.fixture
async def vault(tmp_path):
    async with a_vault(tmp_path) as opened:
        yield opened


async def stored_key(vault, key_id, merchant=SHOP):
    return await vault.storage.read(merchant, lambda unit: unit.keys.find(key_id))


async def store(vault, key, merchant):
    await vault.storage.commit(merchant, lambda unit: unit.keys.add(key))


class TestMaking:
    async def test_makes_a_key_when_it_is_first_needed(self, vault):
        assert await vault.log() == []

        key = await vault.hierarchy.wrapping_key(SHOP, RECURRING)

        [entry] = await vault.log()
        assert entry["type"] == CREATED
        assert entry["purpose"] == "payment.recurring"
        assert (await stored_key(vault, key.key_id)).purpose is RECURRING

    async def test_makes_one_for_each_purpose_and_merchant(self, vault):
        asked = [(SHOP, RECURRING), (SHOP, VERIFICATION), (OTHER, RECURRING)]

        keys = [await vault.hierarchy.wrapping_key(*which) for which in asked]
        again = [await vault.hierarchy.wrapping_key(*which) for which in asked]

        assert again == keys
        assert len({key.key_id for key in keys}) == 3
        assert len(set(vault.provider.wrapping_keys)) == 3
        assert await vault.log_types(SHOP) == [CREATED, CREATED]
        assert await vault.log_types(OTHER) == [CREATED]

    async def test_finds_it_again_after_a_restart(self, vault):
        key = await vault.hierarchy.wrapping_key(SHOP, RECURRING)
        wrapped = key.wrap(b"k" * 32, b"c")

        vault.start_again()

        again = await vault.hierarchy.wrapping_key(SHOP, RECURRING)
        assert again.key_id == key.key_id
        assert again.unwrap(wrapped, b"c") == b"k" * 32
        assert await vault.log_types() == [CREATED]

    async def test_two_makers_agree_on_one(self, vault, monkeypatch):
        """Two processes, or many calls of one: whoever commits first wins."""
        first = vault.hierarchy
        vault.start_again()
        makers = [first, vault.hierarchy] * 10
        wrap = together(len(makers), vault.provider.wrap)
        monkeypatch.setattr(vault.provider, "wrap", wrap)

        keys = await asyncio.gather(
            *(maker.wrapping_key(SHOP, RECURRING) for maker in makers)
        )

        wrapped = keys[0].wrap(b"k" * 32, b"c")
        assert len({key.key_id for key in keys}) == 1
        assert {key.unwrap(wrapped, b"c") for key in keys} == {b"k" * 32}
        assert await vault.log_types() == [CREATED]

    async def test_is_in_no_file_of_the_database(self, vault):
        await vault.hierarchy.wrapping_key(SHOP, RECURRING)
        [secret] = vault.provider.wrapping_keys

        for file in vault.folder.iterdir():
            assert secret not in file.read_bytes()

    async def test_makes_nothing_when_the_provider_is_away(self, vault):
        vault.provider.is_reachable = False

        with pytest.raises(KeyUnavailable):
            await vault.hierarchy.wrapping_key(SHOP, RECURRING)
        assert await vault.log() == []


class TestFinding:
    async def test_finds_a_key_by_the_id_that_a_copy_names(self, vault):
        key = await vault.hierarchy.wrapping_key(SHOP, RECURRING)
        wrapped = key.wrap(b"k" * 32, b"c")
        vault.start_again()

        found = await vault.hierarchy.wrapping_key_by_id(SHOP, key.key_id)

        assert found.purpose is RECURRING
        assert found.unwrap(wrapped, b"c") == b"k" * 32

    async def test_asks_the_provider_once(self, vault):
        key = await vault.hierarchy.wrapping_key(SHOP, RECURRING)
        vault.provider.is_reachable = False

        found = await vault.hierarchy.wrapping_key_by_id(SHOP, key.key_id)

        assert found is key

    async def test_refuses_a_key_that_is_not_there(self, vault):
        with pytest.raises(IntegrityViolation):
            await vault.hierarchy.wrapping_key_by_id(SHOP, "wk-0000000000000000")

    async def test_another_merchants_key_is_not_there(self, vault):
        key = await vault.hierarchy.wrapping_key(OTHER, RECURRING)

        with pytest.raises(IntegrityViolation):
            await vault.hierarchy.wrapping_key_by_id(SHOP, key.key_id)

    async def test_forgets_the_least_used_when_there_are_too_many(
        self, vault, monkeypatch
    ):
        monkeypatch.setattr(hierarchy_module, "_CACHED_MAX", 3)
        purposes = [RECURRING, VERIFICATION, Purpose.INSTALLMENT, Purpose.UNSCHEDULED]
        keys = [await vault.hierarchy.wrapping_key(SHOP, one) for one in purposes]
        unwraps = vault.provider.unwraps

        newest = await vault.hierarchy.wrapping_key_by_id(SHOP, keys[-1].key_id)
        oldest = await vault.hierarchy.wrapping_key_by_id(SHOP, keys[0].key_id)

        assert newest is keys[-1]
        assert oldest is not keys[0]
        assert vault.provider.unwraps == unwraps + 1
        assert len(vault.hierarchy._by_id) == 3
        assert len(vault.hierarchy._newest) <= 3


class TestMovedRows:
    """What a writer of the database could try. Each row opens in its place alone."""

    @pytest.fixture
    async def row(self, vault):
        key = await vault.hierarchy.wrapping_key(SHOP, RECURRING)
        vault.start_again()
        return await stored_key(vault, key.key_id)

    async def refused(self, vault, row, merchant):
        await store(vault, row, merchant)
        with pytest.raises(IntegrityViolation):
            await vault.hierarchy.wrapping_key_by_id(merchant, row.key_id)

    async def test_refuses_another_merchants_row(self, vault, row):
        await self.refused(vault, row, OTHER)

    async def test_refuses_a_row_under_another_purpose(self, vault, row):
        moved = replace(row, key_id="wk-1", purpose=VERIFICATION)

        await self.refused(vault, moved, SHOP)

    async def test_refuses_a_row_under_another_purpose_and_its_own_id(self, vault, row):
        """covers: I3. A key must not be relabelled for a purpose that lacks one."""
        with pytest.raises(IntegrityViolation):
            await vault.hierarchy._unwrap(SHOP, replace(row, purpose=VERIFICATION))

    async def test_refuses_a_row_under_another_id(self, vault, row):
        with pytest.raises(IntegrityViolation):
            await vault.hierarchy._unwrap(SHOP, replace(row, key_id="wk-1"))

    async def test_refuses_a_row_under_another_epoch(self, vault, row):
        other = vault.provider.add_epoch()

        with pytest.raises(IntegrityViolation):
            await vault.hierarchy._unwrap(SHOP, replace(row, epoch=other))

    async def test_the_row_in_its_place_opens(self, vault, row):
        """The control: the same step with nothing moved."""
        assert await vault.hierarchy._unwrap(SHOP, row)

    async def test_refuses_damaged_bytes(self, vault, row):
        wrong = row.wrapped[:-1] + bytes([row.wrapped[-1] ^ 1])
        moved = replace(row, key_id="wk-1", purpose=VERIFICATION, wrapped=wrong)

        await self.refused(vault, moved, SHOP)


class TestEpochs:
    async def test_a_new_epoch_brings_new_wrapping_keys(self, vault):
        old = await vault.hierarchy.wrapping_key(SHOP, RECURRING)
        vault.provider.add_epoch()

        new = await vault.hierarchy.wrapping_key(SHOP, RECURRING)

        assert new.key_id != old.key_id
        assert len(set(vault.provider.wrapping_keys)) == 2
        assert await vault.log_types() == [CREATED, CREATED]

    async def test_the_older_epochs_keys_still_open(self, vault):
        old = await vault.hierarchy.wrapping_key(SHOP, RECURRING)
        vault.provider.add_epoch()
        vault.start_again()

        found = await vault.hierarchy.wrapping_key_by_id(SHOP, old.key_id)

        assert found.unwrap(old.wrap(b"k" * 32, b"c"), b"c") == b"k" * 32

    async def test_nothing_opens_once_its_epoch_key_is_destroyed(self, vault):
        """covers: I10. This is what makes an old backup worthless."""
        old = await vault.hierarchy.wrapping_key(SHOP, RECURRING)
        vault.provider.add_epoch()
        vault.provider.add_epoch()
        vault.start_again()

        with pytest.raises(KeyUnavailable):
            await vault.hierarchy.wrapping_key_by_id(SHOP, old.key_id)
