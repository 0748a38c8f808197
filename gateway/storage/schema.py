"""Bringing a database to the newest schema, with Alembic.

Alembic is imported only when there is something to do: most starts need nothing.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

NEWEST_REVISION: Final = "0001"
_MIGRATIONS: Final = Path(__file__).parent / "migrations"


def migrate(path: Path) -> None:
    """Runs the migrations that the database lacks.

    Raises:
        sqlite3.Error: The database cannot be opened or written.
    """
    if _revision(path) == NEWEST_REVISION:
        return
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import NullPool, create_engine

    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()


def _revision(path: Path) -> str | None:
    with closing(sqlite3.connect(path)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version")
            found = row.fetchone()
        except sqlite3.OperationalError:
            return None
    return None if found is None else str(found[0])
