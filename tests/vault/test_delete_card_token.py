"""Erasing a card destroys every wrapped copy of its keys. covers: I10."""

import asyncio
import json
from dataclasses import replace

import pytest

from gateway.audit.checkpoint import origin_of
from gateway.audit.receipts import verify_receipt
from gateway.errors import CardTokenNotFound, KeyUnavailable, RequestIdReused
from gateway.vault.card_access import Denial
from gateway.vault.ports import SealedReference
from gateway.words.identifiers import new_name
from gateway.words.lifecycles import CardState
from tests.builders.storage import OTHER, SHOP, VAULT
from tests.builders.vault import (
    Recipient,
    a_delete_command,
    a_use,
    an_account,
)

ERASED = "card.erased"


class TestErasure:
    async def test_leaves_nothing_that_opens_or_tells_the_card(self, vault):
        card = await vault.tokenize()
        reference = SealedReference(
            account_id=an_account().account_id, generation=1, sealed=b"sealed"
        )
        await vault.storage.commit(
            SHOP, lambda unit: unit.cards.put_reference(card.token, reference)
        )

        done = await vault.delete_card_token.execute(a_delete_command(card.token))

        stored = await vault.find(card.token)
        assert stored == done.card
        assert stored.state is CardState.ERASED
        assert stored.sealed is None
        assert stored.number_fingerprint is None
        assert stored.expiry_fingerprint is None
        assert stored.expiry is None
        assert stored.last_four == ""
        assert await vault.keys_of(card.token) == []
        view = await vault.read_card_tokens.get(SHOP, card.token)
        assert view.accounts == []

    async def test_leaves_no_erased_byte_in_any_file(self, vault):
        card = await vault.tokenize()
        secrets = [card.sealed, card.number_fingerprint, card.expiry_fingerprint]
        secrets += [copy.wrapped for copy in await vault.keys_of(card.token)]
        assert all(_find(vault.folder, secret) for secret in secrets)

        await vault.delete_card_token.execute(a_delete_command(card.token))

        assert not [secret for secret in secrets if _find(vault.folder, secret)]

    async def test_unlinks_the_entries_that_name_the_card(self, vault):
        """Entries stay and still verify; without the salt they name nobody."""
        card = await vault.tokenize()
        salts = [
            (await receipt_of(vault, index)).card_salt
            for index in range(len(await vault.log()))
        ]
        [salt] = [salt for salt in salts if salt is not None]

        done = await vault.delete_card_token.execute(a_delete_command(card.token))

        for index in range(len(await vault.log())):
            assert (await receipt_of(vault, index)).card_salt is None
        assert not _find(vault.folder, salt)
        assert not _find(vault.folder, done.receipt.card_salt)

    async def test_touches_no_other_card(self, vault):
        card, other = await vault.tokenize(), await vault.tokenize()

        await vault.delete_card_token.execute(a_delete_command(card.token))

        assert await vault.find(other.token) == other
        intent = await vault.intend(a_use(other.token))
        opened = await vault.access.open_card(intent, Recipient())
        assert opened.number.last_four == "4242"

    async def test_nothing_opens_the_card_any_more(self, vault):
        card = await vault.tokenize()
        await vault.delete_card_token.execute(a_delete_command(card.token))

        denial = await vault.intend(a_use(card.token))

        assert isinstance(denial, Denial)
        assert denial.rule == "card-erased"

    async def test_a_backup_opens_nothing_once_its_epoch_key_is_destroyed(self, vault):
        """What the database held before the erasure is what a backup still holds."""
        card = await vault.tokenize()
        backup = await vault.intend(a_use(card.token))
        await vault.delete_card_token.execute(a_delete_command(card.token))
        vault.start_again()
        opened = await vault.access.open_card(backup, Recipient())
        assert opened.number.last_four == "4242"  # so far, the backup is readable

        vault.provider.add_epoch()
        vault.provider.add_epoch()
        vault.start_again()

        with pytest.raises(KeyUnavailable):
            await vault.access.open_card(backup, Recipient())


class TestReceipt:
    async def test_proves_the_erasure(self, vault):
        card = await vault.tokenize()

        done = await vault.delete_card_token.execute(a_delete_command(card.token))

        verify_receipt(
            done.receipt.entry,
            done.receipt.proof,
            origin=origin_of(VAULT, SHOP, 1),
            public_key=vault.provider.log_public_key,
        )
        entry = json.loads(done.receipt.entry)
        assert entry["type"] == ERASED
        assert entry["action"] == "erase"
        assert entry["purpose"] == "erasure"
        assert card.token not in str(entry)

    async def test_files_are_clean_before_it_leaves(self, vault, monkeypatch):
        card = await vault.tokenize()
        secret = card.sealed
        purge, found = vault.storage.purge, []

        async def noting():
            await purge()
            found.append(_find(vault.folder, secret))

        monkeypatch.setattr(vault.storage, "purge", noting)
        done = await vault.delete_card_token.execute(a_delete_command(card.token))

        assert found == [False]
        assert done.receipt.proof


class TestAgain:
    async def test_the_same_request_returns_the_same_entry(self, vault):
        card = await vault.tokenize()
        command = a_delete_command(card.token)
        first = await vault.delete_card_token.execute(command)

        again = await vault.delete_card_token.execute(command)

        assert again.replayed
        assert not first.replayed
        assert again.card == first.card
        assert again.receipt.entry == first.receipt.entry
        assert (await vault.log_types()).count(ERASED) == 1

    async def test_a_new_request_finds_the_card_erased(self, vault):
        card = await vault.tokenize()
        await vault.delete_card_token.execute(a_delete_command(card.token))

        again = await vault.delete_card_token.execute(a_delete_command(card.token))

        assert again.card.state is CardState.ERASED
        assert not again.replayed

    async def test_the_same_request_purges_again(self, vault, monkeypatch):
        """The first may have died between its commit and the purge."""
        card = await vault.tokenize()
        command = a_delete_command(card.token)
        await vault.delete_card_token.execute(command)
        purged = []

        async def noting():
            purged.append(1)

        monkeypatch.setattr(vault.storage, "purge", noting)
        await vault.delete_card_token.execute(command)

        assert purged

    async def test_a_race_of_equal_requests_erases_once(self, vault):
        card = await vault.tokenize()
        command = a_delete_command(card.token)

        done = await asyncio.gather(
            *(vault.delete_card_token.execute(command) for _ in range(10))
        )

        assert [one.replayed for one in done].count(False) == 1
        assert (await vault.log_types()).count(ERASED) == 1

    async def test_another_request_with_the_id_is_refused(self, vault):
        card, other = await vault.tokenize(), await vault.tokenize()
        command = a_delete_command(card.token)
        await vault.delete_card_token.execute(command)

        with pytest.raises(RequestIdReused):
            await vault.delete_card_token.execute(
                replace(command, digest=b"x" * 32, token=other.token)
            )
        assert await vault.find(other.token) == other


class TestNotFound:
    async def test_records_nothing_of_a_token_that_does_not_exist(self, vault):
        with pytest.raises(CardTokenNotFound):
            await vault.delete_card_token.execute(a_delete_command(new_name("card")))
        assert await vault.log() == []

    async def test_another_merchants_card_is_not_there(self, vault):
        """covers: I9."""
        card = await vault.tokenize()
        command = a_delete_command(card.token, merchant=OTHER)

        with pytest.raises(CardTokenNotFound):
            await vault.delete_card_token.execute(command)
        assert await vault.find(card.token) == card
        assert await vault.log(OTHER) == []


async def receipt_of(vault, index):
    return await vault.storage.read(SHOP, lambda unit: unit.log.receipt(index))


def _find(folder, secret):
    """Whether any file of the database holds the bytes."""
    return any(secret in file.read_bytes() for file in folder.iterdir())
