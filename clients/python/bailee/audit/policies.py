"""Thirty days from the day on which this watcher first saw a policy announced.

A gateway whose clock is moved can announce a widening of its policy as if it were old.
The watcher does not look at the dates that the gateway writes: it counts by its own
clock from its own first sight of the notice.

Invariants:
  * A version that was in force at the watcher's first look counts as agreed to.
  * Whoever agreed at once (``policy.accepted``) waits no more. That entry is matched
    with the platform's journal like any other: see matching.py.
"""

from datetime import datetime, timedelta
from typing import Final

from bailee.audit.entries import Entry
from bailee.audit.findings import Finding, Kind
from bailee.audit.store import Store

NOTICE_DAYS: Final = 30
_ACCEPTED: Final = "policy.accepted"
_NOTICES: Final = frozenset({"policy.notice", "policy.published", _ACCEPTED})
_NARROWS: Final = "NARROWS"
_BASELINE: Final = "policy_baseline"
# An entry is made a moment before the watcher sees it.
_TOLERANCE: Final = timedelta(hours=1)


class PolicyClock:
    """Counts the days of each policy version."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def check(self, entry: Entry, now: datetime) -> list[Finding]:
        """Returns what is wrong with the policy that an entry speaks of."""
        version = entry.get("policy_version")
        if version is None:
            return []
        if entry.type in _NOTICES:
            return self._note(entry, version, now)
        baseline = self._store.get(_BASELINE)
        if not baseline:
            self._store.put(_BASELINE, str(version))
            baseline = str(version)
        if version <= int(baseline):
            return []
        return self._check_use(entry, version, now)

    def _note(self, entry: Entry, version: int, now: datetime) -> list[Finding]:
        self._store.add_notice(
            version, str(entry.get("policy_sha256") or ""), entry.index, now
        )
        if entry.type == _ACCEPTED or entry.get("outcome") == _NARROWS:
            self._store.accept_notice(version, now)
            return []
        claimed = entry.get("effective")
        if claimed is None:
            return []
        earliest = now + timedelta(days=NOTICE_DAYS) - _TOLERANCE
        effective = datetime.fromisoformat(str(claimed))
        seen = self._store.notice(version)
        if seen is None or seen[2] or effective >= earliest or seen[1] < now:
            return []
        return [
            Finding(
                Kind.POLICY,
                entry.index,
                f"policy {version} is announced to hold from {claimed}, which is less "
                f"than {NOTICE_DAYS} days after this watcher first saw the notice "
                f"({now:%Y-%m-%d}): object, or deactivate before that day",
            )
        ]

    def _check_use(self, entry: Entry, version: int, now: datetime) -> list[Finding]:
        seen = self._store.notice(version)
        if seen is None:
            text = f"policy {version} was used, and no notice of it is in the log"
        elif seen[0] and entry.get("policy_sha256") not in (None, seen[0]):
            text = f"policy {version} is not the text that was announced"
        elif not seen[2] and now - seen[1] < timedelta(days=NOTICE_DAYS) - _TOLERANCE:
            text = (
                f"policy {version} was used on {now:%Y-%m-%d}, and this watcher saw "
                f"its notice first on {seen[1]:%Y-%m-%d}: {NOTICE_DAYS} days have not "
                "passed"
            )
        else:
            return []
        # Once for each version: every later use would say the same.
        if self._store.get(f"policy_told_{version}"):
            return []
        self._store.put(f"policy_told_{version}", "1")
        return [Finding(Kind.POLICY, entry.index, text)]
