"""ListPolicies and GetPolicy: every version, and where the merchant stands with it."""

from dataclasses import dataclass

from gateway.errors import PolicyVersionNotFound
from gateway.policy.ports import Notice, PolicyUnit
from gateway.policy.versions import PolicyVersion
from gateway.unit_of_work import Storage
from gateway.words.identifiers import MerchantId


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPolicy:
    """A version, the merchant's notice of it, and whether the merchant is under it."""

    version: PolicyVersion
    notice: Notice | None
    is_in_force: bool


class ReadPolicies:
    """Reads; changes nothing."""

    def __init__(self, *, storage: Storage[PolicyUnit]) -> None:
        self._storage = storage

    async def list(self, merchant: MerchantId) -> list[KnownPolicy]:
        """Returns every version, the newest first.

        Raises:
            MerchantNotFound: No such merchant.
        """

        def read(unit: PolicyUnit) -> list[KnownPolicy]:
            numbers = range(unit.policies.newest_number(), 0, -1)
            return [_known(unit, number) for number in numbers]

        return await self._storage.read(merchant, read)

    async def get(self, merchant: MerchantId, number: int) -> KnownPolicy:
        """Returns one version.

        Raises:
            MerchantNotFound: No such merchant.
            PolicyVersionNotFound: No such version.
        """

        def read(unit: PolicyUnit) -> KnownPolicy:
            if not 0 < number <= unit.policies.newest_number():
                raise PolicyVersionNotFound
            return _known(unit, number)

        return await self._storage.read(merchant, read)


def _known(unit: PolicyUnit, number: int) -> KnownPolicy:
    return KnownPolicy(
        version=unit.policies.version(number),
        notice=unit.policies.notice(number),
        is_in_force=unit.policies.standing().number == number,
    )
