"""What a cardholder agreed to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.words.purposes import GRANTABLE, Purpose

DEFAULT_PURPOSES: Final = frozenset({Purpose.CUSTOMER_INITIATED, Purpose.VERIFICATION})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """The purposes that a cardholder granted, and the agreement that says so."""

    purposes: frozenset[Purpose] = DEFAULT_PURPOSES
    agreement_reference: str = ""
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        if not self.purposes or not self.purposes <= GRANTABLE:
            raise ValueError("a mandate grants one or more grantable purposes")

    def grants(self, purpose: Purpose, now: datetime) -> bool:
        """Whether the purpose is granted at this time."""
        if self.expires_at is not None and now >= self.expires_at:
            return False
        return purpose in self.purposes
