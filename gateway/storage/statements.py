"""From SQLAlchemy Core statements to the SQL text that the hot path executes.

A statement is written with Core, compiled once, and run on the driver's own connection:
building and compiling it for every call would cost more than running it. One statement
serves every engine: for SQLite it is compiled when its module is imported, for
PostgreSQL when it is first used.
"""

from functools import cached_property
from typing import Any, Final, Self

from sqlalchemy import (
    BindParameter,
    ClauseElement,
    Column,
    ColumnElement,
    Table,
    bindparam,
    insert,
    literal_column,
)

# Both engines understand what it makes.
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import Insert

from gateway.errors import InvariantBroken

__all__ = [
    "Statement",
    "constant",
    "insert_into",
    "is_listed",
    "numbers_of",
    "sql",
    "upsert",
]

_SQLITE: Final = SQLiteDialect(paramstyle="named")
_POSTGRES: Final[Dialect] = PGDialect_psycopg()  # type: ignore[no-untyped-call]


class Statement(str):
    """The text for SQLite, with ``:named`` parameters, and beside it PostgreSQL's."""

    _for_postgres: ClauseElement | str

    @classmethod
    def of(cls, sqlite: str, postgres: ClauseElement | str) -> Self:
        """Returns a statement whose two texts are made from different sources."""
        made = cls(sqlite)
        made._for_postgres = postgres
        return made

    @cached_property
    def postgres(self) -> str:
        """The text for PostgreSQL; its parameters are ``%(named)s``.

        Raises:
            InvariantBroken: It holds a value, which would be lost.
        """
        source = self._for_postgres
        return source if isinstance(source, str) else _compile(source, _POSTGRES)


def sql(statement: ClauseElement, *, numbered: Column[int] | None = None) -> Statement:
    """Returns the statement's text; its parameters are ``:named``.

    Args:
        statement: Made with SQLAlchemy Core.
        numbered: The column whose number the database gives to the inserted row, and
            that the cursor's ``lastrowid`` returns.

    Raises:
        InvariantBroken: It holds a value, which would be lost: name a parameter, or
            use ``constant``.
    """
    text = _compile(statement, _SQLITE)
    if numbered is not None and isinstance(statement, Insert):
        return Statement.of(text, statement.returning(numbered))
    return Statement.of(text, statement)


def _compile(statement: ClauseElement, dialect: Dialect) -> str:
    compiled = statement.compile(dialect=dialect)
    if not isinstance(compiled, SQLCompiler):
        raise InvariantBroken
    if any(parameter.unique for parameter in compiled.binds.values()):
        raise InvariantBroken
    return compiled.string


def insert_into(table: Table) -> Statement:
    """Returns the insertion of a row whose number, if it has one, the database gives.

    The cursor's ``lastrowid`` is that number.
    """
    number = table.autoincrement_column
    given = [column for column in table.c if column is not number]
    row = insert(table).values({c: bindparam(c.name) for c in given})
    return sql(row, numbered=number)


def numbers_of(column: Column[int]) -> Statement:
    """Returns the query for ``:count`` numbers that no row of the table ever had.

    In ascending order. On SQLite, where one process writes and rows are never removed,
    they follow the highest; on PostgreSQL a sequence gives them.
    """
    table, name = column.table.name, column.name
    return Statement.of(
        "WITH RECURSIVE taken(number) AS ("
        f"SELECT coalesce(max({name}), 0) + 1 FROM {table} "
        "UNION ALL SELECT number + 1 FROM taken LIMIT :count) "
        "SELECT number FROM taken",
        f"SELECT nextval('{table}_{name}_seq') FROM generate_series(1, %(count)s)",
    )


def constant(value: int | str) -> ColumnElement[int]:
    """Returns a constant that stays in the text instead of becoming a parameter.

    A partial index is used only where the text of the query implies the index's
    condition, so what appears there cannot be a parameter.
    """
    text = (
        str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
    )
    return literal_column(text)


class _Listed(ColumnElement[Any]):
    """The texts of a JSON array that is one parameter, as rows."""

    inherit_cache = False

    def __init__(self, parameter: BindParameter[str]) -> None:
        self.parameter = parameter


@compiles(_Listed, "sqlite")
def _list_for_sqlite(element: _Listed, compiler: SQLCompiler, **_: object) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.parameter)}))"


@compiles(_Listed, "postgresql")
def _list_for_postgres(element: _Listed, compiler: SQLCompiler, **_: object) -> str:
    array = compiler.process(element.parameter)
    return f"(SELECT jsonb_array_elements_text(CAST({array} AS jsonb)))"


def is_listed(column: Column[str], parameter: str) -> ColumnElement[bool]:
    """Returns "the column is one of the texts in this parameter, a JSON array"."""
    return column.op("IN", is_comparison=True)(_Listed(bindparam(parameter)))
