"""AcceptPolicy: a merchant's compliance role agrees to a version that allows more.

Acceptance does not shorten the 30 days: it only replaces use as the agreement.
"""

from dataclasses import dataclass, replace

from gateway.audit.entry import Entry, EntryType
from gateway.audit.ports import Appended, Receipt
from gateway.errors import PolicyVersionNotFound, StateConflict
from gateway.policy.ports import Notice, PolicyUnit
from gateway.unit_of_work import Storage
from gateway.words.clock import Clock
from gateway.words.identifiers import MerchantId, RequestId
from gateway.words.lifecycles import MerchantState


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptPolicyCommand:
    """Who accepts which version. ``sha256`` is the hash of what they read."""

    merchant: MerchantId
    caller: str
    request_id: RequestId
    number: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The accepted notice; ``receipt`` is None when it had been accepted before."""

    notice: Notice
    receipt: Receipt | None


class AcceptPolicy:
    """Accepts. Accepting twice changes nothing and is not an error."""

    def __init__(self, *, storage: Storage[PolicyUnit], clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    async def execute(self, command: AcceptPolicyCommand) -> Accepted:
        """Returns the notice.

        Raises:
            MerchantNotFound: No such merchant.
            PolicyVersionNotFound: The merchant has no notice of this version, or the
                hash is of another text than the one published.
            StateConflict: The merchant is deactivated.
        """
        now = self._clock.now()
        entry = Entry(
            type=EntryType.POLICY_ACCEPTED,
            merchant=command.merchant,
            at=now,
            caller=command.caller,
            request_id=command.request_id,
            policy_version=command.number,
            policy_sha256=command.sha256,
        )

        def accept(unit: PolicyUnit) -> tuple[Notice, Appended | None]:
            if unit.policies.standing().state is not MerchantState.ACTIVE:
                raise StateConflict
            notice = unit.policies.notice(command.number)
            if notice is None:
                raise PolicyVersionNotFound
            if unit.policies.version(command.number).sha256 != command.sha256:
                raise PolicyVersionNotFound
            if notice.accepted_at is not None:
                return notice, None
            accepted = replace(notice, accepted_at=now)
            unit.policies.put_notice(accepted)
            return accepted, unit.log.append(
                replace(entry, effective_at=notice.effective_at)
            )

        notice, appended = await self._storage.commit(command.merchant, accept)
        receipt = appended.receipt() if appended is not None else None
        return Accepted(notice=notice, receipt=receipt)
