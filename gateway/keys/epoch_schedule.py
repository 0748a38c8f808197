"""When an epoch key is due, and so when no backup opens an erased card. Pure.

A backup holds an erased card's keys, wrapped by wrapping keys of the epoch that was the
newest when it was made, or of an older one. It opens as long as that epoch key exists.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from gateway.keys.ports import Epoch, EpochState

# A rotation must be through this long after it was due. It takes minutes; the rest is
# for a gateway that was down, and for a person to answer the alarm.
FINISH_WITHIN: Final = timedelta(days=2)


def due_at(
    made_at: datetime, period: timedelta | None, promised: datetime | None = None
) -> datetime | None:
    """Returns when an epoch's rotation must begin; None: never by itself.

    A longer period does not undo what erasure receipts have promised.
    """
    due = None if period is None else made_at + period
    if due is None or promised is None:
        return due or promised
    return min(due, promised)


def unrecoverable_at(epochs: Iterable[Epoch], now: datetime) -> datetime | None:
    """Returns the time after which no backup opens a card that is erased now.

    None when an epoch that a backup may need has no date.
    """
    dates = [
        epoch.due_at for epoch in epochs if epoch.state is not EpochState.DESTROYED
    ]
    known = [date for date in dates if date is not None]
    if not dates or len(known) < len(dates):
        return None
    return max(now, *known) + FINISH_WITHIN


def is_overdue(epoch: Epoch, now: datetime) -> bool:
    """Whether a promised date has passed although the epoch key still exists."""
    if epoch.state is EpochState.DESTROYED or epoch.due_at is None:
        return False
    return now > epoch.due_at + FINISH_WITHIN
