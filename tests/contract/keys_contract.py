"""The suites about keys that the stores of every engine pass: storage_contract.py."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.errors import InvariantBroken
from gateway.keys.ports import Epoch, EpochState
from gateway.words.identifiers import GATEWAY
from gateway.words.purposes import Purpose
from tests.builders.rows import (
    MOMENT,
    OTHER_TOKEN,
    TOKEN,
    a_card,
    a_wrapping_key,
    add_card,
    keys_of,
)
from tests.builders.storage import OTHER, SHOP

LATER = MOMENT + timedelta(hours=1)


class EpochsContract:
    """What every EpochStore does."""

    async def test_keeps_every_field_newest_first(self, storage):
        full = Epoch(
            epoch="e1",
            state=EpochState.RETIRING,
            made_at=MOMENT,
            due_at=LATER,
            destroyed_at=LATER,
            moved=7,
            instance="here",
            lease_until=LATER,
        )
        bare = Epoch(epoch="e2", state=EpochState.PLANNED, made_at=LATER)

        def work(unit):
            unit.epochs.put(full)
            unit.epochs.put(bare)
            unit.epochs.put(replace(full, state=EpochState.DESTROYED))
            return unit.epochs.all()

        stored = await storage.commit(GATEWAY, work)
        assert stored == [bare, replace(full, state=EpochState.DESTROYED)]

    async def test_are_not_for_merchants(self, storage):
        """covers: I9."""
        with pytest.raises(InvariantBroken):
            await storage.read(SHOP, lambda unit: unit.epochs.all())


class DataKeysContract:
    """What every DataKeyStore does, and CardsUnderEpoch."""

    async def test_replaces_a_copy_and_that_copy_alone(self, storage):
        copy, *others = keys_of()
        fresh = replace(copy, wrapping_key_id="wk-new", wrapped=b"fresh")

        def work(unit):
            add_card(unit)
            unit.keys.add(a_wrapping_key(key_id="wk-new", epoch="e2"))
            return unit.data_keys.rewrap(TOKEN, copy, fresh)

        assert await storage.commit(SHOP, work) is True
        kept = await storage.read(SHOP, lambda unit: unit.cards.keys(TOKEN))
        assert list(kept) == [fresh, *others]

    async def test_brings_nothing_back(self, storage):
        """covers: I10. Erased, replaced or never there: nothing happens."""
        copy = keys_of()[0]
        fresh = replace(copy, wrapping_key_id="wk-new", wrapped=b"fresh")
        ungranted = replace(copy, purpose=Purpose.TRANSFER)

        def work(unit):
            add_card(unit)
            unit.keys.add(a_wrapping_key(key_id="wk-new", epoch="e2"))
            stale = unit.data_keys.rewrap(TOKEN, replace(copy, wrapped=b"?"), fresh)
            missing = unit.data_keys.rewrap(TOKEN, ungranted, fresh)
            unknown = unit.data_keys.rewrap(OTHER_TOKEN, copy, fresh)
            before = unit.cards.keys(TOKEN)
            unit.cards.erase(TOKEN, LATER)
            erased = unit.data_keys.rewrap(TOKEN, copy, fresh)
            return (stale, missing, unknown, erased), before, unit.cards.keys(TOKEN)

        done, before, after = await storage.commit(SHOP, work)
        assert done == (False, False, False, False)
        assert (list(before), list(after)) == (keys_of(), [])

    async def test_another_merchants_copy_is_not_there(self, storage):
        """covers: I9."""
        copy = keys_of()[0]
        fresh = replace(copy, wrapping_key_id="wk-new", wrapped=b"fresh")
        await storage.commit(SHOP, add_card)

        def work(unit):
            unit.keys.add(a_wrapping_key(key_id="wk-new", epoch="e2"))
            return unit.data_keys.rewrap(TOKEN, copy, fresh)

        assert await storage.commit(OTHER, work) is False

    async def test_refuses_a_wrapping_key_that_is_retired_or_another_merchants(
        self, storage
    ):
        copy = keys_of()[0]
        await storage.commit(SHOP, add_card)

        def add(unit, epoch="e2"):
            unit.keys.add(a_wrapping_key(key_id=f"wk-{epoch}", epoch=epoch))

        await storage.commit(OTHER, add)
        await storage.commit(SHOP, lambda unit: add(unit, "e0"))
        await storage.commit(SHOP, lambda unit: unit.keys.retire("e0", LATER))
        for key_id in ("wk-e2", "wk-e0"):
            fresh = replace(copy, wrapping_key_id=key_id, wrapped=b"fresh")
            with pytest.raises(InvariantBroken):
                await storage.commit(
                    SHOP,
                    lambda unit, fresh=fresh: unit.data_keys.rewrap(TOKEN, copy, fresh),
                )
        kept = await storage.read(SHOP, lambda unit: unit.cards.keys(TOKEN))
        assert list(kept) == keys_of()

    async def test_walks_the_cards_under_an_epoch(self, storage):
        await storage.commit(SHOP, add_card)
        await storage.commit(OTHER, lambda unit: add_card(unit, a_card(OTHER_TOKEN)))

        first = await storage.cards_under("e1", after=0, limit=1)
        rest = await storage.cards_under("e1", after=first[0].number, limit=10)
        none = await storage.cards_under("e1", after=rest[-1].number, limit=10)

        assert [(card.merchant, card.token) for card in [*first, *rest, *none]] == [
            (SHOP, TOKEN),
            (OTHER, OTHER_TOKEN),
        ]
        assert await storage.cards_under("e2", after=0, limit=10) == []


class KeysContract:
    """What every KeyStore does."""

    async def test_finds_keys_by_id_and_the_newest_by_purpose_and_epoch(self, storage):
        first = a_wrapping_key(key_id="k1")
        second = a_wrapping_key(key_id="k2", created_at=LATER)
        older_epoch = a_wrapping_key(key_id="k3", epoch="e0", created_at=LATER)
        other = a_wrapping_key(Purpose.VERIFICATION, key_id="k4", created_at=LATER)

        def work(unit):
            for key in (second, first, older_epoch, other):
                unit.keys.add(key)
            return [
                unit.keys.newest(Purpose.RECURRING, "e1"),
                unit.keys.newest(Purpose.RECURRING, "e0"),
                unit.keys.newest(Purpose.RECURRING, "e2"),
                unit.keys.newest(Purpose.TRANSFER, "e1"),
                unit.keys.find("k1"),
                unit.keys.find("k5"),
            ]

        assert await storage.commit(SHOP, work) == [
            second,
            older_epoch,
            None,
            None,
            first,
            None,
        ]

    async def test_retires_the_keys_of_one_epoch_and_merchant(self, storage):
        def work(unit):
            unit.keys.add(a_wrapping_key(key_id="k1"))
            unit.keys.add(a_wrapping_key(Purpose.VERIFICATION, key_id="k2"))
            unit.keys.add(a_wrapping_key(key_id="k3", epoch="e0"))

        for merchant in (SHOP, OTHER):
            await storage.commit(merchant, work)
        assert sorted(await storage.merchants_with_epoch("e1")) == [OTHER, SHOP]

        counts = [
            await storage.commit(SHOP, lambda unit: unit.keys.retire("e1", LATER))
            for _ in range(2)
        ]

        assert counts == [2, 0]
        assert await storage.merchants_with_epoch("e1") == [OTHER]
        assert sorted(await storage.merchants_with_epoch("e0")) == [OTHER, SHOP]
        first = await storage.read(SHOP, lambda unit: unit.keys.find("k1"))
        assert first.retired_at == LATER

    async def test_stores_no_copy_under_a_retired_key(self, storage):
        """It would not open once the epoch key is destroyed."""
        await storage.commit(SHOP, add_card)
        await storage.commit(SHOP, lambda unit: unit.keys.retire("e1", LATER))

        with pytest.raises(InvariantBroken):
            await storage.commit(SHOP, lambda unit: add_card(unit, a_card(OTHER_TOKEN)))
        kept = await storage.read(SHOP, lambda unit: unit.cards.keys(TOKEN))
        assert list(kept) == keys_of()

    async def test_refuses_an_id_twice(self, storage):
        await storage.commit(SHOP, lambda unit: unit.keys.add(a_wrapping_key()))

        with pytest.raises(InvariantBroken):
            await storage.commit(
                SHOP, lambda unit: unit.keys.add(a_wrapping_key(wrapped=b"other"))
            )
