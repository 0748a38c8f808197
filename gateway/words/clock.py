"""Time, as a port: tests move it, code never reads it elsewhere."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Returns the time, aware and in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """See Clock.now."""
        return datetime.now(UTC)


class FixedClock:
    """One moment, for work that has a time of its own."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self) -> datetime:
        """See Clock.now."""
        return self._moment
