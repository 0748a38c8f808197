"""Bringing a database to the newest schema, with Alembic.

Alembic is imported only when there is something to do: most starts need nothing.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from gateway.errors import StorageUnavailable

NEWEST_REVISION: Final = "0001"
_MIGRATIONS: Final = Path(__file__).parent / "migrations"


def migrate(path: Path) -> None:
    """Runs the migrations that the database lacks: all of them, or none.

    Raises:
        sqlite3.Error: The database cannot be opened or written.
        StorageUnavailable: A newer version of the gateway made it.
    """
    if _revision(path) == NEWEST_REVISION:
        return
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError
    from sqlalchemy import NullPool, create_engine, exc

    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(path, isolation_level=None),
        poolclass=NullPool,
    )
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    try:
        with engine.begin() as connection:
            # The driver would commit after each CREATE TABLE: a crash would leave half
            # a schema that no later start could finish.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except (CommandError, exc.DBAPIError) as error:
        raise StorageUnavailable(metadata={"schema": "cannot be migrated"}) from error
    finally:
        engine.dispose()


def _revision(path: Path) -> str | None:
    with closing(sqlite3.connect(path)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version")
            found = row.fetchone()
        except sqlite3.OperationalError:
            return None
    return None if found is None else str(found[0])
