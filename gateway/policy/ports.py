"""What policy needs from storage."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from gateway.audit.ports import AuditUnit
from gateway.policy.versions import PolicyVersion
from gateway.words.identifiers import MerchantId
from gateway.words.lifecycles import MerchantState

# Calendar days in UTC: days of 24 hours.
NOTICE_PERIOD: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a merchant was told about a version, and when.

    Attributes:
        number: The version.
        widens: Whether it allows the merchant anything that was not allowed before.
        dispatched_at: When it was put into the merchant's log and events.
        posted_at: When the operator posted it for everybody, if that is known.
        effective_at: When it begins to hold. If it widens, at least ``NOTICE_PERIOD``
            after the earlier of the two times above.
        accepted_at: When the merchant's compliance role accepted it.
    """

    number: int
    widens: bool
    dispatched_at: datetime
    posted_at: datetime | None = None
    effective_at: datetime
    accepted_at: datetime | None = None

    def __post_init__(self) -> None:
        told_at = self.dispatched_at
        if self.posted_at is not None:
            told_at = min(told_at, self.posted_at)
        if self.widens and self.effective_at < told_at + NOTICE_PERIOD:
            raise ValueError("a widening waits 30 days after notice")


@dataclass(frozen=True, slots=True)
class Standing:
    """The version that a merchant is under, and whether the merchant is active."""

    number: int
    state: MerchantState


class PolicyStore(Protocol):
    """Every version, and where the unit's merchant stands.

    Implementations pass tests/contract/policy_store_contract.py.
    """

    def newest_number(self) -> int:
        """Returns the number of the newest version."""

    def version(self, number: int) -> PolicyVersion:
        """Returns a version.

        Raises:
            InvariantBroken: There is none with this number.
            IntegrityViolation: What is stored is not what was published.
        """

    def publish(self, version: PolicyVersion) -> None:
        """Adds the next version; in units of the GATEWAY scope only.

        Raises:
            StateConflict: Its number is not the next one.
        """

    def standing(self) -> Standing:
        """Returns where the merchant stands.

        Raises:
            MerchantNotFound: No such merchant.
        """

    def come_under(self, number: int) -> None:
        """Puts the merchant under a version."""

    def notice(self, number: int) -> Notice | None:
        """Returns the merchant's notice of a version."""

    def notices(self) -> Sequence[Notice]:
        """Returns the merchant's notices, the oldest version first."""

    def put_notice(self, notice: Notice) -> None:
        """Stores a notice, or its acceptance. When it takes effect never changes.

        Raises:
            StateConflict: A stored notice has other times.
        """


class PolicyUnit(AuditUnit, Protocol):
    """The slice of the unit of work that policy uses."""

    @property
    def policies(self) -> PolicyStore:
        """Every version, and the merchant's notices."""


class MerchantsToNotify(Protocol):
    """Finds merchants whatever the unit."""

    async def merchants_without_notice(
        self, number: int, limit: int
    ) -> Sequence[MerchantId]:
        """Returns merchants under an older version who have no notice of this one."""
