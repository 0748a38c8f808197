"""Sending notice of a version to every merchant under an older one.

Safe to stop and to run again: who has notice is not sent it twice.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

from gateway.audit.entry import Entry, EntryType
from gateway.policy.in_force import allowed_under
from gateway.policy.ports import (
    NOTICE_PERIOD,
    MerchantsToNotify,
    Notice,
    PolicyUnit,
)
from gateway.policy.versions import PolicyVersion
from gateway.unit_of_work import Storage
from gateway.words.clock import Clock
from gateway.words.identifiers import GATEWAY, MerchantId

_BATCH: Final = 100


class NotifyingStorage(Storage[PolicyUnit], MerchantsToNotify, Protocol):
    """Storage that also finds who is to be told."""


class NotifyMerchants:
    """Tells merchants of the newest version, one unit each."""

    def __init__(
        self,
        *,
        storage: NotifyingStorage,
        clock: Clock,
        policy_at: Callable[[datetime], datetime],
    ) -> None:
        """Binds the use case.

        Args:
            storage: Commits the notices and finds merchants.
            clock: Tells the time.
            policy_at: ``PolicyTime.at``: the 30 days count in what policy believes.
        """
        self._storage = storage
        self._clock = clock
        self._policy_at = policy_at

    async def run(self, caller: str) -> int:
        """Tells everybody who was not told; returns how many that were.

        Raises:
            StorageUnavailable: The database did not answer; run again.
        """

        def newest(unit: PolicyUnit) -> PolicyVersion:
            return unit.policies.version(unit.policies.newest_number())

        version = await self._storage.read(GATEWAY, newest)
        told = 0
        while True:
            merchants = await self._storage.merchants_without_notice(
                version.number, _BATCH
            )
            if not merchants:
                return told
            for merchant in merchants:
                await self._tell(merchant, version, caller)
            told += len(merchants)

    async def _tell(
        self, merchant: MerchantId, version: PolicyVersion, caller: str
    ) -> None:
        at = self._clock.now()
        dispatched_at = self._policy_at(at)

        def tell(unit: PolicyUnit) -> None:
            if unit.policies.notice(version.number) is not None:
                return
            standing = unit.policies.standing()
            before = allowed_under(unit, standing.number, version.number - 1)
            widens = bool(version.permissions.widenings_over(before))
            wait = NOTICE_PERIOD if widens else NOTICE_PERIOD * 0
            notice = Notice(
                number=version.number,
                widens=widens,
                dispatched_at=dispatched_at,
                effective_at=dispatched_at + wait,
            )
            unit.policies.put_notice(notice)
            unit.log.append(
                Entry(
                    type=EntryType.POLICY_NOTICE,
                    merchant=merchant,
                    at=at,
                    caller=caller,
                    policy_version=version.number,
                    policy_sha256=version.sha256,
                    outcome="WIDENS" if widens else "NARROWS",
                    effective_at=notice.effective_at,
                )
            )

        await self._storage.commit(merchant, tell)
