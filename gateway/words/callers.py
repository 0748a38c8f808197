"""Who calls: an authenticated program and what it may ask for."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.errors import RequestInvalid
from gateway.words.identifiers import MerchantId

# A subset of the SPIFFE ID standard, section 2: what log lines and shells leave alone.
_SPIFFE_ID: Final = re.compile(
    r"spiffe://[a-z0-9][a-z0-9._-]{0,127}/(?P<kind>caller|operator)"
    r"/[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
)


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

    @property
    def is_operator(self) -> bool:
        """Whether it is somebody who runs the gateway: by its name, whatever its
        roles, so that no row of the database can make one of a billing caller.
        """
        return is_operator_id(self.spiffe_id)

    def may_act_for(self, merchant: MerchantId) -> bool:
        """Whether the caller acts for this merchant."""
        return self.merchants is None or merchant in self.merchants


@dataclass(frozen=True, slots=True)
class KnownCaller:
    """A caller, and whether it is let in."""

    caller: Caller
    is_enabled: bool


def is_operator_id(spiffe_id: str) -> bool:
    """Whether the id is of an operator: ``spiffe://…/operator/…``."""
    found = _SPIFFE_ID.fullmatch(spiffe_id)
    return found is not None and found["kind"] == "operator"


def read_caller_id(text: str, field: str = "caller") -> str:
    """Returns the text as a caller's id.

    Raises:
        RequestInvalid: Not ``spiffe://<name>/caller/<name>`` or ``…/operator/<name>``.
    """
    if not _SPIFFE_ID.fullmatch(text):
        raise RequestInvalid(
            field, "is not spiffe://<name>/caller/<name> or .../operator/<name>"
        )
    return text
