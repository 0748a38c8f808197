"""The decision, over the whole product of its arguments. covers: I3."""

import re
import time
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from gateway.policy.decide import PURPOSES_OF, decide
from gateway.policy.show import BEGIN, END, rewrite, table
from gateway.words.lifecycles import CardState, MerchantState
from gateway.words.purposes import (
    GRANTABLE,
    MERCHANT_INITIATED,
    NEVER_ALLOWED,
    PAYMENT_PURPOSES,
    Purpose,
    Verb,
)

PAGE = Path(__file__).parents[2] / "docs" / "policy.md"
WHOLE_PRODUCT: list[dict[str, Any]] = [
    {
        "verb": verb,
        "purpose": purpose,
        "card": card,
        "merchant": merchant,
        "in_policy": in_policy,
        "granted": granted,
    }
    for verb, purpose, card, merchant, in_policy, granted in product(
        Verb, Purpose, CardState, MerchantState, (True, False), (True, False)
    )
]
ALLOWING: dict[str, Any] = {
    "granted": True,
    "in_policy": True,
    "merchant": MerchantState.ACTIVE,
    "card": CardState.ACTIVE,
}


def printed_rows():
    """Reads the table of docs/policy.md with no help from the code that wrote it."""
    text = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def fits(row, combination):
    """Whether a printed row speaks about a combination."""
    verb, purposes, card, merchant, in_policy, granted, _, _ = row
    yes_no = {True: "yes", False: "no"}
    return (
        verb == combination["verb"].value
        and combination["purpose"].value in re.findall(r"`([^`]+)`", purposes)
        and card in ("any", combination["card"].value)
        and merchant in ("any", combination["merchant"].value)
        and in_policy in ("any", yes_no[combination["in_policy"]])
        and granted in ("any", yes_no[combination["granted"]])
    )


class TestDecide:
    def test_the_page_prints_what_the_code_decides(self):
        rows = printed_rows()

        assert len(WHOLE_PRODUCT) == 960
        for combination in WHOLE_PRODUCT:
            decision = decide(**combination)
            fitting = [row[-2:] for row in rows if fits(row, combination)]
            word = "**allowed**" if decision.allowed else "denied"
            assert fitting == [[word, f"`{decision.rule}`"]], combination

    def test_allows_nothing_but_what_a_person_would_list(self):
        """Written by hand, so that code and page cannot be wrong together."""
        granted = {(Verb.VERIFY, Purpose.VERIFICATION)}
        granted |= {(Verb.CHARGE, purpose) for purpose in PAYMENT_PURPOSES}
        granted |= {(Verb.TOKENIZE, purpose) for purpose in GRANTABLE}
        for combination in WHOLE_PRODUCT:
            pair = combination["verb"], combination["purpose"]
            facts = {name: combination[name] for name in ALLOWING}
            expected = (
                pair == (Verb.ERASE, Purpose.ERASURE)
                or (pair in granted and facts == ALLOWING)
                or (
                    pair == (Verb.TRANSFER, Purpose.TRANSFER)
                    and facts | {"merchant": MerchantState.ACTIVE} == ALLOWING
                )
            )
            assert decide(**combination).allowed is expected, combination

    @pytest.mark.parametrize("purpose", sorted(NEVER_ALLOWED))
    @pytest.mark.parametrize("verb", Verb)
    def test_names_the_purposes_that_nothing_can_allow(self, verb, purpose):
        decision = decide(verb=verb, purpose=purpose, **ALLOWING)

        assert (decision.allowed, decision.rule) == (False, "purpose-never-allowed")

    @pytest.mark.parametrize("purpose", sorted(MERCHANT_INITIATED))
    def test_denies_a_charge_that_was_not_granted(self, purpose):
        decision = decide(
            verb=Verb.CHARGE, purpose=purpose, **ALLOWING | {"granted": False}
        )

        assert (decision.allowed, decision.rule) == (False, "not-granted")

    @pytest.mark.parametrize("verb", [Verb.TOKENIZE, Verb.CHARGE, Verb.VERIFY])
    def test_deactivation_stops_new_uses(self, verb):
        facts = ALLOWING | {"merchant": MerchantState.DEACTIVATED}
        for purpose in PURPOSES_OF[verb]:
            decision = decide(verb=verb, purpose=purpose, **facts)

            assert (decision.allowed, decision.rule) == (False, "merchant-deactivated")

    def test_a_policy_that_allows_nothing_still_allows_erasure(self):
        decision = decide(
            verb=Verb.ERASE,
            purpose=Purpose.ERASURE,
            granted=False,
            in_policy=False,
            merchant=MerchantState.DEACTIVATED,
            card=CardState.ERASED,
        )

        assert decision.allowed

    def test_every_rule_is_explained_on_the_page(self):
        explained = set(
            re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text("utf-8"), re.M)
        )
        rules = {decide(**combination).rule for combination in WHOLE_PRODUCT}

        # The last is the door's own check, after the table.
        assert explained == rules | {"no-key-for-purpose"}

    def test_takes_two_microseconds(self):
        combination: dict[str, Any] = {
            "verb": Verb.CHARGE,
            "purpose": Purpose.RECURRING,
            **ALLOWING,
        }
        samples = []
        for _ in range(51):
            started = time.perf_counter()
            for _ in range(200):
                decide(**combination)
            samples.append((time.perf_counter() - started) / 200)

        # Twice the promise: the machine that runs this may be busy.
        assert median(samples) < 4e-6


class TestShow:
    def test_the_page_is_as_the_generator_writes_it(self, tmp_path):
        copy = tmp_path / "policy.md"
        copy.write_bytes(PAGE.read_bytes())

        rewrite(copy)

        assert copy.read_text("utf-8") == PAGE.read_text("utf-8")
        assert table() in copy.read_text("utf-8")
