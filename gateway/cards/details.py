"""A card as its holder gave it: number, expiry, billing details."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from gateway.cards.countries import COUNTRIES
from gateway.cards.expiry import Expiry
from gateway.cards.pan import Pan
from gateway.cards.text import find_fault
from gateway.errors import CardInvalid

# In characters. Together they stay within the 4096 bytes of an envelope, in Latin
# scripts. The e-mail's is RFC 5321's longest path without its brackets.
BILLING_LENGTHS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "name": 200,
        "line1": 200,
        "line2": 200,
        "city": 100,
        "region": 100,
        "postal_code": 20,
        "country": 2,
        "email": 254,
        "phone": 40,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingDetails:
    """Who pays and where. Empty text means not given. Never shown by any RPC.

    Raises:
        CardInvalid: Too long, a control character, not a country, not an address.
    """

    name: str = field(default="", repr=False)
    line1: str = field(default="", repr=False)
    line2: str = field(default="", repr=False)
    city: str = field(default="", repr=False)
    region: str = field(default="", repr=False)
    postal_code: str = field(default="", repr=False)
    country: str = field(default="", repr=False)
    email: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        for name, max_length in BILLING_LENGTHS.items():
            text = getattr(self, name)
            fault = find_fault(text, max_length) if text else None
            if fault is not None:
                raise CardInvalid(f"card.billing.{name}", fault)
        if self.country and self.country not in COUNTRIES:
            raise CardInvalid("card.billing.country", "is not an ISO 3166-1 code")
        if self.email and not _looks_like_email(self.email):
            raise CardInvalid("card.billing.email", "is not an e-mail address")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardDetails:
    """What is sealed: everything but the security code."""

    number: Pan
    expiry: Expiry
    billing: BillingDetails


def _looks_like_email(text: str) -> bool:
    """Whether there is one "@" with something on both sides and no space.

    More is not checked here, because only sending mail tells whether it works.
    """
    local, at, domain = text.partition("@")
    return bool(local and at and domain) and "@" not in domain and " " not in text
