"""Which test card does what. docs/processors/simulator.md prints this table.

The numbers are those that Stripe publishes for testing (docs.stripe.com/testing).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a card does when it is stored or charged."""

    name: str
    decline: str = ""
    refuse_storing: str = ""
    needs_action: bool = False


OK: Final = Behaviour("ok")

# Test card -> behaviour. Every other number is charged.
TEST_CARDS: Final[Mapping[str, Behaviour]] = MappingProxyType(
    {
        "4242424242424242": OK,
        "5555555555554444": OK,
        "378282246310005": OK,
        "4000000000000002": Behaviour("generic_decline", decline="generic_decline"),
        "4000000000009995": Behaviour(
            "insufficient_funds", decline="insufficient_funds"
        ),
        "4000000000009987": Behaviour("lost_card", decline="lost_card"),
        "4000000000009979": Behaviour("stolen_card", decline="stolen_card"),
        "4000000000000069": Behaviour("expired_card", decline="expired_card"),
        "4000000000000127": Behaviour("incorrect_cvc", decline="incorrect_cvc"),
        "4000000000000119": Behaviour("processing_error", decline="processing_error"),
        "4000000000000341": Behaviour("charge_fails", decline="generic_decline"),
        "4100000000000019": Behaviour("blocked", decline="fraudulent"),
        "4000002500003155": Behaviour("needs_action", needs_action=True),
        "4242424242424241": Behaviour(
            "incorrect_number", refuse_storing="incorrect_number"
        ),
    }
)
_BY_NAME: Final = {behaviour.name: behaviour for behaviour in TEST_CARDS.values()}


def behaviour_of(number_or_name: str) -> Behaviour:
    """Returns the behaviour of a card number, or of a stored behaviour's name."""
    found = TEST_CARDS.get(number_or_name) or _BY_NAME.get(number_or_name)
    return found or OK
