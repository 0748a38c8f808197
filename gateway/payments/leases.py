"""Who works on a payment: a lease, taken and checked inside units. Pure.

Invariants:
  * A step commits only while its worker's own lease stands in the row: whoever lost it
    stops before anything is sent.
  * Times are whole milliseconds, as storage keeps them, so that leases compare equal.
"""

from datetime import datetime, timedelta

from gateway.payments.payment import Lease


def new_lease(instance: str, now: datetime, duration: timedelta) -> Lease:
    """Returns a lease that begins now."""
    until = now + duration
    whole = until.microsecond // 1000 * 1000
    return Lease(instance=instance, until=until.replace(microsecond=whole))


def is_live(lease: Lease | None, now: datetime) -> bool:
    """Whether somebody is working on it."""
    return lease is not None and lease.until > now


def is_due(lease: Lease | None, next_check_at: datetime | None, now: datetime) -> bool:
    """Whether nobody works on it and its time has come."""
    if is_live(lease, now):
        return False
    return next_check_at is None or next_check_at <= now
