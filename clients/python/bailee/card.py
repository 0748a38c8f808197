"""A card as the program that collects it holds it. It cannot be printed."""

from dataclasses import dataclass, field
from typing import NoReturn


@dataclass(frozen=True, slots=True, kw_only=True)
class Billing:
    """Who pays and where the statement goes. Empty text means not given."""

    name: str = field(default="", repr=False)
    line1: str = field(default="", repr=False)
    line2: str = field(default="", repr=False)
    city: str = field(default="", repr=False)
    region: str = field(default="", repr=False)
    postal_code: str = field(default="", repr=False)
    country: str = field(default="", repr=False)
    email: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Card:
    """A card on its way to the gateway. Sealed before it enters any message."""

    number: str
    expiry_month: int
    expiry_year: int
    security_code: str = ""
    billing: Billing | None = None

    def __post_init__(self) -> None:
        """Refuses types that the gateway could not read once they are sealed."""
        kinds = {"number": str, "expiry_month": int, "expiry_year": int}
        for name, kind in (kinds | {"security_code": str}).items():
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"Card.{name} must be of type {kind.__name__}")

    def __repr__(self) -> str:
        return "Card(****)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Card is never serialised; seal it")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardItem:
    """One card of a batch, whose it is, and what was agreed.

    ``purposes`` are such as ``"payment.recurring"``; nothing means customer-initiated
    payments and verification.
    """

    card: Card
    customer_reference: str = ""
    purposes: tuple[str, ...] = ()
    agreement_reference: str = ""
