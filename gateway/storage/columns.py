"""The parts that tables are made of, the same on every engine."""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.schema import SchemaItem

METADATA: Final = MetaData()

# Eight bytes on PostgreSQL, where INTEGER has four; SQLite takes what a value needs.
INTEGER: Final = Integer().with_variant(BigInteger(), "postgresql")
# Compared byte by byte, as SQLite and Python do, whatever the server's locale.
TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")


def integer(name: str, *rules: ForeignKey, optional: bool = False) -> Column[int]:
    """Returns a column of whole numbers."""
    return Column(name, INTEGER, *rules, nullable=optional)


def number(name: str) -> Column[int]:
    """Returns the column that numbers the rows."""
    return Column(name, INTEGER, primary_key=True)


def text(name: str, *, optional: bool = False) -> Column[str]:
    """Returns a column of texts."""
    return Column(name, TEXT, nullable=optional)


def partial_index(
    name: str, *columns: ColumnElement[Any], where: ColumnElement[bool]
) -> Index:
    """Makes an index over the rows that meet the condition, on every engine."""
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


def blob(name: str, *, optional: bool = False) -> Column[bytes]:
    """Returns a column of bytes."""
    return Column(name, LargeBinary, nullable=optional)


def scope() -> Column[int]:
    """Returns the column that says whose row it is."""
    return integer("scope", ForeignKey("scopes.scope"))


def table(name: str, *parts: SchemaItem, rowid: bool = True) -> Table:
    """Returns a table; ``rowid=False`` makes its key the table, on SQLite."""
    return Table(name, METADATA, *parts, sqlite_with_rowid=rowid)
