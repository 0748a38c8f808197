"""A database that is older than its anchor is refused. covers: I5."""

import shutil

import pytest

from gateway.errors import DatabaseRolledBack, StorageUnavailable
from gateway.storage.anchor import Anchor, AnchorFolder, Erasure
from gateway.storage.anchor_keeper import AnchorKeeper
from gateway.storage.rollback import check_anchor
from tests.builders.rows import OTHER_TOKEN, TOKEN, a_card, add_card
from tests.builders.storage import NOW, OTHER, SHOP, VAULT, an_entry, open_shop
from tests.fakes.clock import ManualClock

KEY = b"k" * 32


class Site:
    """A database, its anchor, and copies of both."""

    def __init__(self, folder):
        self.folder = folder
        self.database = folder / "bailee.db"
        self.anchor = AnchorFolder.create(
            folder / "anchor", NOW, vault_id=VAULT, mac_key=KEY
        )
        self.storage = None

    async def open(self):
        self.storage = await open_shop(self.folder)
        self.storage.keep_journal(self.anchor.note_erasures)
        self.keeper = AnchorKeeper(
            folder=self.anchor, storage=self.storage, clock=ManualClock(NOW)
        )

    async def append(self, merchant=SHOP, count=1):
        for _ in range(count):
            await self.storage.commit(
                merchant, lambda unit: unit.log.append(an_entry(merchant))
            )

    async def stop(self):
        await self.storage.close()

    def check(self):
        check_anchor(self.database, self.anchor.read())


@pytest.fixture
async def site(tmp_path):
    made = Site(tmp_path)
    await made.open()
    yield made
    await made.stop()


def refusal(site):
    with pytest.raises(DatabaseRolledBack) as caught:
        site.check()
    return caught.value


class TestCheck:
    async def test_takes_the_database_that_wrote_it(self, site):
        await site.append(count=5)
        await site.append(OTHER)
        await site.keeper.run_once()
        site.check()

        await site.append(count=9)
        site.check()

    async def test_refuses_an_older_one_and_says_what_to_do(self, site):
        await site.append(count=3)
        await site.stop()
        shutil.copy(site.database, site.folder / "old.db")
        await site.open()
        await site.append(count=2)
        await site.keeper.run_once()
        await site.stop()
        shutil.copy(site.folder / "old.db", site.database)

        error = refusal(site)

        assert "bailee restore DIR --accept" in str(error)
        assert error.metadata["merchant"] == "shop"
        assert error.metadata["log"] == "has 3 entries, the anchor saw 5"

    async def test_refuses_an_older_one_that_went_on(self, site):
        """A fork: as many entries as the anchor saw, and others."""
        await site.append(count=3)
        await site.stop()
        shutil.copy(site.database, site.folder / "old.db")
        await site.open()
        await site.append(count=2)
        await site.keeper.run_once()
        await site.stop()
        shutil.copy(site.folder / "old.db", site.database)
        await site.open()
        other = an_entry(caller="another")
        for _ in range(4):
            await site.storage.commit(SHOP, lambda unit: unit.log.append(other))

        assert "differs" in refusal(site).metadata["log"]

    async def test_refuses_one_that_lacks_a_merchant(self, site, tmp_path):
        await site.append(OTHER)
        await site.keeper.run_once()
        fresh = tmp_path / "fresh"
        fresh.mkdir()
        await (await open_shop(fresh)).close()
        await site.stop()
        shutil.copy(fresh / "bailee.db", site.database)

        assert refusal(site).metadata["log"] == "has 0 entries, the anchor saw 1"

    async def test_refuses_a_backup_that_was_put_in_place_whatever_it_holds(self, site):
        await site.append()
        site.anchor.write(Anchor(NOW, {}, is_restored=True))

        assert "restored" in refusal(site).metadata

    async def test_refuses_when_there_is_no_database(self, site, tmp_path):
        with pytest.raises(StorageUnavailable):
            check_anchor(tmp_path / "none.db", Anchor(NOW))
        assert not (tmp_path / "none.db").exists()


class TestKeeper:
    async def test_writes_only_what_has_changed(self, site):
        await site.append()
        await site.keeper.run_once()
        before = (site.folder / "anchor" / "anchor").stat().st_mtime_ns

        await site.keeper.run_once()

        assert (site.folder / "anchor" / "anchor").stat().st_mtime_ns == before

    async def test_keeps_the_logs_of_an_earlier_run(self, site):
        await site.append(OTHER)
        await site.keeper.run_once()
        await site.stop()
        await site.open()
        await site.append()
        await site.keeper.run_once()

        assert set(site.anchor.read().logs) == {SHOP, OTHER}


class TestErasureJournal:
    async def test_has_each_erasure_before_it_commits(self, site):
        """covers: I10."""
        seen = []

        def note(erasures):
            now = site.storage.read_now(SHOP, lambda unit: unit.cards.find(TOKEN))
            seen.append((list(erasures), now.state))
            site.anchor.note_erasures(erasures)

        site.storage.keep_journal(note)
        await site.storage.commit(SHOP, add_card)
        await site.storage.commit(SHOP, lambda unit: unit.cards.erase(TOKEN, NOW))

        [(erasures, state_then)] = seen
        assert erasures == [Erasure(NOW, SHOP, TOKEN)]
        assert state_then == "active"
        assert site.anchor.erasures() == erasures

    async def test_nothing_is_erased_when_it_cannot_be_written(self, site):
        def fails(_erasures):
            raise OSError

        site.storage.keep_journal(fails)
        await site.storage.commit(SHOP, add_card)
        await site.storage.commit(
            SHOP, lambda unit: unit.cards.add(a_card(OTHER_TOKEN), [])
        )

        with pytest.raises(StorageUnavailable):
            await site.storage.commit(SHOP, lambda unit: unit.cards.erase(TOKEN, NOW))

        card = await site.storage.read(SHOP, lambda unit: unit.cards.find(TOKEN))
        assert card.state == "active"
        site.storage.keep_journal(site.anchor.note_erasures)
        await site.storage.commit(SHOP, lambda unit: unit.cards.erase(TOKEN, NOW))
        assert len(site.anchor.erasures()) == 1

    async def test_does_not_hold_what_was_undone(self, site):
        await site.storage.commit(SHOP, add_card)

        def work(unit):
            unit.cards.erase(TOKEN, NOW)
            raise KeyError

        with pytest.raises(KeyError):
            await site.storage.commit(SHOP, work)
        await site.append()

        assert site.anchor.erasures() == []
