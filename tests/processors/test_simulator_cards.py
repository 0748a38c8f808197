"""The table of test cards, and the page that prints it."""

import re
from pathlib import Path

import pytest

from gateway.cards.luhn import passes_luhn
from gateway.cards.pan import Pan
from gateway.payments.decline_reasons import DeclineReason
from gateway.payments.processor import DeclineClass
from gateway.processors.simulator.__main__ import _epilog
from gateway.processors.simulator.cards import CARDS, card_that
from gateway.processors.simulator.declines import REASONS_BY_CODE, decline_for
from gateway.processors.simulator.faults import FAULTS

PAGE = Path(__file__).parents[2] / "docs/processors/simulator.md"
ROW = re.compile(r"^\| `(?P<name>[^`]+)` \| (?P<does>[^|]+) \|", re.MULTILINE)


def rows(heading):
    """Returns the first two columns of the table under a heading."""
    section = PAGE.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [(row["name"], row["does"].strip()) for row in ROW.finditer(section)]


class TestCards:
    def test_are_those_of_the_page(self):
        assert rows("Test cards") == [(card.number, card.does) for card in CARDS]

    def test_are_numbers_that_the_vault_takes(self):
        for card in CARDS:
            assert passes_luhn(card.number)
            Pan(card.number)

    def test_are_listed_once(self):
        assert len({card.number for card in CARDS}) == len(CARDS)

    def test_behave_alike_under_one_name(self):
        for card in CARDS:
            twin = card_that(card.behaviour)
            assert card.decline_code == twin.decline_code
            assert card.authentication == twin.authentication

    def test_are_declined_for_reasons_that_are_known(self):
        codes = {card.decline_code for card in CARDS} - {""}
        assert codes <= set(REASONS_BY_CODE)


class TestDeclines:
    def test_are_those_of_the_page(self):
        expected = [(code, reason.value) for code, reason in REASONS_BY_CODE.items()]
        assert rows("Decline codes") == expected

    def test_have_a_code_for_every_reason(self):
        assert set(REASONS_BY_CODE.values()) == set(DeclineReason) - {
            DeclineReason.OTHER
        }

    @pytest.mark.parametrize("code", ["", "card_declined", "a_code_from_the_future"])
    def test_never_take_an_unknown_code_for_a_soft_one(self, code, caplog):
        decline = decline_for(code)

        assert decline.reason == DeclineReason.OTHER
        assert decline.decline_class is not DeclineClass.SOFT
        assert "unmapped decline code" in caplog.messages


class TestPage:
    def test_lists_every_fault(self):
        expected = [(kind.value, does) for kind, does in FAULTS.items()]
        assert rows("Faults") == expected

    def test_help_lists_cards_and_faults(self):
        text = _epilog()
        assert all(card.number in text for card in CARDS)
        assert all(kind.value in text for kind in FAULTS)
