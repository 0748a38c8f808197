"""A card goes in, a token comes out, once for each request. covers: I3, I7."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.audit.checkpoint import origin_of
from gateway.audit.receipts import verify_receipt
from gateway.errors import (
    CardExpired,
    CardInvalid,
    KeyUnavailable,
    MerchantNotFound,
    PolicyDenied,
    RequestIdReused,
    SealedCardRejected,
)
from gateway.policy.mandate import Mandate
from gateway.vault.ports import KeyKind, SealedReference
from gateway.vault.sealed_input import EnvelopeContext
from gateway.vault.tokenize_card import RPC
from gateway.words.identifiers import MerchantId, is_name
from gateway.words.lifecycles import CardState
from gateway.words.purposes import Purpose
from tests.builders import sealed_card
from tests.builders.policies import publish, without_recurring
from tests.builders.storage import NOW, OTHER, SHOP, VAULT
from tests.builders.vault import (
    CALLER,
    CLOSED,
    NUMBER,
    a_delete_command,
    a_form,
    a_request_id,
    a_tokenize_command,
    an_account,
    together,
)

TOKENIZED, DENIED = "card.tokenized", "use.denied"


def a_sealed_form(vault, request_id, merchant=SHOP):
    context = EnvelopeContext(merchant=merchant, rpc=RPC, request_id=request_id)
    return sealed_card.seal(sealed_card.CARD, context=context, provider=vault.provider)


async def mismatches(vault, command):
    record = await vault.storage.read(
        SHOP, lambda unit: unit.requests.find(RPC, command.request_id)
    )
    return record.mismatches


async def cards_in(vault, merchant=SHOP):
    return (await vault.log_types(merchant)).count(TOKENIZED)


class TestTokenizeCard:
    async def test_returns_a_token_that_shows_little(self, vault):
        done = await vault.tokenize_card.execute(a_tokenize_command())

        assert is_name("card", done.card.token)
        assert done.card.brand == "visa"
        assert done.card.last_four == "4242"
        assert done.card.state is CardState.ACTIVE
        assert not done.replayed
        assert NUMBER not in repr(done)
        assert "Zoë" not in repr(done)
        assert await vault.find(done.card.token) == done.card

    async def test_gives_a_receipt_that_verifies(self, vault):
        done = await vault.tokenize_card.execute(a_tokenize_command())

        verified = verify_receipt(
            done.receipt.entry,
            done.receipt.proof,
            origin=origin_of(VAULT, SHOP, 1),
            public_key=vault.provider.log_public_key,
        )
        entry = (await vault.log())[verified.index]
        assert entry["type"] == TOKENIZED
        assert entry["caller"] == CALLER
        assert len(done.receipt.card_salt) == 16
        assert done.card.token.encode() not in done.receipt.entry

    async def test_takes_a_sealed_card(self, vault):
        request_id = a_request_id()
        command = a_tokenize_command(
            request_id=request_id, form=a_sealed_form(vault, request_id)
        )

        done = await vault.tokenize_card.execute(command)

        assert done.card.last_four == "4242"

    async def test_keeps_what_the_cardholder_agreed_to(self, vault):
        mandate = Mandate(
            purposes=frozenset({Purpose.RECURRING}),
            agreement_reference="agreement 7",
            expires_at=NOW + timedelta(days=1),
        )

        card = await vault.tokenize(mandate=mandate)

        assert (await vault.find(card.token)).mandate == mandate

    async def test_wraps_keys_for_granted_purposes_only(self, vault):
        """The card key for the granted ones; the reference key for erasure too."""
        granted = {Purpose.RECURRING, Purpose.VERIFICATION}

        card = await vault.tokenize(purposes=granted)

        copies = [(copy.kind, copy.purpose) for copy in await vault.keys_of(card.token)]
        expected = [(KeyKind.CARD, purpose) for purpose in granted]
        expected += [(KeyKind.REFERENCE, purpose) for purpose in granted]
        expected += [(KeyKind.REFERENCE, Purpose.ERASURE)]
        assert sorted(copies) == sorted(expected)

    async def test_leaves_no_number_in_any_file(self, vault):
        card = await vault.tokenize()

        for file in vault.folder.iterdir():
            content = file.read_bytes()
            assert NUMBER.encode() not in content
            assert "Nguyễn".encode() not in content
        assert NUMBER.encode() not in card.sealed

    async def test_tells_equal_cards_of_one_merchant_from_others(self, vault):
        cards = [
            await vault.tokenize(),
            await vault.tokenize(),
            await vault.tokenize(form=a_form(year=2031)),
            await vault.tokenize(merchant=OTHER),
        ]

        numbers = [card.number_fingerprint for card in cards]
        expiries = [card.expiry_fingerprint for card in cards]
        assert numbers[0] == numbers[1] == numbers[2] != numbers[3]
        assert expiries[0] == expiries[1] != expiries[2]
        assert len({card.token for card in cards}) == 4


class TestSameRequestAgain:
    async def test_returns_the_same_token(self, vault):
        """Its times too: they are kept to the millisecond."""
        vault.clock.move(timedelta(microseconds=123456))
        command = a_tokenize_command()
        first = await vault.tokenize_card.execute(command)

        again = await vault.tokenize_card.execute(command)

        assert again.replayed
        assert again.card == first.card
        assert again.receipt.entry == first.receipt.entry
        assert await cards_in(vault) == 1

    async def test_opens_no_envelope(self, vault):
        """A retry comes later than any envelope may be, with the same envelope."""
        request_id = a_request_id()
        command = a_tokenize_command(
            request_id=request_id, form=a_sealed_form(vault, request_id)
        )
        first = await vault.tokenize_card.execute(command)
        vault.clock.move(timedelta(days=500))

        again = await vault.tokenize_card.execute(command)

        assert again.card.token == first.card.token

    async def test_returns_the_card_as_it_is_now(self, vault):
        command = a_tokenize_command()
        first = await vault.tokenize_card.execute(command)
        await vault.delete_card_token.execute(a_delete_command(first.card.token))

        again = await vault.tokenize_card.execute(command)

        assert again.card.state is CardState.ERASED
        assert again.card.last_four == ""
        assert again.receipt.card_salt is None

    async def test_names_the_accounts_that_hold_a_reference(self, vault):
        command = a_tokenize_command()
        first = await vault.tokenize_card.execute(command)
        reference = SealedReference(
            account_id=an_account().account_id, generation=1, sealed=b"sealed"
        )
        await vault.storage.commit(
            SHOP, lambda unit: unit.cards.put_reference(first.card.token, reference)
        )

        again = await vault.tokenize_card.execute(command)

        assert again.accounts == [an_account().account_id]

    async def test_a_race_of_equal_requests_makes_one_token(self, vault, monkeypatch):
        """covers: I6."""
        command = a_tokenize_command()
        prepare = together(20, vault.seal_card.prepare)
        monkeypatch.setattr(vault.seal_card, "prepare", prepare)

        done = await asyncio.gather(
            *(vault.tokenize_card.execute(command) for _ in range(20))
        )

        assert len({one.card.token for one in done}) == 1
        assert [one.replayed for one in done].count(False) == 1
        assert await cards_in(vault) == 1

    async def test_another_request_with_the_id_is_refused_and_counted(self, vault):
        command = a_tokenize_command()
        await vault.tokenize_card.execute(command)

        with pytest.raises(RequestIdReused):
            await vault.tokenize_card.execute(replace(command, digest=b"x" * 32))
        assert await mismatches(vault, command) == 1
        assert (await vault.tokenize_card.execute(command)).replayed

    async def test_three_other_requests_burn_the_id(self, vault):
        command = a_tokenize_command()
        await vault.tokenize_card.execute(command)
        for _ in range(3):
            with pytest.raises(RequestIdReused):
                await vault.tokenize_card.execute(replace(command, digest=b"x" * 32))

        with pytest.raises(RequestIdReused):
            await vault.tokenize_card.execute(command)

    async def test_a_race_of_different_requests_counts_the_loser_once(
        self, vault, monkeypatch
    ):
        prepare = together(2, vault.seal_card.prepare)
        monkeypatch.setattr(vault.seal_card, "prepare", prepare)
        command = a_tokenize_command()
        other = replace(command, digest=b"x" * 32)

        done = await asyncio.gather(
            vault.tokenize_card.execute(command),
            vault.tokenize_card.execute(other),
            return_exceptions=True,
        )

        assert sorted(type(one).__name__ for one in done) == [
            "RequestIdReused",
            "Tokenized",
        ]
        assert await mismatches(vault, command) == 1
        assert await cards_in(vault) == 1

    async def test_merchants_do_not_share_request_ids(self, vault):
        """covers: I9."""
        command = a_tokenize_command()
        first = await vault.tokenize_card.execute(command)

        other = await vault.tokenize_card.execute(replace(command, merchant=OTHER))

        assert not other.replayed
        assert other.card.token != first.card.token


class TestRefusal:
    @pytest.mark.parametrize(
        ("form", "error"),
        [
            (a_form(number="4242424242424241"), CardInvalid),
            (a_form(number="4242 4242 4242 4242"), CardInvalid),
            (a_form(year=2025), CardExpired),
            (replace(a_form(), expiry_month=13), CardInvalid),
        ],
    )
    async def test_records_nothing_of_a_card_that_cannot_be(self, vault, form, error):
        command = a_tokenize_command(form=form)

        with pytest.raises(error):
            await vault.tokenize_card.execute(command)

        assert await vault.log() == []
        again = await vault.tokenize_card.execute(replace(command, form=a_form()))
        assert not again.replayed

    async def test_records_nothing_of_an_envelope_for_another_call(self, vault):
        form = a_sealed_form(vault, a_request_id())

        with pytest.raises(SealedCardRejected):
            await vault.tokenize_card.execute(a_tokenize_command(form=form))
        assert await vault.log() == []

    async def test_refuses_a_merchant_that_does_not_exist(self, vault):
        command = a_tokenize_command(merchant=MerchantId("nobody"))

        with pytest.raises(MerchantNotFound):
            await vault.tokenize_card.execute(command)

    async def test_stores_nothing_when_the_keys_are_away(self, vault):
        vault.provider.is_reachable = False
        command = a_tokenize_command()

        with pytest.raises(KeyUnavailable):
            await vault.tokenize_card.execute(command)

        vault.provider.is_reachable = True
        assert await vault.log() == []
        assert not (await vault.tokenize_card.execute(command)).replayed

    async def test_stores_nothing_for_a_deactivated_merchant(self, vault):
        """covers: I8. DeactivateMerchant stops tokenizing, and the log says so."""
        command = a_tokenize_command(merchant=CLOSED)

        with pytest.raises(PolicyDenied) as caught:
            await vault.tokenize_card.execute(command)

        assert caught.value.metadata["rule"] == "merchant-deactivated"
        denial = (await vault.log(CLOSED))[-1]
        assert denial["type"] == DENIED
        assert denial["action"] == "tokenize"
        assert denial["rule"] == "merchant-deactivated"
        assert "card" not in denial
        assert await cards_in(vault, CLOSED) == 0

    async def test_stores_nothing_for_a_purpose_outside_the_policy(self, vault):
        await publish(
            vault.storage, vault.clock, vault.policy_time, without_recurring()
        )

        with pytest.raises(PolicyDenied) as caught:
            await vault.tokenize(purposes={Purpose.RECURRING, Purpose.VERIFICATION})

        assert caught.value.metadata == {
            "rule": "not-in-policy",
            "purpose": "payment.recurring",
        }
        assert await cards_in(vault) == 0
        await vault.tokenize(purposes={Purpose.VERIFICATION})
