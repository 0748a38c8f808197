"""How late it is, as far as policy believes the machine's clock.

A clock that jumps ahead must not start a widening or erase what is kept. So the time
that policy goes by is a persisted high-water mark that advances by what really passed:

  * at a start by at most 24 hours, whatever the clock says;
  * from then on by the monotonic time elapsed and at most 5 minutes more.

More than that needs a person: ``bailee clock accept``, which the log records. A clock
that jumps back changes nothing: the mark never falls.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from gateway.audit.ports import AuditUnit

START_MAX: Final = timedelta(hours=24)
SLACK: Final = timedelta(minutes=5)


class HighWaterStore(Protocol):
    """The mark, in units of the GATEWAY scope."""

    def get(self) -> datetime | None:
        """Returns the mark, or None before the first start."""

    def put(self, mark: datetime) -> None:
        """Stores a mark."""


class ClockUnit(AuditUnit, Protocol):
    """The slice of the unit of work that holds the mark."""

    @property
    def high_water(self) -> HighWaterStore:
        """The mark."""


@dataclass(frozen=True, slots=True)
class ClockAhead:
    """The machine's clock says more than policy believes."""

    clock: datetime
    believed: datetime


class PolicyTime:
    """The time that policy goes by. ``advance`` it often; ``at`` is cheap."""

    def __init__(
        self, *, mark: datetime | None, now: datetime, monotonic_seconds: float
    ) -> None:
        """Starts from the persisted mark.

        Args:
            mark: The persisted mark; None at the very first start.
            now: What the machine's clock says.
            monotonic_seconds: What the monotonic clock says.
        """
        self._origin = now if mark is None else max(mark, min(now, mark + START_MAX))
        self._origin_seconds = monotonic_seconds
        self._limit = self._origin + SLACK
        self.mark = self._origin

    def at(self, moment: datetime) -> datetime:
        """Returns the moment, but not later than is believed and not before the mark.

        Reads no clock, so that a unit of work may call it.
        """
        return max(self.mark, min(moment, self._limit))

    def accept(self, mark: datetime, monotonic_seconds: float) -> None:
        """Starts anew from a mark that a person vouches for."""
        self._origin = max(self.mark, mark)
        self._origin_seconds = monotonic_seconds
        self._limit = self._origin + SLACK
        self.mark = self._origin

    def advance(self, now: datetime, monotonic_seconds: float) -> ClockAhead | None:
        """Moves the mark to what is believed now; says so if that is not the clock."""
        elapsed = timedelta(seconds=monotonic_seconds - self._origin_seconds)
        self._limit = self._origin + elapsed + SLACK
        self.mark = self.at(now)
        return None if now <= self._limit else ClockAhead(now, self.mark)
