"""Policy and retention, put together."""

import time

from gateway.policy.accept_clock import AcceptClock
from gateway.policy.accept_policy import AcceptPolicy
from gateway.policy.notify_merchants import NotifyMerchants
from gateway.policy.policy_time import PolicyTime
from gateway.policy.publish_policy import PublishPolicy
from gateway.policy.read_policies import ReadPolicies
from gateway.storage.engine import SqliteStorage
from gateway.vault.delete_card_token import BackupHorizon
from gateway.vault.sweep_cards import SweepCards
from gateway.words.clock import Clock
from gateway.words.identifiers import GATEWAY


class PolicyParts:
    """What publishes, reads and accepts policies, and what erases by them."""

    def __init__(self, *, storage: SqliteStorage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self.time = PolicyTime(
            mark=storage.read_now(GATEWAY, lambda unit: unit.high_water.get()),
            now=clock.now(),
            monotonic_seconds=time.monotonic(),
        )
        self.read = ReadPolicies(storage=storage)
        self.accept = AcceptPolicy(storage=storage, clock=clock)
        self.accept_clock = AcceptClock(
            storage=storage, clock=clock, policy_time=self.time
        )
        notify = NotifyMerchants(storage=storage, clock=clock, policy_at=self.time.at)
        self.publish = PublishPolicy(storage=storage, notify=notify, clock=clock)

    def sweeper(self, backups: BackupHorizon) -> SweepCards:
        """Returns what erases cards that may not be kept any longer."""
        return SweepCards(
            storage=self._storage,
            cards=self._storage,
            backups=backups,
            policy_time=self.time,
            clock=self._clock,
        )
