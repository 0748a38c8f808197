"""BatchTokenizeCards: each item by itself, all of them in one commit."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.audit.checkpoint import origin_of
from gateway.audit.receipts import verify_receipt
from gateway.errors import (
    GatewayError,
    KeyUnavailable,
    MerchantNotFound,
    RequestInvalid,
)
from gateway.policy.mandate import Mandate
from gateway.vault.batch_tokenize_cards import RPC, BatchItem, BatchTokenizeCommand
from gateway.vault.sealed_input import BATCH_LABEL, EnvelopeContext
from gateway.words.identifiers import MerchantId
from gateway.words.purposes import Purpose
from tests.builders import sealed_card
from tests.builders.storage import OTHER, SHOP, VAULT
from tests.builders.vault import (
    CALLER,
    CLOSED,
    a_delete_command,
    a_form,
    a_request_id,
    together,
)

GOOD, BAD_LUHN = a_form(), a_form(number="4242424242424241")
EXPIRED = a_form(year=2025)
MASTERCARD = a_form(number="5555555555554444")


def an_item(form=GOOD, place=0, **changes):
    values = {
        "digest": bytes([place]) * 32,
        "form": form,
        "customer_reference": f"customer-{place}",
        "mandate": Mandate(),
    }
    return BatchItem(**values | changes)


def a_batch(*forms, **changes):
    items = [
        form if isinstance(form, GatewayError) else an_item(form, place)
        for place, form in enumerate(forms)
    ]
    values = {
        "merchant": SHOP,
        "caller": CALLER,
        "request_id": a_request_id(),
        "items": items,
    }
    return BatchTokenizeCommand(**values | changes)


def sealed_together(vault, command, together, **changes):
    """Returns the command with its cards in one envelope instead."""
    content = {"sealed_at": sealed_card.CARD["sealed_at"], "cards": together}
    envelope = sealed_card.seal(
        content | changes,
        label=BATCH_LABEL,
        context=EnvelopeContext(merchant=SHOP, rpc=RPC, request_id=command.request_id),
        provider=vault.provider,
    )
    items = [replace(item, form=None) for item in command.items]
    return replace(command, items=items, sealed_batch=envelope)


def a_sealed_card(**changes):
    card = {
        key: sealed_card.CARD[key] for key in sealed_card.CARD if key != "sealed_at"
    }
    return card | changes


def reasons(results):
    """Returns each result's reason, or the last four digits of its card."""
    return [
        result.reason.value
        if isinstance(result, GatewayError)
        else result.card.last_four
        for result in results
    ]


async def cards_in(vault, merchant=SHOP):
    return (await vault.log_types(merchant)).count("card.tokenized")


class TestBatch:
    async def test_answers_each_item_in_its_place(self, vault):
        command = a_batch(
            GOOD, BAD_LUHN, MASTERCARD, EXPIRED, RequestInvalid("mandate", "x"), GOOD
        )

        results = await vault.batch_tokenize_cards.execute(command)

        assert reasons(results) == [
            *("4242", "CARD_INVALID", "4444", "CARD_EXPIRED"),
            *("REQUEST_INVALID", "4242"),
        ]
        for place in (0, 2, 5):
            card = results[place].card
            assert await vault.find(card.token) == card
            assert card.customer_reference == f"customer-{place}"
        assert await cards_in(vault) == 3

    async def test_gives_each_card_a_receipt_that_verifies(self, vault):
        results = await vault.batch_tokenize_cards.execute(a_batch(GOOD, MASTERCARD))

        indexes = [
            verify_receipt(
                result.receipt.entry,
                result.receipt.proof,
                origin=origin_of(VAULT, SHOP, 1),
                public_key=vault.provider.log_public_key,
            ).index
            for result in results
        ]
        log = await vault.log()
        assert [log[index]["type"] for index in indexes] == ["card.tokenized"] * 2
        assert len({result.receipt.proof.split("\n\n")[1] for result in results}) == 1

    async def test_wraps_keys_for_each_items_own_purposes(self, vault):
        """covers: I3."""
        mandates = [
            Mandate(purposes=frozenset({Purpose.RECURRING})),
            Mandate(purposes=frozenset({Purpose.VERIFICATION})),
        ]
        items = [an_item(place=p, mandate=m) for p, m in enumerate(mandates)]

        results = await vault.batch_tokenize_cards.execute(a_batch(items=items))

        for result, mandate in zip(results, mandates, strict=True):
            copies = await vault.keys_of(result.card.token)
            assert {copy.purpose for copy in copies} == {
                *mandate.purposes,
                Purpose.ERASURE,
            }

    async def test_stores_them_in_one_commit(self, vault, monkeypatch):
        await vault.tokenize()  # makes the merchant's wrapping keys
        commits, commit = [], vault.storage.commit

        async def counted(merchant, work):
            commits.append(merchant)
            return await commit(merchant, work)

        monkeypatch.setattr(vault.storage, "commit", counted)
        results = await vault.batch_tokenize_cards.execute(a_batch(*[GOOD] * 100))

        assert len({result.card.token for result in results}) == 100
        assert commits == [SHOP]

    async def test_writes_one_denial_for_all_that_a_rule_refuses(self, vault):
        results = await vault.batch_tokenize_cards.execute(
            a_batch(GOOD, BAD_LUHN, GOOD, merchant=CLOSED)
        )

        assert reasons(results) == ["POLICY_DENIED", "CARD_INVALID", "POLICY_DENIED"]
        assert results[0].metadata["rule"] == "merchant-deactivated"
        denial = (await vault.log(CLOSED))[-1]
        assert (denial["type"], denial["count"]) == ("use.denied", 2)
        assert (await vault.log_types(CLOSED)).count("use.denied") == 1

    async def test_knows_no_merchant_that_does_not_exist(self, vault):
        with pytest.raises(MerchantNotFound):
            await vault.batch_tokenize_cards.execute(
                a_batch(GOOD, merchant=MerchantId("nobody"))
            )

    async def test_stores_nothing_when_the_keys_are_away(self, vault):
        vault.provider.is_reachable = False
        command = a_batch(GOOD, MASTERCARD)

        with pytest.raises(KeyUnavailable):
            await vault.batch_tokenize_cards.execute(command)

        vault.provider.is_reachable = True
        assert await vault.log() == []
        results = await vault.batch_tokenize_cards.execute(command)
        assert [result.replayed for result in results] == [False, False]


class TestSameBatchAgain:
    async def test_returns_the_same_tokens(self, vault):
        command = a_batch(GOOD, BAD_LUHN, MASTERCARD)
        first = await vault.batch_tokenize_cards.execute(command)

        again = await vault.batch_tokenize_cards.execute(command)

        assert reasons(again) == reasons(first)
        for place in (0, 2):
            assert again[place].replayed
            assert again[place].card == first[place].card
            assert again[place].receipt.entry == first[place].receipt.entry
        assert await cards_in(vault) == 2

    async def test_stores_what_was_mended(self, vault):
        command = a_batch(GOOD, BAD_LUHN)
        first = await vault.batch_tokenize_cards.execute(command)
        mended = replace(
            command, items=[command.items[0], an_item(MASTERCARD, place=7)]
        )

        again = await vault.batch_tokenize_cards.execute(mended)

        assert again[0].card == first[0].card
        assert [result.replayed for result in again] == [True, False]
        assert await cards_in(vault) == 2

    async def test_refuses_another_card_in_the_place_of_a_stored_one(self, vault):
        command = a_batch(GOOD, GOOD)
        first = await vault.batch_tokenize_cards.execute(command)
        other = replace(command, items=[an_item(MASTERCARD, place=9), command.items[1]])

        again = await vault.batch_tokenize_cards.execute(other)

        assert reasons(again) == ["REQUEST_ID_REUSED", "4242"]
        assert again[1].card == first[1].card
        for _ in range(2):
            await vault.batch_tokenize_cards.execute(other)
        burnt = await vault.batch_tokenize_cards.execute(command)
        assert reasons(burnt) == ["REQUEST_ID_REUSED", "4242"]
        assert await cards_in(vault) == 2

    async def test_shows_cards_as_they_are_now(self, vault):
        command = a_batch(GOOD, GOOD)
        first = await vault.batch_tokenize_cards.execute(command)
        await vault.delete_card_token.execute(a_delete_command(first[0].card.token))

        again = await vault.batch_tokenize_cards.execute(command)

        assert reasons(again) == ["", "4242"]

    async def test_a_race_stores_each_card_once(self, vault, monkeypatch):
        """covers: I6."""
        command = a_batch(GOOD, MASTERCARD)
        prepare = together(5, vault.seal_card.prepare_all)
        monkeypatch.setattr(vault.seal_card, "prepare_all", prepare)

        done = await asyncio.gather(
            *(vault.batch_tokenize_cards.execute(command) for _ in range(5))
        )

        assert len({tuple(r.card.token for r in results) for results in done}) == 1
        assert await cards_in(vault) == 2

    async def test_merchants_do_not_share_request_ids(self, vault):
        """covers: I9."""
        command = a_batch(GOOD)
        [first] = await vault.batch_tokenize_cards.execute(command)

        [other] = await vault.batch_tokenize_cards.execute(
            replace(command, merchant=OTHER)
        )

        assert not other.replayed
        assert other.card.token != first.card.token


class TestOneEnvelope:
    async def test_holds_the_cards_of_all_items(self, vault):
        cards = [a_sealed_card(), a_sealed_card(number="5555555555554444")]
        command = sealed_together(vault, a_batch(GOOD, GOOD), cards)

        results = await vault.batch_tokenize_cards.execute(command)

        assert reasons(results) == ["4242", "4444"]
        again = await vault.batch_tokenize_cards.execute(command)
        assert [r.card for r in again] == [r.card for r in results]

    async def test_may_hold_cards_that_cannot_be_taken(self, vault):
        cards = [
            a_sealed_card(number="4242424242424241"),
            a_sealed_card(surprise=1),
            "no card",
            a_sealed_card(billing={"country": "XX"}),
            a_sealed_card(sealed_at="2026-11-25T12:00:00Z"),
            a_sealed_card(),
        ]
        command = sealed_together(vault, a_batch(*[GOOD] * 6), cards)

        results = await vault.batch_tokenize_cards.execute(command)

        assert reasons(results) == [
            *("CARD_INVALID", "SEALED_CARD_REJECTED", "SEALED_CARD_REJECTED"),
            *("CARD_INVALID", "SEALED_CARD_REJECTED", "4242"),
        ]

    @pytest.mark.parametrize("count", [0, 1, 3])
    async def test_must_hold_as_many_cards_as_there_are_items(self, vault, count):
        cards = [a_sealed_card()] * count
        command = sealed_together(vault, a_batch(GOOD, GOOD), cards)

        results = await vault.batch_tokenize_cards.execute(command)

        assert reasons(results) == ["REQUEST_INVALID"] * 2
        assert await vault.log() == []

    @pytest.mark.parametrize(
        "changes",
        [
            {"sealed_at": "2026-11-25T11:40:00Z"},
            {"cards": "none"},
            {"another": 1},
        ],
    )
    async def test_is_refused_when_stale_or_malformed(self, vault, changes):
        command = sealed_together(vault, a_batch(GOOD), [a_sealed_card()], **changes)

        results = await vault.batch_tokenize_cards.execute(command)

        assert reasons(results) == ["SEALED_CARD_REJECTED"]

    async def test_opens_for_no_other_call(self, vault):
        command = sealed_together(vault, a_batch(GOOD), [a_sealed_card()])
        moved = replace(command, request_id=a_request_id())

        results = await vault.batch_tokenize_cards.execute(moved)

        assert reasons(results) == ["SEALED_CARD_REJECTED"]

    async def test_is_not_opened_again_for_what_is_stored(self, vault):
        command = sealed_together(vault, a_batch(GOOD), [a_sealed_card()])
        await vault.batch_tokenize_cards.execute(command)
        vault.clock.move(timedelta(days=500))

        [again] = await vault.batch_tokenize_cards.execute(command)

        assert again.replayed


class TestManyEnvelopes:
    async def test_open_in_their_own_places_only(self, vault):
        request_id = a_request_id()
        forms = [
            sealed_card.seal(
                sealed_card.CARD,
                context=EnvelopeContext(
                    merchant=SHOP, rpc=RPC, request_id=request_id, item=item
                ),
                provider=vault.provider,
            )
            for item in (0, 2, 1, 3)
        ]

        results = await vault.batch_tokenize_cards.execute(
            a_batch(*forms, request_id=request_id)
        )

        assert reasons(results) == [
            "4242",
            "SEALED_CARD_REJECTED",
            "SEALED_CARD_REJECTED",
            "4242",
        ]
