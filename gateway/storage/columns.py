"""What the tables are made of; tables.py says what the columns mean."""

from typing import Final

from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.schema import SchemaItem

METADATA: Final = MetaData()


def integer(name: str, *rules: ForeignKey, optional: bool = False) -> Column[int]:
    """Returns an integer column."""
    return Column(name, Integer, *rules, nullable=optional)


def number(name: str) -> Column[int]:
    """Returns a table's own number."""
    return Column(name, Integer, primary_key=True)


def text(name: str, *, optional: bool = False) -> Column[str]:
    """Returns a text column."""
    return Column(name, Text, nullable=optional)


def blob(name: str, *, optional: bool = False) -> Column[bytes]:
    """Returns a column of bytes."""
    return Column(name, LargeBinary, nullable=optional)


def scope() -> Column[int]:
    """Returns whose row it is."""
    return integer("scope", ForeignKey("scopes.scope"))


def table(name: str, *parts: SchemaItem, rowid: bool = True) -> Table:
    """Returns a table of the database."""
    return Table(name, METADATA, *parts, sqlite_with_rowid=rowid)
