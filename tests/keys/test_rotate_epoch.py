"""Rotation of the epoch key: what moves, what is destroyed, what a crash leaves."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.errors import IntegrityViolation, KeyUnavailable, StateConflict
from gateway.keys.checkpoint_signer import ProviderSigner
from gateway.keys.epoch_schedule import FINISH_WITHIN
from gateway.keys.ports import EpochState
from gateway.keys.rotate_epoch import RotationStep
from gateway.storage.tables import METADATA
from gateway.vault.ports import KeyKind
from gateway.vault.seal_card import NewCard
from gateway.vault.sealed_input import SealedInput
from gateway.words.identifiers import GATEWAY
from gateway.words.purposes import Purpose
from tests.builders.storage import NOW, OTHER, SHOP, open_shop
from tests.builders.vault import (
    DEFAULT_PURPOSES,
    NUMBER,
    Recipient,
    Vault,
    a_delete_command,
    a_tokenize_command,
    a_use,
    a_vault,
)

MONTH = timedelta(days=30)


@pytest.fixture
async def vault(tmp_path):
    async with a_vault(tmp_path) as opened:
        yield opened


async def epochs_of(vault):
    return await vault.storage.read(GATEWAY, lambda unit: unit.epochs.all())


async def opens(vault, token, merchant=SHOP):
    """Opens the card through the door; returns its number."""
    use = a_use(token, merchant=merchant)
    intent = await vault.intend(use)
    card = await vault.access.open_card(intent, Recipient())
    return card.number.reveal()


async def opens_in(folder, provider, token):
    """Opens the card in another copy of the database."""
    storage = await open_shop(folder, signer=ProviderSigner(provider))
    try:
        return await opens(Vault(storage, provider, folder), token)
    finally:
        await storage.close()


class TestRotation:
    async def test_every_card_opens_afterwards_and_the_old_key_is_gone(self, vault):
        cards = [await vault.tokenize() for _ in range(40)]
        theirs = await vault.tokenize(merchant=OTHER)
        [old] = vault.provider.epochs()

        new = await vault.rotation.rotate("operator")

        assert vault.provider.epochs() == (new,)
        assert new != old
        for card in cards:
            assert await opens(vault, card.token) == NUMBER
        assert await opens(vault, theirs.token, OTHER) == NUMBER

    async def test_leaves_no_copy_under_the_old_epoch(self, vault):
        card = await vault.tokenize()
        [old] = vault.provider.epochs()
        before = await vault.keys_of(card.token)

        await vault.rotation.rotate("operator")

        after = await vault.keys_of(card.token)
        assert await vault.storage.cards_under(old, after=0, limit=10) == []
        assert {(key.kind, key.purpose) for key in after} == {
            (key.kind, key.purpose) for key in before
        }
        assert not {k.wrapping_key_id for k in before} & {
            k.wrapping_key_id for k in after
        }

    async def test_a_purpose_that_was_not_granted_still_has_no_copy(self, vault):
        """covers: I3."""
        card = await vault.tokenize()

        await vault.rotation.rotate("operator")

        kept = await vault.keys_of(card.token)
        granted = {k.purpose for k in kept if k.kind is KeyKind.CARD}
        assert granted == set(DEFAULT_PURPOSES)

    async def test_an_old_backup_opens_nothing_with_todays_keys(self, vault, tmp_path):
        """covers: I10. The database of yesterday beside the key provider of today."""
        card = await vault.tokenize()
        backup = tmp_path / "backup"
        backup.mkdir()
        with (
            closing(sqlite3.connect(vault.folder / "bailee.db")) as live,
            closing(sqlite3.connect(backup / "bailee.db")) as copy,
        ):
            live.backup(copy)
        assert await opens_in(backup, vault.provider, card.token) == NUMBER

        await vault.rotation.rotate("operator")

        with pytest.raises(KeyUnavailable):
            await opens_in(backup, vault.provider, card.token)

    async def test_is_in_the_logs(self, vault):
        await vault.tokenize()
        [old] = vault.provider.epochs()

        new = await vault.rotation.rotate("spiffe://x/operator")

        told = [
            (entry["type"], entry["caller"], entry["subject"])
            for entry in await vault.log(GATEWAY)
        ]
        assert told == [
            ("key.rotation_planned", "spiffe://x/operator", new),
            ("key.epoch_created", "gateway", new),
            ("key.epoch_destroyed", "gateway", old),
        ]
        retired = [e for e in await vault.log() if e["type"] == "key.wrapping_retired"]
        assert [(e["subject"], e["count"]) for e in retired] == [(old, 3)]

    async def test_refuses_to_begin_while_one_is_under_way(self, vault):
        await vault.rotation.begin("operator")

        with pytest.raises(StateConflict):
            await vault.rotation.begin("operator")

    async def test_keeps_no_old_key_in_memory(self, vault):
        """covers: I10. A destroyed key must not go on opening in this process."""
        old = await vault.hierarchy.wrapping_key(SHOP, Purpose.RECURRING)

        await vault.rotation.rotate("operator")

        with pytest.raises(KeyUnavailable):
            await vault.hierarchy.wrapping_key_by_id(SHOP, old.key_id)

    async def test_can_be_repeated(self, vault):
        card = await vault.tokenize()

        for _ in range(3):
            await vault.rotation.rotate("operator")

        assert await opens(vault, card.token) == NUMBER
        states = [epoch.state for epoch in await epochs_of(vault)]
        assert states == [EpochState.CURRENT, *[EpochState.DESTROYED] * 3]

    async def test_visits_every_table_that_refers_to_wrapping_keys(self):
        """Whoever adds one must re-wrap it, or its rows die with the epoch key."""
        referring = {
            table.name
            for table in METADATA.tables.values()
            for key in table.foreign_keys
            if key.column.table.name == "wrapping_keys"
        }

        assert referring == {"data_keys"}


class TestSchedule:
    async def test_nothing_happens_before_it_is_due(self, vault):
        held = vault.provider.epochs()
        await vault.rotation.run_due()
        vault.clock.move(MONTH - timedelta(seconds=1))

        assert await vault.rotation.run_due() is False
        assert vault.provider.epochs() == held

    async def test_rotates_when_it_is_due(self, vault):
        held = vault.provider.epochs()
        await vault.rotation.run_due()
        vault.clock.move(MONTH)

        assert await vault.rotation.run_due() is True
        assert vault.provider.epochs() != held

    async def test_rotates_once_when_somebody_asks(self, vault):
        await vault.rotation.run_due()
        vault.clock.move(timedelta(hours=1))
        vault.provider.asked_at = vault.clock.now()
        vault.clock.move(timedelta(minutes=1))

        assert await vault.rotation.run_due() is True
        assert await vault.rotation.run_due() is False
        [planned, *_] = await vault.log(GATEWAY)
        assert planned["caller"] == "bailee keys rotate"

    async def test_never_rotates_by_itself_without_a_period(self, vault):
        rotation = vault.a_rotation(period=None)
        await rotation.run_due()
        vault.clock.move(MONTH * 100)

        assert await rotation.run_due() is False
        assert await rotation.unrecoverable_at(vault.clock.now()) is None

    async def test_a_longer_period_keeps_the_promises_that_were_made(self, vault):
        await vault.rotation.observe()

        [epoch] = await vault.a_rotation(period=MONTH * 6).observe()

        assert epoch.due_at == NOW + MONTH

    async def test_says_when_a_promised_date_has_passed(self, vault, caplog):
        await vault.rotation.observe()
        vault.provider.is_reachable = False
        vault.clock.move(MONTH + FINISH_WITHIN + timedelta(seconds=1))

        with pytest.raises(KeyUnavailable):
            await vault.rotation.run_due()

        assert [record.message for record in caplog.records] == ["epoch key overdue"]


class TestErasureDate:
    async def test_is_in_the_answer_and_in_the_receipt(self, vault):
        card = await vault.tokenize()

        done = await vault.delete_card_token.execute(a_delete_command(card.token))

        assert done.unrecoverable_at == NOW + MONTH + FINISH_WITHIN
        assert b'"effective":"2026-12-27T12:00:00.000Z"' in done.receipt.entry

    async def test_the_same_request_hears_the_same_date(self, vault):
        card = await vault.tokenize()
        command = a_delete_command(card.token)
        first = await vault.delete_card_token.execute(command)
        vault.clock.move(timedelta(days=1))
        await vault.rotation.rotate("operator")

        again = await vault.delete_card_token.execute(command)

        assert again.replayed
        assert again.unrecoverable_at == first.unrecoverable_at

    async def test_by_then_the_epoch_key_is_destroyed(self, vault):
        """The loop runs every minute; the date holds whatever epoch a backup has."""
        card = await vault.tokenize()
        held = set(vault.provider.epochs())
        vault.clock.move(timedelta(days=12))

        done = await vault.delete_card_token.execute(a_delete_command(card.token))

        while vault.clock.now() < done.unrecoverable_at:
            await vault.rotation.run_due()
            vault.clock.move(timedelta(hours=6))
        assert not held & set(vault.provider.epochs())

    async def test_reckons_with_the_epoch_that_is_planned(self, vault):
        await vault.rotation.observe()
        vault.clock.move(timedelta(days=10))
        await vault.rotation.begin("operator")

        date = await vault.rotation.unrecoverable_at(vault.clock.now())

        assert date == vault.clock.now() + MONTH + FINISH_WITHIN


class Killed(Exception):
    pass


class TestInterrupted:
    @pytest.mark.parametrize("step", RotationStep)
    async def test_goes_on_wherever_it_was_killed(self, vault, step):
        cards = [await vault.tokenize() for _ in range(20)]
        [old] = vault.provider.epochs()

        def reached(at):
            if at is step:
                raise Killed

        with pytest.raises(Killed):
            await vault.a_rotation(reached=reached).rotate("operator")
        vault.start_again()
        assert await opens(vault, cards[0].token) == NUMBER
        later = await vault.tokenize()
        rotation = vault.a_rotation(instance="other", lease=timedelta(0))
        vault.clock.move(timedelta(minutes=5))

        await rotation.run_due()

        assert old not in vault.provider.epochs()
        assert len(vault.provider.epochs()) == 1
        for card in (*cards, later):
            assert await opens(vault, card.token) == NUMBER
        ended = [entry["type"] for entry in await vault.log(GATEWAY)]
        assert ended.count("key.epoch_created") == 1
        assert ended.count("key.epoch_destroyed") == 1

    async def test_is_left_to_the_process_that_has_the_lease(self, vault):
        await vault.tokenize()

        def reached(at):
            if at is RotationStep.MOVED:
                raise Killed

        with pytest.raises(Killed):
            await vault.a_rotation(reached=reached).rotate("operator")
        other = vault.a_rotation(instance="other")

        assert await other.run_due() is False
        vault.clock.move(timedelta(minutes=2))
        assert await other.run_due() is True

    async def test_adopts_what_the_provider_holds(self, vault):
        """A database that was restored does not know the newest epoch keys."""
        card = await vault.tokenize()
        await vault.rotation.observe()
        await vault.provider.make_epoch("epoch-unknown", NOW)

        assert await vault.rotation.run_due() is True

        assert vault.provider.epochs() == ("epoch-unknown",)
        assert await opens(vault, card.token) == NUMBER


class TestConcurrently:
    async def test_no_call_fails_and_none_is_lost(self, vault):
        """covers: I5. Cards come, open and go while keys change, twice."""
        done, tokens = asyncio.Event(), []

        async def traffic():
            while not done.is_set():
                card = await vault.tokenize()
                tokens.append(card.token)
                assert await opens(vault, card.token) == NUMBER
                assert await opens(vault, tokens[0]) == NUMBER
                erased = await vault.tokenize()
                await vault.delete_card_token.execute(a_delete_command(erased.token))

        callers = [asyncio.create_task(traffic()) for _ in range(4)]
        rotation = vault.a_rotation(pause=timedelta(milliseconds=50))
        await asyncio.sleep(0.05)
        for _ in range(2):
            await rotation.rotate("operator")
        done.set()
        await asyncio.gather(*callers)

        assert len(tokens) > 8
        for token in tokens:
            assert await opens(vault, token) == NUMBER

    async def test_an_intent_from_before_opens_during_the_pause(self, vault):
        card = await vault.tokenize()
        intent = await vault.intend(a_use(card.token))
        vault.start_again()
        rotation = vault.a_rotation(pause=timedelta(milliseconds=200))

        rotating = asyncio.create_task(rotation.rotate("operator"))
        await asyncio.sleep(0.1)
        opened = await vault.access.open_card(intent, Recipient())

        assert opened.number.reveal() == NUMBER
        await rotating

    async def test_a_copy_that_comes_late_is_moved_too(self, vault):
        """It was wrapped before the new epoch, and stored after the rest had moved."""
        [old] = vault.provider.epochs()
        await vault.tokenize()
        late = []

        prepared = await vault.seal_card.prepare(a_new_card())

        def reached(step):
            if step is RotationStep.MOVED:
                late.append(
                    asyncio.ensure_future(vault.storage.commit(SHOP, prepared.add))
                )

        rotation = vault.a_rotation(reached=reached, pause=timedelta(milliseconds=50))
        await rotation.rotate("operator")
        await late[0]

        assert old not in vault.provider.epochs()
        assert await opens(vault, prepared.stored.token) == NUMBER


def a_new_card():
    command = a_tokenize_command()
    form = SealedInput(provider=None, accept_plain_cards=True)
    return NewCard(
        merchant=SHOP,
        caller=command.caller,
        request_id=command.request_id,
        customer_reference="customer-1",
        mandate=command.mandate,
        received=form.open_card(command.form, None, NOW),
        now=NOW,
    )


class TestDamage:
    async def test_stops_before_anything_is_destroyed(self, vault):
        card = await vault.tokenize()
        [old] = vault.provider.epochs()
        copy = (await vault.keys_of(card.token))[0]
        broken = replace(copy, wrapped=copy.wrapped[:-1] + b"\x00")
        await vault.storage.commit(
            SHOP, lambda unit: unit.data_keys.rewrap(card.token, copy, broken)
        )

        with pytest.raises(IntegrityViolation):
            await vault.rotation.rotate("operator")
        assert old in vault.provider.epochs()

    async def test_a_relabelled_copy_is_not_granted_by_moving_it(self, vault):
        """covers: I3. Re-wrapping must not be a way around the mandate."""
        card = await vault.tokenize()
        await vault.tokenize(purposes={*DEFAULT_PURPOSES, Purpose.RECURRING})
        with closing(sqlite3.connect(vault.folder / "bailee.db")) as database:
            database.execute(
                "UPDATE data_keys SET purpose = 2 WHERE kind = 1 AND purpose = 1 "
                "AND card = (SELECT card FROM cards WHERE token = ?)",
                [card.token],
            )
            database.commit()

        with pytest.raises(IntegrityViolation) as caught:
            await vault.rotation.rotate("operator")
        assert caught.value.metadata == {"card_token": card.token}
