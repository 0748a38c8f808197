"""Who calls: an authenticated program and what it may ask for."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.words.identifiers import MerchantId


class Role(StrEnum):
    """A set of RPCs that a caller may use for a merchant."""

    TOKENIZE = "tokenize"
    PAY = "pay"
    REFUND = "refund"
    READ = "read"
    COMPLIANCE = "compliance"
    AUDITOR = "auditor"
    PLATFORM = "platform"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Caller:
    """A program, named by the SPIFFE id of its client certificate.

    ``merchants`` is None for a caller that acts for every merchant.
    """

    spiffe_id: str
    roles: frozenset[Role]
    merchants: frozenset[MerchantId] | None

    def may_act_for(self, merchant: MerchantId) -> bool:
        """Whether the caller acts for this merchant."""
        return self.merchants is None or merchant in self.merchants
