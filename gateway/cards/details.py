"""A card as its holder gave it: number, expiry, billing details."""

from dataclasses import dataclass, field

from gateway.cards.expiry import Expiry
from gateway.cards.pan import Pan


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingDetails:
    """Who pays and where. Empty text means not given. Never shown by any RPC."""

    name: str = field(default="", repr=False)
    line1: str = field(default="", repr=False)
    line2: str = field(default="", repr=False)
    city: str = field(default="", repr=False)
    region: str = field(default="", repr=False)
    postal_code: str = field(default="", repr=False)
    country: str = field(default="", repr=False)
    email: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardDetails:
    """What is sealed: everything but the security code."""

    number: Pan
    expiry: Expiry
    billing: BillingDetails
