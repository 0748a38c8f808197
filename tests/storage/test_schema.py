"""The migrations lead to the tables that the code describes."""

import re
import sqlite3
import subprocess
import sys

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from gateway.errors import StorageUnavailable
from gateway.storage import schema
from gateway.storage.tables import METADATA


def objects_of(path):
    """Returns the SQL of every table and index, without its layout."""
    connection = sqlite3.connect(path)
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    ).fetchall()
    connection.close()
    return {
        name: re.sub(r"\s*([(),])\s*", r"\1", re.sub(r"\s+", " ", text)).strip()
        for name, text in rows
        if name != "alembic_version"
    }


class TestMigrations:
    def test_make_the_tables_that_the_code_describes(self, tmp_path):
        schema.migrate(tmp_path / "migrated.db")
        engine = create_engine(f"sqlite:///{tmp_path / 'described.db'}")
        METADATA.create_all(engine)
        engine.dispose()

        migrated = objects_of(tmp_path / "migrated.db")
        assert migrated == objects_of(tmp_path / "described.db")
        assert len(migrated) > 20

    def test_end_where_the_code_expects(self):
        config = Config()
        config.set_main_option("script_location", str(schema._MIGRATIONS))

        heads = ScriptDirectory.from_config(config).get_heads()
        assert heads == [schema.NEWEST_REVISION]

    def test_are_done_once(self, tmp_path):
        path = tmp_path / "bailee.db"
        schema.migrate(path)
        before = path.read_bytes()

        schema.migrate(path)

        assert path.read_bytes() == before

    def test_happen_whole_or_not_at_all(self, tmp_path):
        """A crash half-way must leave a database that the next start can migrate."""
        path = tmp_path / "bailee.db"
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE payments (in_the_way)")
        connection.commit()
        with pytest.raises(StorageUnavailable):
            schema.migrate(path)
        assert set(objects_of(path)) == {"payments"}
        connection.execute("DROP TABLE payments")
        connection.close()

        schema.migrate(path)

        assert "cards" in objects_of(path)

    def test_refuse_the_database_of_a_newer_gateway(self, tmp_path):
        path = tmp_path / "bailee.db"
        schema.migrate(path)
        connection = sqlite3.connect(path)
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
        connection.close()

        with pytest.raises(StorageUnavailable):
            schema.migrate(path)

    def test_take_any_path(self, tmp_path):
        folder = tmp_path / "odd %s name? #1"
        folder.mkdir()

        schema.migrate(folder / "bailee.db")

        assert "cards" in objects_of(folder / "bailee.db")

    def test_cost_a_start_nothing_when_there_is_nothing_to_do(self, tmp_path):
        path = tmp_path / "bailee.db"
        schema.migrate(path)
        code = (
            "import sys; from pathlib import Path;"
            "from gateway.storage.schema import migrate; migrate(Path(sys.argv[1]));"
            "print('alembic' in sys.modules)"
        )

        command = [sys.executable, "-c", code, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)

        assert done.stdout == "False\n"
