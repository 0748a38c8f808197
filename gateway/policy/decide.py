"""Whether a use of a card is allowed: one pure function over a closed domain.

The first rule that applies decides, in the order of the code; whatever no rule allows
is denied. docs/policy.md prints the table (``python -m gateway.policy.show``), and a
test compares it with the whole product of the arguments.

Invariants:
  * No policy version and no mandate can allow a purpose of ``NEVER_ALLOWED``.
  * Erasure is always allowed, whatever the state of merchant, card and policy.
  * Deactivation stops every use but erasure and moving the card to another vault.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.words.lifecycles import CardState, MerchantState
from gateway.words.purposes import (
    GRANTABLE,
    NEVER_ALLOWED,
    PAYMENT_PURPOSES,
    Purpose,
    Verb,
)


@dataclass(frozen=True, slots=True)
class Decision:
    """Allowed or denied, and the name of the rule that said so."""

    allowed: bool
    rule: str


# Which purposes a verb can serve. A charge cannot claim to be a verification. A card is
# tokenized for every purpose that its mandate grants.
PURPOSES_OF: Final[Mapping[Verb, frozenset[Purpose]]] = MappingProxyType(
    {
        Verb.TOKENIZE: GRANTABLE,
        Verb.CHARGE: PAYMENT_PURPOSES,
        Verb.VERIFY: frozenset({Purpose.VERIFICATION}),
        Verb.ERASE: frozenset({Purpose.ERASURE}),
        Verb.TRANSFER: frozenset({Purpose.TRANSFER}),
    }
)

_NEVER: Final = Decision(allowed=False, rule="purpose-never-allowed")
_MISFIT: Final = Decision(allowed=False, rule="verb-does-not-fit-purpose")
_ERASED: Final = Decision(allowed=False, rule="card-erased")
_DEACTIVATED: Final = Decision(allowed=False, rule="merchant-deactivated")
_NOT_IN_POLICY: Final = Decision(allowed=False, rule="not-in-policy")
_NOT_GRANTED: Final = Decision(allowed=False, rule="not-granted")
_ALLOWED: Final = Decision(allowed=True, rule="granted")
_ERASURE: Final = Decision(allowed=True, rule="erasure-always")


def decide(  # noqa: PLR0911 - a table of rules, each with its own answer
    *,
    verb: Verb,
    purpose: Purpose,
    granted: bool,
    in_policy: bool,
    merchant: MerchantState,
    card: CardState,
) -> Decision:
    """Decides one use of one card.

    Args:
        verb: What the call does.
        purpose: What the caller declares it is for.
        granted: Whether the mandate grants the purpose now and a key for it exists.
        in_policy: Whether the policy in force for the merchant allows the purpose.
        merchant: The merchant's state.
        card: The card's state.
    """
    if purpose in NEVER_ALLOWED:
        return _NEVER
    if purpose not in PURPOSES_OF[verb]:
        return _MISFIT
    if verb is Verb.ERASE:
        return _ERASURE
    if card is not CardState.ACTIVE:
        return _ERASED
    if merchant is not MerchantState.ACTIVE and verb is not Verb.TRANSFER:
        return _DEACTIVATED
    if not in_policy:
        return _NOT_IN_POLICY
    return _ALLOWED if granted else _NOT_GRANTED
