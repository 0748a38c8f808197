"""From SQLAlchemy Core statements to the SQL text that the hot path executes.

A statement is written with Core, compiled once when its module is imported, and run on
the driver's own connection: building and compiling it for every call would cost more
than running it.
"""

from typing import Final

from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    Table,
    bindparam,
    insert,
    literal_column,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.compiler import SQLCompiler

from gateway.errors import InvariantBroken

_DIALECT: Final = sqlite.dialect(paramstyle="named")


def sql(statement: ClauseElement) -> str:
    """Returns the statement's text; its parameters are ``:named``.

    Raises:
        InvariantBroken: It holds a value, which would be lost: name a parameter, or
            use ``constant``.
    """
    compiled = statement.compile(dialect=_DIALECT)
    if not isinstance(compiled, SQLCompiler):
        raise InvariantBroken
    if any(parameter.unique for parameter in compiled.binds.values()):
        raise InvariantBroken
    return compiled.string


def insert_into(table: Table) -> str:
    """Returns the insertion of a row whose number, if it has one, SQLite gives."""
    given = [column for column in table.c if column is not table.autoincrement_column]
    return sql(insert(table).values({c: bindparam(c.name) for c in given}))


def constant(value: int | str) -> ColumnElement[int]:
    """Returns a constant that stays in the text instead of becoming a parameter.

    SQLite uses a partial index only where the text of the query implies the index's
    condition, so what appears there cannot be a parameter.
    """
    text = (
        str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
    )
    return literal_column(text)
