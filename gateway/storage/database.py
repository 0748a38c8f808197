"""A database as the stores see it, whichever it is.

Invariants:
  * A store runs compiled statements and reads rows; it neither begins nor ends a
    transaction, and it knows no driver.
  * What differs between databases is behind Transactions and Statement, not in stores.

``sqlite3.Connection`` is a Connection as it is; postgres_connection.py makes one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.errors import GatewayError
from gateway.words.identifiers import MerchantId

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]


class Cursor(Protocol):
    """The rows of one statement, as in PEP 249."""

    @property
    def rowcount(self) -> int:
        """How many rows an update or a deletion changed."""

    @property
    def lastrowid(self) -> int | None:
        """The number that the database gave to an inserted row; see ``sql``."""

    def fetchone(self) -> Any:  # noqa: ANN401 - a row, or None
        """Returns the next row, or None."""

    def fetchmany(self, size: int, /) -> list[Any]:
        """Returns the next rows, at most as many as asked for."""

    def fetchall(self) -> list[Any]:
        """Returns the rows that are left."""

    def close(self) -> object:
        """Drops the rows that are left."""

    def __iter__(self) -> Iterator[Any]:
        """Yields the rows that are left."""


class Connection(Protocol):
    """One connection, inside a transaction that somebody else ends."""

    def execute(self, statement: str, parameters: Parameters = ..., /) -> Cursor:
        """Runs a statement with named parameters."""

    def executemany(
        self, statement: str, parameters: Sequence[Parameters], /
    ) -> object:
        """Runs a statement for each set of parameters."""


class Transactions(Protocol):
    """Begins and ends the transactions of the writing connection.

    Only the storage thread uses it. ``errors`` are the driver's own exceptions, and
    ``refusals`` those that mean "this row breaks a rule".
    """

    errors: tuple[type[Exception], ...]
    refusals: tuple[type[Exception], ...]

    @property
    def connection(self) -> Connection:
        """The connection of the transaction that is open."""

    @property
    def is_open(self) -> bool:
        """Whether a transaction is open: a database may give one up by itself."""

    def begin(self, merchants: Sequence[MerchantId]) -> None:
        """Begins; until the end nobody else commits anything of these merchants.

        Raises:
            StorageUnavailable: The database cannot be reached or cannot be written.
        """

    def save(self) -> None:
        """Begins a unit, which can be undone alone."""

    def keep(self) -> None:
        """Ends the unit. What the database refused of it is raised at the latest now.

        Afterwards either the next unit begins, or the transaction ends.
        """

    def undo(self) -> None:
        """Ends the unit and takes back what it wrote."""

    def commit(self) -> None:
        """Makes the transaction durable."""

    def roll_back(self) -> None:
        """Takes everything back, if a transaction is open. Raises nothing."""

    def translate(self, error: BaseException) -> BaseException:
        """Returns the error that a unit's caller may see."""

    def judge(self, error: Exception) -> "Verdict":
        """Returns what an error of the driver means for what comes next."""

    def probe(self) -> None:
        """Commits something that changes nothing, in a transaction of its own."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a failed commit means.

    ``name`` is what the database calls the error, never its text. ``advice`` says why
    and what to do. ``stops_writing``: nothing may be written any more by this process.
    """

    name: str
    stops_writing: bool
    advice: str


def chain(error: GatewayError, cause: BaseException) -> GatewayError:
    """Returns the error with its cause, for code that returns instead of raising."""
    error.__cause__ = cause
    return error
