"""Between columns and words: times, maps, the small things every store needs."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

Row = tuple[Any, ...]
Values = Mapping[str, Any]


class Cursor(Protocol):
    """What the stores use of a database cursor."""

    def fetchone(self) -> Any:  # noqa: ANN401 - a row's columns have many types
        """Returns the next row, or None."""

    def fetchall(self) -> list[Any]:
        """Returns the remaining rows."""


class Connection(Protocol):
    """What the engine uses of a database connection; sqlite3's satisfies it."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""

    def execute(self, sql: str, values: Any = ..., /) -> Cursor:  # noqa: ANN401
        """Runs one statement."""

    def executemany(self, sql: str, values: Iterable[Any], /) -> object:
        """Runs one statement for each set of values."""

    def close(self) -> None:
        """Closes the connection."""


def to_milliseconds(moment: datetime | None) -> int | None:
    """Returns milliseconds since 1970, rounded down."""
    if moment is None:
        return None
    return (moment - _EPOCH) // _MILLISECOND


def from_milliseconds(value: int | None) -> datetime | None:
    """Returns the moment, aware and in UTC."""
    if value is None:
        return None
    return _EPOCH + value * _MILLISECOND


def moment(value: int) -> datetime:
    """Returns a moment that is always there."""
    return _EPOCH + value * _MILLISECOND
