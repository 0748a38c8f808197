"""Which policy governs a merchant now.

Invariants (I8):
  * A version that allows more governs an existing merchant only 30 days after notice,
    and then by use (once a witness confirms the time) or by acceptance.
  * What a newer version no longer allows is not allowed from its publication on,
    whatever else the version does.
  * A deactivated merchant stays under the version it left with.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from gateway.audit.entry import Entry, EntryType
from gateway.policy.document import Consent
from gateway.policy.permissions import Permissions
from gateway.policy.ports import Notice, PolicyUnit, Standing
from gateway.policy.versions import PolicyVersion
from gateway.words.identifiers import MerchantId, RequestId
from gateway.words.lifecycles import MerchantState


@dataclass(frozen=True, slots=True)
class InForce:
    """The version that governs, and what of it no newer version takes away."""

    version: PolicyVersion
    permissions: Permissions


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A use that asks: using the gateway after the date counts as agreement.

    ``policy_at`` is ``PolicyTime.at(at)``. ``witnessed_at`` is the newest time that an
    independent witness confirmed; None if none ever did.
    """

    merchant: MerchantId
    caller: str
    request_id: RequestId | None
    at: datetime
    policy_at: datetime
    witnessed_at: datetime | None = None


def policy_in_force(unit: PolicyUnit, asked: Asked | None = None) -> InForce:
    """Returns what governs the unit's merchant.

    With ``asked`` the merchant may come under a newer version first; that is an entry
    of its log. Without, nothing changes.

    Raises:
        MerchantNotFound: No such merchant.
        IntegrityViolation: A stored version is not what was published.
    """
    standing = unit.policies.standing()
    newest = unit.policies.newest_number()
    number = standing.number
    if asked is not None and standing.state is MerchantState.ACTIVE:
        for candidate in range(newest, number, -1):
            if _governs(unit, standing, candidate, asked):
                _agree(unit, candidate, asked)
                number = candidate
                break
    governing = unit.policies.version(number)
    return InForce(governing, allowed_under(unit, number, newest))


def allowed_under(unit: PolicyUnit, number: int, newest: int) -> Permissions:
    """Returns what every version from ``number`` to ``newest`` allows."""
    versions = (unit.policies.version(item) for item in range(number, newest + 1))
    return _common(tuple(version.permissions for version in versions))


@lru_cache(maxsize=64)
def _common(tables: tuple[Permissions, ...]) -> Permissions:
    common = tables[0]
    for table in tables[1:]:
        common = common.both(table)
    return common


def _governs(unit: PolicyUnit, standing: Standing, number: int, asked: Asked) -> bool:
    """Whether the merchant comes under a newer version with this use."""
    version = unit.policies.version(number)
    before = allowed_under(unit, standing.number, number - 1)
    if not version.permissions.widenings_over(before):
        return True
    notice = unit.policies.notice(number)
    if notice is None or asked.policy_at < notice.effective_at:
        return False
    return notice.accepted_at is not None or _use_agrees(version, notice, asked)


def _use_agrees(version: PolicyVersion, notice: Notice, asked: Asked) -> bool:
    """Whether use is agreement: the clock alone, which is the operator's, is not."""
    if version.consent is Consent.OPT_IN or asked.witnessed_at is None:
        return False
    return asked.witnessed_at >= notice.effective_at


def _agree(unit: PolicyUnit, number: int, asked: Asked) -> None:
    """Puts the merchant under the version and records how that came."""
    notice = unit.policies.notice(number)
    if notice is None or not notice.widens:
        outcome = "NARROWED"
    else:
        outcome = "ACCEPTED" if notice.accepted_at else "CONTINUED_USE"
    unit.policies.come_under(number)
    unit.log.append(
        Entry(
            type=EntryType.POLICY_IN_FORCE,
            merchant=asked.merchant,
            at=asked.at,
            caller=asked.caller,
            request_id=asked.request_id,
            policy_version=number,
            policy_sha256=unit.policies.version(number).sha256,
            outcome=outcome,
        )
    )
