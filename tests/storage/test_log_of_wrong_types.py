"""A log whose rows hold what SQLite lets anybody put there: any type in any column.

Whoever checks it hears that the log is broken, not that the checker is.
"""

import sqlite3
from itertools import product

import pytest

from gateway.audit.checkpoint import origin_of
from gateway.audit.export import write_export
from gateway.audit.verify import LogBroken, verify_log
from gateway.errors import IntegrityViolation
from tests.builders.storage import SHOP, VAULT, a_signer, an_entry, open_shop

ORIGIN = {"origin": origin_of(VAULT, SHOP, 1), "public_key": a_signer().public_key}
VALUES = ["5", "-1", "1.5", "'text'", "x'ff'", "zeroblob(70000)"]
COLUMNS = [
    "log_entries SET leaf",
    "log_entries SET nodes",
    "log_heads SET size",
    "log_heads SET frontier",
]
DAMAGE = [f"UPDATE {column} = {value}" for column, value in product(COLUMNS, VALUES)]
DAMAGE += [
    f"UPDATE log_entries SET position = {value} WHERE position = 3"
    for value in VALUES[1:]
]
DAMAGE += ["UPDATE log_entries SET leaf = CAST(leaf AS TEXT) WHERE position = 3"]


@pytest.fixture
async def template(tmp_path):
    storage = await open_shop(tmp_path)
    for _ in range(7):
        await storage.commit(SHOP, lambda unit: unit.log.append(an_entry()))
    await storage.close()
    return tmp_path


@pytest.fixture
async def damaged(template, request):
    connection = sqlite3.connect(template / "bailee.db")
    with connection:
        connection.execute(request.param)
    connection.close()
    storage = await open_shop(template)
    yield storage
    await storage.close()


@pytest.mark.parametrize("damaged", DAMAGE, indirect=True)
class TestWrongTypes:
    async def test_are_a_broken_log(self, damaged, template):
        log = damaged.stored_log(SHOP)

        with pytest.raises(LogBroken):
            verify_log(log, **ORIGIN)
        with pytest.raises(LogBroken):
            write_export(template / "export", log, **ORIGIN)
        assert not (template / "export").exists()

    async def test_prove_nothing(self, damaged):
        """The newest entry is proved by all others, or by itself alone."""
        try:
            receipt = damaged.read_now(SHOP, lambda unit: unit.log.receipt(6))
        except IntegrityViolation:
            return
        assert receipt.entry.startswith(b"{")
