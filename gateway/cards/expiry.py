"""When a card ends.

A card is valid to the end of its printed month. "The end" is taken at the last place
on Earth where that month still runs (UTC-12): no valid card is ever refused.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from gateway.errors import CardExpired, CardInvalid

_LAST_PLACE_ON_EARTH: Final = timezone(timedelta(hours=-12))
# No scheme issues cards for longer than 20 years.
_YEARS_AHEAD_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Expiry:
    """Month and four-digit year as printed on the card."""

    month: int
    year: int

    def __post_init__(self) -> None:
        if not 1 <= self.month <= 12:  # noqa: PLR2004 - months
            raise CardInvalid("card.expiry_month", "is not 1 to 12")
        if not 2000 <= self.year <= 2099:  # noqa: PLR2004 - what two digits can print
            raise CardInvalid("card.expiry_year", "is not four digits of this century")

    @property
    def ends_at(self) -> datetime:
        """The first moment at which the card is no longer valid anywhere."""
        years, month = divmod(self.month, 12)
        moment = datetime(self.year + years, month + 1, 1, tzinfo=_LAST_PLACE_ON_EARTH)
        return moment.astimezone(UTC)

    def check(self, now: datetime) -> None:
        """Raises unless the card is valid now and could have been issued.

        Raises:
            CardExpired: Its last month has ended everywhere.
            CardInvalid: It lies further ahead than any card is issued for.
        """
        if now >= self.ends_at:
            raise CardExpired("card.expiry_year", "lies in the past")
        if self.year > now.year + _YEARS_AHEAD_MAX:
            raise CardInvalid("card.expiry_year", "is too far in the future")
