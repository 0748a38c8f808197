"""What a policy allows, one smallest combination at a time, and how two compare.

Invariants:
  * Whatever is not listed is not allowed.
  * No table can hold a purpose of ``NEVER_ALLOWED``, a verb that does not fit its
    purpose, or an initiator that the purpose excludes.
  * ``both`` never allows more than either side.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from types import MappingProxyType
from typing import Final, NamedTuple

from gateway.policy.decide import PURPOSES_OF
from gateway.words.purposes import MERCHANT_INITIATED, Purpose, Verb


class Initiator(StrEnum):
    """Who starts the use: the cardholder, at the time, or the merchant, later."""

    CARDHOLDER = "cardholder"
    MERCHANT = "merchant"


class DataElement(StrEnum):
    """A part of billing information."""

    NUMBER = "number"
    EXPIRY = "expiry"
    SECURITY_CODE = "security_code"
    BILLING_NAME = "billing_name"
    BILLING_ADDRESS = "billing_address"
    BILLING_EMAIL = "billing_email"
    BILLING_PHONE = "billing_phone"


# Without these a card cannot be kept or used: a policy that leaves one out for a use
# does not allow the use.
INDISPENSABLE: Final = frozenset({DataElement.NUMBER, DataElement.EXPIRY})


class RecipientClass(StrEnum):
    """Who is handed the data element."""

    GATEWAY = "gateway"
    CARD_PROCESSOR = "card_processor"
    VAULT = "vault"


class Permission(NamedTuple):
    """The smallest thing that can be allowed."""

    purpose: Purpose
    verb: Verb
    initiator: Initiator
    element: DataElement
    recipient: RecipientClass


class Widening(NamedTuple):
    """What a table allows that another does not.

    ``days`` is the retention it allows, ``days_before`` the other's; None if the other
    does not allow the combination at all.
    """

    permission: Permission
    days: int
    days_before: int | None


# A purpose that names who starts it excludes the other one.
_INITIATORS: Final[Mapping[Purpose, frozenset[Initiator]]] = MappingProxyType(
    {
        Purpose.CUSTOMER_INITIATED: frozenset({Initiator.CARDHOLDER}),
        **dict.fromkeys(MERCHANT_INITIATED, frozenset({Initiator.MERCHANT})),
    }
)
# What a use hands on: keeping and erasing a card hands nothing on.
RECIPIENT_OF: Final[Mapping[Verb, RecipientClass]] = MappingProxyType(
    {
        Verb.TOKENIZE: RecipientClass.GATEWAY,
        Verb.ERASE: RecipientClass.GATEWAY,
        Verb.CHARGE: RecipientClass.CARD_PROCESSOR,
        Verb.VERIFY: RecipientClass.CARD_PROCESSOR,
        Verb.TRANSFER: RecipientClass.VAULT,
    }
)


def initiators_of(purpose: Purpose) -> frozenset[Initiator]:
    """Returns who may start a use for this purpose."""
    return _INITIATORS.get(purpose, frozenset(Initiator))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a policy's table: every combination of what it lists.

    ``retention_days`` says how long after the card was last needed (its expiry, its
    last use) the element may still be kept.
    """

    purpose: Purpose
    verbs: frozenset[Verb]
    initiators: frozenset[Initiator]
    elements: frozenset[DataElement]
    recipients: frozenset[RecipientClass]
    retention_days: int

    def permissions(self) -> Iterator[Permission]:
        """Yields the combinations.

        Raises:
            ValueError: One can never be allowed; the text names it.
        """
        for verb, initiator, element, recipient in product(
            self.verbs, self.initiators, self.elements, self.recipients
        ):
            if self.purpose not in PURPOSES_OF[verb]:
                raise ValueError(f"{verb.value} cannot serve {self.purpose.value}")
            if initiator not in initiators_of(self.purpose):
                raise ValueError(
                    f"{self.purpose.value} is not started by the {initiator.value}"
                )
            if recipient is not RECIPIENT_OF[verb]:
                raise ValueError(f"{verb.value} hands nothing to a {recipient.value}")
            yield Permission(self.purpose, verb, initiator, element, recipient)


class Permissions:
    """A policy's table, ready to be asked."""

    __slots__ = ("_elements", "_hash", "days")

    def __init__(self, days: Mapping[Permission, int]) -> None:
        self.days = MappingProxyType(dict(days))
        elements: dict[tuple[Purpose, Verb], set[DataElement]] = {}
        for permission in days:
            key = permission.purpose, permission.verb
            elements.setdefault(key, set()).add(permission.element)
        self._elements = {key: frozenset(kept) for key, kept in elements.items()}
        self._hash = hash(frozenset(self.days.items()))

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Permissions":
        """Returns the permissions of a table; of two retentions the longer holds.

        Raises:
            ValueError: A row lists what can never be allowed, or a negative retention.
        """
        days: dict[Permission, int] = {}
        for row in rows:
            if row.retention_days < 0:
                raise ValueError("retention_days is below 0")
            for permission in row.permissions():
                longest = max(row.retention_days, days.get(permission, 0))
                days[permission] = longest
        return cls(days)

    def elements(self, purpose: Purpose, verb: Verb) -> frozenset[DataElement]:
        """Returns the data elements that this use may touch; empty if none."""
        return self._elements.get((purpose, verb), frozenset())

    def retention_days(self, purposes: Collection[Purpose]) -> int:
        """Returns the longest retention that keeping a card for these purposes has."""
        kept = (
            days
            for permission, days in self.days.items()
            if permission.verb is Verb.TOKENIZE and permission.purpose in purposes
        )
        return max(kept, default=0)

    def widenings_over(self, other: "Permissions") -> list[Widening]:
        """Returns what this table allows and the other does not, in order."""
        found = [
            Widening(permission, days, other.days.get(permission))
            for permission, days in self.days.items()
            if days > other.days.get(permission, -1)
        ]
        return sorted(found, key=lambda item: item.permission)

    def both(self, other: "Permissions") -> "Permissions":
        """Returns what both tables allow, each for the shorter retention."""
        common = self.days.keys() & other.days.keys()
        return Permissions(
            {item: min(self.days[item], other.days[item]) for item in common}
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Permissions) and self.days == other.days

    def __hash__(self) -> int:
        return self._hash
