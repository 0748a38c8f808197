"""The test cards of the simulated bank: which published number does what.

The numbers are the ones that Stripe publishes for testing, with the same outcomes
(https://docs.stripe.com/testing). Invariants:
  * Any other number is declined when it is stored: by ``incorrect_number`` if its check
    digit is wrong, else by ``test_mode_live_card``. A real card never goes further.
  * docs/processors/simulator.md prints this table; a test compares them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from gateway.cards.luhn import passes_luhn


class Authentication(StrEnum):
    """When the bank wants to see the cardholder (3-D Secure)."""

    NEVER = "never"
    UNLESS_SET_UP = "unless_set_up"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedCard:
    """One test card. ``decline_code`` is the bank's answer to every charge.

    ``behaviour`` stands in the ledger in the number's place.
    """

    number: str
    behaviour: str
    does: str
    decline_code: str = ""
    authentication: Authentication = Authentication.NEVER


def _ok(number: str, brand: str) -> SimulatedCard:
    return SimulatedCard(number=number, behaviour="ok", does=f"succeeds ({brand})")


def _declined(number: str, code: str, behaviour: str = "") -> SimulatedCard:
    return SimulatedCard(
        number=number,
        behaviour=behaviour or code,
        does=f"is declined with {code}",
        decline_code=code,
    )


CARDS: Final[tuple[SimulatedCard, ...]] = (
    _ok("4242424242424242", "Visa"),
    _ok("4000056655665556", "Visa debit"),
    _ok("4111111111111111", "Visa"),
    _ok("4012888888881881", "Visa"),
    _ok("5555555555554444", "Mastercard"),
    _ok("2223003122003222", "Mastercard, 2-series"),
    _ok("5200828282828210", "Mastercard debit"),
    _ok("5105105105105100", "Mastercard prepaid"),
    _ok("378282246310005", "American Express"),
    _ok("371449635398431", "American Express"),
    _ok("6011111111111117", "Discover"),
    _ok("6011000990139424", "Discover"),
    _ok("6011981111111113", "Discover debit"),
    _ok("3056930009020004", "Diners Club"),
    _ok("36227206271667", "Diners Club, 14 digits"),
    _ok("30569309025904", "Diners Club, 14 digits"),
    _ok("38520000023237", "Diners Club, 14 digits"),
    _ok("6555900000604105", "BCcard and DinaCard"),
    _ok("3566002020360505", "JCB"),
    _ok("3530111333300000", "JCB"),
    _ok("6200000000000005", "UnionPay"),
    _ok("6200000000000047", "UnionPay debit"),
    _ok("6205500000000000004", "UnionPay, 19 digits"),
    _ok("4000000000000077", "Visa"),
    _ok("4000000000000010", "Visa; the address checks it fails are not simulated"),
    _ok("4000000000000028", "Visa; the address check it fails is not simulated"),
    _ok("4000000000000036", "Visa; the postcode check it fails is not simulated"),
    _ok("4000000000000101", "Visa; the code check it fails is not simulated"),
    _ok("4000000000000259", "Visa; its dispute is not simulated"),
    _ok("4000000000003055", "Visa; authentication is optional"),
    _declined("4000000000000002", "generic_decline"),
    _declined("4000000000009995", "insufficient_funds"),
    _declined("4000000000009987", "lost_card"),
    _declined("4000000000009979", "stolen_card"),
    _declined("4000000000000069", "expired_card"),
    _declined("4000000000000127", "incorrect_cvc"),
    _declined("4000000000000119", "processing_error"),
    _declined("4000000000006975", "card_velocity_exceeded"),
    _declined("4100000000000019", "fraudulent"),
    SimulatedCard(
        number="4000000000000341",
        behaviour="fails_when_charged",
        does="can be stored; every charge is declined with generic_decline",
        decline_code="generic_decline",
    ),
    SimulatedCard(
        number="4000002500003155",
        behaviour="authenticates_unless_set_up",
        does="needs authentication until it was stored with one",
        authentication=Authentication.UNLESS_SET_UP,
    ),
    SimulatedCard(
        number="4000002760003184",
        behaviour="authenticates_always",
        does="needs authentication for every charge",
        authentication=Authentication.ALWAYS,
    ),
    SimulatedCard(
        number="4000000000003220",
        behaviour="authenticates_always",
        does="needs authentication for every charge",
        authentication=Authentication.ALWAYS,
    ),
    SimulatedCard(
        number="4000008260003178",
        behaviour="authenticates_then_insufficient_funds",
        does="needs authentication, then is declined with insufficient_funds",
        decline_code="insufficient_funds",
        authentication=Authentication.ALWAYS,
    ),
)

_BY_NUMBER: Final[Mapping[str, SimulatedCard]] = MappingProxyType(
    {card.number: card for card in CARDS}
)
_BY_BEHAVIOUR: Final[Mapping[str, SimulatedCard]] = MappingProxyType(
    {card.behaviour: card for card in reversed(CARDS)}
)


def find_card(number: str) -> SimulatedCard | None:
    """Returns the test card with this number."""
    return _BY_NUMBER.get(number)


def card_that(behaviour: str) -> SimulatedCard:
    """Returns the first test card with this behaviour.

    Raises:
        KeyError: No card does that.
    """
    return _BY_BEHAVIOUR[behaviour]


def refusal_code(number: str) -> str:
    """Returns why a number that is no test card cannot be stored."""
    well_formed = number.isascii() and number.isdigit() and passes_luhn(number)
    return "test_mode_live_card" if well_formed else "incorrect_number"
