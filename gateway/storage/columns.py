"""How tables are written down: the columns that most of them have."""

from typing import Final

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.schema import SchemaItem

METADATA: Final = MetaData()


def integer(name: str, *rules: ForeignKey, optional: bool = False) -> Column[int]:
    """Returns a column of integers: counts, codes, times, row numbers."""
    return Column(name, Integer, *rules, nullable=optional)


def number(name: str) -> Column[int]:
    """Returns the column that numbers the rows; the database gives the numbers."""
    return Column(name, Integer, primary_key=True)


def text(name: str, *, optional: bool = False) -> Column[str]:
    """Returns a column of text."""
    return Column(name, Text, nullable=optional)


def blob(name: str, *, optional: bool = False) -> Column[bytes]:
    """Returns a column of bytes."""
    return Column(name, LargeBinary, nullable=optional)


def scope() -> Column[int]:
    """Returns the column that says whose the row is."""
    return integer("scope", ForeignKey("scopes.scope"))


def table(name: str, *parts: SchemaItem, rowid: bool = True) -> Table:
    """Returns a table of the schema."""
    return Table(name, METADATA, *parts, sqlite_with_rowid=rowid)
