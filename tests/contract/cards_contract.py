"""What every CardStore does with many cards; see storage_contract.py."""

import pytest

from gateway.vault.ports import CardFilter
from gateway.words.lifecycles import CardState
from tests.builders.rows import (
    ACCOUNT,
    MOMENT,
    OTHER_TOKEN,
    TOKEN,
    a_card,
    a_reference,
    add_card,
)
from tests.builders.storage import OTHER, SHOP

EVERYTHING = CardFilter()
LETTERS = "bcdfghjk"
TOKENS = [f"card_{letter}{TOKEN[6:]}" for letter in LETTERS]


def some_cards(unit):
    """Stores eight cards; customer, digits and state tell every two apart."""
    for place, token in enumerate(TOKENS):
        card = a_card(
            token,
            customer_reference=("", "customer-1", "customer-2")[place % 3],
            last_four=("4242", "0042")[place % 2],
        )
        add_card(unit, card)
    for token in TOKENS[2:4]:
        unit.cards.erase(token, MOMENT)


def listed(**filters):
    def work(unit):
        found = unit.cards.list(CardFilter(**filters), None, 100)
        return [TOKENS.index(card.token) for card in found]

    return work


class CardListsContract:
    """Lists and look-ups of many cards."""

    @pytest.fixture
    async def filled(self, storage):
        await storage.commit(SHOP, some_cards)
        return storage

    async def test_finds_many_and_leaves_out_what_is_not_there(self, filled):
        wanted = [TOKENS[5], OTHER_TOKEN, TOKENS[2], TOKENS[5]]

        found = await filled.read(SHOP, lambda unit: unit.cards.find_many(wanted))

        assert set(found) == {TOKENS[5], TOKENS[2]}
        for token, card in found.items():
            assert card == await filled.read(
                SHOP, lambda unit, token=token: unit.cards.find(token)
            )
        assert found[TOKENS[2]].state is CardState.ERASED

    async def test_names_the_accounts_that_hold_a_reference(self, filled):
        def work(unit):
            unit.cards.put_reference(TOKENS[0], a_reference())
            unit.cards.put_reference(TOKENS[1], a_reference())
            return unit.cards.holders([TOKENS[0], TOKENS[4], OTHER_TOKEN])

        found = await filled.commit(SHOP, work)

        assert {token: list(names) for token, names in found.items()} == {
            TOKENS[0]: [ACCOUNT]
        }

    @pytest.mark.parametrize(
        ("filters", "places"),
        [
            ({}, [7, 6, 5, 4, 3, 2, 1, 0]),
            ({"state": CardState.ACTIVE}, [7, 6, 5, 4, 1, 0]),
            ({"state": CardState.ERASED}, [3, 2]),
            ({"customer_reference": "customer-1"}, [7, 4, 1]),
            ({"customer_reference": "customer-2"}, [5, 2]),
            ({"customer_reference": "nobody"}, []),
            ({"last_four": "4242"}, [6, 4, 0]),  # 2 is erased, digits and all
            ({"last_four": "0042"}, [7, 5, 1]),
            ({"last_four": "0042", "customer_reference": "customer-1"}, [7, 1]),
            ({"state": CardState.ERASED, "customer_reference": "customer-2"}, [2]),
            ({"state": CardState.ERASED, "last_four": "4242"}, []),
            ({"state": CardState.ACTIVE, "last_four": "4242"}, [6, 4, 0]),
        ],
    )
    async def test_lists_what_matches_newest_first(self, filled, filters, places):
        assert await filled.read(SHOP, listed(**filters)) == places

    async def test_goes_on_after_a_card_whatever_came_meanwhile(self, filled):
        """covers: the promise of page tokens."""
        seen = []

        def page(unit):
            after = seen[-1] if seen else None
            return [card.token for card in unit.cards.list(EVERYTHING, after, 3)]

        while found := await filled.read(SHOP, page):
            seen += found
            newer = f"card_{'lmnpqrstvw'[len(seen)]}{TOKEN[6:]}"
            await filled.commit(
                SHOP, lambda unit, newer=newer: add_card(unit, a_card(newer))
            )

        assert seen == TOKENS[::-1]

    async def test_goes_on_after_a_card_that_was_erased_meanwhile(self, filled):
        await filled.commit(SHOP, lambda unit: unit.cards.erase(TOKENS[4], MOMENT))

        found = await filled.read(
            SHOP, lambda unit: unit.cards.list(EVERYTHING, TOKENS[4], 100)
        )

        assert [card.token for card in found] == TOKENS[3::-1]

    async def test_shows_a_stranger_nothing(self, filled):
        """covers: I9."""

        def look(unit):
            return (
                dict(unit.cards.find_many(TOKENS)),
                dict(unit.cards.holders(TOKENS)),
                list(unit.cards.list(EVERYTHING, None, 100)),
                list(unit.cards.list(EVERYTHING, TOKENS[7], 100)),
                list(unit.cards.list(CardFilter(last_four="4242"), None, 100)),
                list(
                    unit.cards.list(
                        CardFilter(customer_reference="customer-1"), None, 9
                    )
                ),
            )

        await filled.commit(
            SHOP, lambda unit: unit.cards.put_reference(TOKENS[0], a_reference())
        )

        assert await filled.read(OTHER, look) == ({}, {}, [], [], [], [])
