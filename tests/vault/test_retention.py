"""Cards are kept as long as policy says and not longer. covers: I8, I10."""

from datetime import timedelta

import pytest

from gateway.cards.expiry import Expiry
from gateway.policy.policy_time import START_MAX
from gateway.policy.versions import SHIPPED
from gateway.vault.retention import needed_until, retain_until
from gateway.vault.sweep_cards import SweepCards
from gateway.words.identifiers import GATEWAY
from gateway.words.lifecycles import CardState
from tests.builders.policies import publish, variation
from tests.builders.rows import a_card
from tests.builders.storage import OTHER, SHOP
from tests.builders.vault import NOW, a_form, a_use, a_vault

DAY = timedelta(days=1)
DAYS = SHIPPED.permissions.retention_days({"verification"})
EXPIRY = Expiry(12, 2026)
LAST_DAY = EXPIRY.ends_at + DAYS * DAY


class NoBackups:
    async def unrecoverable_at(self, now):
        return None


@pytest.fixture
async def vault(tmp_path):
    async with a_vault(tmp_path) as opened:
        yield opened


def sweeper(vault):
    return SweepCards(
        storage=vault.storage,
        cards=vault.storage,
        backups=NoBackups(),
        policy_time=vault.policy_time,
        clock=vault.clock,
    )


def live_until(vault, moment):
    """Lets the time pass as it would: both clocks go on."""
    elapsed = (moment - NOW).total_seconds()
    vault.clock.move(moment - vault.clock.now())
    vault.policy_time.advance(moment, elapsed)


async def tokenize(vault, **changes):
    return await vault.tokenize(form=a_form(year=2026), **changes)


async def state_of(vault, card, merchant=SHOP):
    return (await vault.find(card.token, merchant)).state


class TestRetainUntil:
    def test_counts_from_the_later_of_expiry_and_last_use(self):
        used = EXPIRY.ends_at + 5 * DAY
        card = a_card(expiry=EXPIRY, last_used_at=None)

        assert needed_until(card) == EXPIRY.ends_at
        assert needed_until(a_card(expiry=EXPIRY, last_used_at=used)) == used
        assert retain_until(card, SHIPPED.permissions) == LAST_DAY


class TestSweep:
    async def test_erases_on_the_day_and_not_before(self, vault):
        card = await tokenize(vault)

        live_until(vault, LAST_DAY - DAY)
        assert (await sweeper(vault).run()).due == ()
        live_until(vault, LAST_DAY)
        done = await sweeper(vault).run()

        assert done.erased == 1
        assert await state_of(vault, card) is CardState.ERASED
        entry = (await vault.log())[-1]
        assert (entry["type"], entry["rule"]) == ("card.erased", "retention-ended")

    async def test_spares_a_card_in_use(self, vault):
        card = await tokenize(vault)
        used = LAST_DAY - DAY
        await vault.storage.commit(
            SHOP, lambda unit: unit.cards.mark_used(card.token, used)
        )

        live_until(vault, LAST_DAY)

        assert (await sweeper(vault).run()).due == ()

    async def test_a_clock_that_jumps_sweeps_nothing(self, vault):
        """Forward, at once and after a restart; the mark moves a day at most."""
        card = await tokenize(vault)
        vault.clock.move(LAST_DAY + 400 * DAY - NOW)
        vault.policy_time.advance(vault.clock.now(), 60.0)

        assert (await sweeper(vault).run()).due == ()
        mark = vault.policy_time.mark
        await vault.storage.commit(GATEWAY, lambda unit: unit.high_water.put(mark))
        vault.start_again()
        assert vault.policy_time.mark <= mark + START_MAX
        assert (await sweeper(vault).run()).due == ()
        assert await state_of(vault, card) is CardState.ACTIVE

    async def test_asks_before_it_takes_more_than_one_in_a_hundred(self, vault):
        mine = [await tokenize(vault) for _ in range(2)]
        theirs = await tokenize(vault, merchant=OTHER)
        live_until(vault, LAST_DAY)

        asked = await sweeper(vault).run()
        assert asked.asks
        assert (asked.erased, len(asked.due)) == (0, 3)
        assert await state_of(vault, mine[0]) is CardState.ACTIVE

        assert (await sweeper(vault).run(confirmed=2)).erased == 0
        done = await sweeper(vault).run(confirmed=3)
        assert done.erased == 3
        assert await state_of(vault, theirs, OTHER) is CardState.ERASED

    async def test_a_day_has_one_allowance(self, vault):
        """A restart does not renew it."""
        await tokenize(vault)
        later = await tokenize(vault)
        hours = timedelta(hours=6)
        await vault.storage.commit(
            SHOP,
            lambda unit: unit.cards.mark_used(later.token, EXPIRY.ends_at + hours),
        )

        live_until(vault, LAST_DAY)
        assert (await sweeper(vault).run()).erased == 1
        live_until(vault, LAST_DAY + 2 * hours)
        assert (await sweeper(vault).run()).asks
        live_until(vault, LAST_DAY + DAY)
        assert (await sweeper(vault).run()).erased == 1

    async def test_follows_a_shorter_retention_at_once(self, vault):
        card = await tokenize(vault)
        shorter = variation(("retention_days = 180", "retention_days = 7"))
        await publish(vault.storage, vault.clock, vault.policy_time, shorter)

        live_until(vault, EXPIRY.ends_at + 7 * DAY)

        assert (await sweeper(vault).run()).erased == 1
        assert await state_of(vault, card) is CardState.ERASED

    async def test_looking_changes_nothing(self, vault):
        card = await tokenize(vault)
        live_until(vault, LAST_DAY)

        found = await sweeper(vault).look()
        live_until(vault, LAST_DAY + DAY)
        later = await sweeper(vault).look()

        assert (found.overdue, later.overdue) == (0, 1)
        assert [item.card.token for item in found.due] == [card.token]
        assert await state_of(vault, card) is CardState.ACTIVE

    async def test_spares_a_card_that_was_used_meanwhile(self, vault):
        """Between the look and the unit that erases."""
        card = await tokenize(vault)
        live_until(vault, LAST_DAY)
        sweeping = sweeper(vault)
        ((due, _),) = (await sweeping.look()).due

        intent = await vault.intend(a_use(card.token, at=LAST_DAY))
        assert intent.card.token == card.token
        await vault.storage.commit(
            SHOP, lambda unit: unit.cards.mark_used(card.token, LAST_DAY)
        )

        assert await sweeping._erase(due) is False
        assert await state_of(vault, card) is CardState.ACTIVE
