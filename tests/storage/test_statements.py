"""Every compiled statement: it names the merchant, and it finds rows by an index."""

import importlib
import pkgutil
import re
import sqlite3
from collections import defaultdict

import pytest
from sqlalchemy import column, select, table, update

import gateway.storage
from gateway.errors import InvariantBroken
from gateway.storage.schema import migrate
from gateway.storage.statements import constant, sql
from gateway.storage.tables import METADATA, request_records


def named_texts(module):
    """Yields what a module defines, and what its tables of statements hold."""
    for name, value in vars(module).items():
        yield name, value
        if isinstance(value, dict):
            yield from (
                (f"{name}{list(key)}", text)
                for key, text in value.items()
                if isinstance(key, tuple)
            )


def statements():
    """Returns the SQL of every statement of every store, by where it stands."""
    found = {}
    for part in pkgutil.iter_modules(gateway.storage.__path__):
        if part.name.endswith(("_store", "_rows", "_writer")):
            module = importlib.import_module(f"gateway.storage.{part.name}")
            for name, value in named_texts(module):
                is_sql = isinstance(value, str) and re.match(r"[A-Z]+\s", value)
                if is_sql and not name.startswith("__"):
                    found[f"{part.name}.{name}"] = value
    return found


STATEMENTS = statements()
# Everything else names the scope in the statement itself.
WITHOUT_SCOPE = {
    "caller_store._SELECT_CALLERS": "the store refuses units of merchants",
    "caller_store._SELECT_CALLER": "the store refuses units of merchants",
    "caller_store._SELECT_PAGE": "the store refuses units of merchants",
    "caller_store._ENABLE": "the store refuses units of merchants",
    "caller_store._PUT_CALLER": "the store refuses units of merchants",
    "card_store._TAKE_NUMBERS": "numbers are of the whole table",
    "card_store._INSERT_KEY": "of a card that was just stored in the unit's scope",
    "card_store._DELETE_KEYS": "of a card found in the unit's scope",
    "card_store._DELETE_REFERENCES": "of a card found in the unit's scope",
    "data_key_store._CARDS_UNDER": "a rotation works for every merchant",
    "epoch_store._PUT": "the store refuses units of merchants",
    "epoch_store._SELECT": "the store refuses units of merchants",
    "key_store._MERCHANTS_WITH": "a rotation works for every merchant",
    "merchant_directory_store._PAGE": "the store refuses units of merchants",
    "merchant_directory_store._ONE": "the store refuses units of merchants",
    "merchant_store._SELECT_SCOPE": "finds the scope by the merchant's name",
    "merchant_store._INSERT_SCOPE": "makes the scope",
    "policy_store._INSERT": "the store refuses units of merchants",
    "policy_store._NEWEST": "versions are the same for everybody",
    "policy_store._SELECT": "versions are the same for everybody",
    "policy_store._WITHOUT_NOTICE": "finds whom to tell among every merchant",
    "policy_store._INSERT_MARK": "the gateway has one clock",
    "policy_store._SELECT_MARK": "the gateway has one clock",
    "policy_store._UPDATE_MARK": "the gateway has one clock",
    "retention_store._NOT_NEEDED": "the sweeper looks at every merchant's cards",
    "retention_store._COUNT_ACTIVE": "the sweeper looks at every merchant's cards",
    "retention_store._INSERT": "the store refuses units of merchants",
    "retention_store._SUM": "the store refuses units of merchants",
    "payment_store._UNSETTLED": "the resolver works for every merchant",
}
# Small by their nature, or sorted anyway.
SCANS = {
    "retention_store._COUNT_ACTIVE",  # once a day, on a thread of its own
    "retention_store._SUM",
    "policy_store._WITHOUT_NOTICE",
    "caller_store._SELECT_CALLERS",
    "epoch_store._SELECT",
    "key_store._MERCHANTS_WITH",  # once a rotation, on a thread of its own
}


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("plans") / "bailee.db"
    migrate(path)
    connection = sqlite3.connect(path)
    yield connection
    connection.close()


class TestStatements:
    def test_are_found(self):
        assert len(STATEMENTS) > 40

    def test_name_the_merchant(self):
        """covers: I9."""
        missing = {name for name, text in STATEMENTS.items() if ":scope" not in text}

        assert missing == set(WITHOUT_SCOPE)

    @pytest.mark.parametrize("name", STATEMENTS)
    def test_find_rows_by_an_index(self, database, name):
        values = defaultdict(int)
        values |= dict.fromkeys(re.findall(r":(\w+)", STATEMENTS[name]), 1)

        plan = database.execute(f"EXPLAIN QUERY PLAN {STATEMENTS[name]}", values)

        steps = [step for *_, step in plan.fetchall()]
        whole = [
            step
            for step in steps
            if step.startswith("SCAN")
            and "USING" not in step
            and step.split()[1] not in ("due", "taken")
            and "VIRTUAL TABLE" not in step
        ]
        assert bool(whole) == (name in SCANS), steps

    @pytest.mark.parametrize("name", STATEMENTS)
    def test_exist_for_postgresql_with_the_same_parameters(self, name):
        given = set(re.findall(r":(\w+)", STATEMENTS[name]))

        text = STATEMENTS[name].postgres

        assert set(re.findall(r"%\((\w+)\)s", text)) == given

    @pytest.mark.parametrize(
        ("name", "index"),
        [
            ("card_store._COUNT_NUMBERS", "INDEX cards_by_last_four"),
            ("card_rows._LISTS[None, False, False]", "cards_by_age"),
            ("card_rows._LISTS[None, False, True]", "cards_by_last_four"),
            ("card_rows._LISTS[None, True, False]", "cards_by_customer"),
            (
                "card_rows._LISTS[<CardState.ERASED: 'erased'>, False, False]",
                "cards_erased",
            ),
            ("log_writer._ERASE_SALTS", "INDEX log_entries_by_card"),
            ("payment_store._BY_CHARGE_ONCE_KEY", "payments_by_charge_once_key"),
            ("payment_store._BY_PROCESSOR_OBJECT", "payments_by_processor_object"),
            ("payment_store._UNSETTLED", "payments_unsettled"),
            ("payment_store._UNSETTLED", "moves_unsettled"),
        ],
    )
    def test_use_the_index_made_for_them(self, database, name, index):
        values = dict.fromkeys(re.findall(r":(\w+)", STATEMENTS[name]), 1)

        plan = database.execute(f"EXPLAIN QUERY PLAN {STATEMENTS[name]}", values)

        assert index in str(plan.fetchall())


class TestTables:
    def test_have_the_same_partial_indexes_on_every_engine(self):
        for each in METADATA.tables.values():
            for index in each.indexes:
                options = index.dialect_options
                ours = options["sqlite"]["where"]
                assert ours is options["postgresql"]["where"], index.name

    def test_name_the_merchant_or_a_row_of_one(self):
        """covers: I9."""
        through = {
            "data_keys": "card",
            "credential_references": "card",
            "callers": "spiffe_id",
            "retention_sweeps": "at",
            "policies": "number",
            "policy_clock": "only",
            "epochs": "epoch",
            "restores": "restore",
        }

        for each in METADATA.tables.values():
            assert through.get(each.name, "scope") in each.c


class TestSql:
    def test_refuses_a_value_that_would_be_lost(self):
        with pytest.raises(InvariantBroken):
            sql(select(request_records.c.rpc).where(request_records.c.rpc == "x"))
        with pytest.raises(InvariantBroken):
            sql(update(request_records).values(digest=None))

    def test_quotes_constants(self):
        quoted = sql(select(column("a")).where(column("a") == constant("it's")))

        assert quoted.endswith("= 'it''s'")
        assert sql(select(table("t", column("a")).c.a)) == "SELECT t.a \nFROM t"
