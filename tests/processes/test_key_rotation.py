"""Rotating the epoch key of a gateway under load, with real processes.

covers: I5, I10.
"""

import asyncio
import json
import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from gateway.adapters import open_keys, open_storage
from gateway.config import Settings
from gateway.errors import KeyUnavailable
from gateway.keys.hierarchy import KeyHierarchy
from gateway.words.clock import SystemClock
from gateway.words.identifiers import MerchantId, new_name
from tests.builders.served_gateway import ServedGateway, a_card

pytestmark = pytest.mark.process
SHOP = MerchantId("shop")


@pytest.fixture
def site(tmp_path):
    made = ServedGateway(tmp_path)
    made.serve()
    yield made
    made.kill()


class Load:
    """Callers that tokenize, charge, refund and erase until they are told to stop."""

    def __init__(self, site, callers=4):
        self.site = site
        self.tokens, self.failures, self.dates = [], [], []
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self.call) for _ in range(callers)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def call(self):
        with self.site.client() as client:
            while not self.stopped.is_set():
                try:
                    self.one_round(client)
                except Exception as error:  # noqa: BLE001 - any failure is a finding
                    self.failures.append(repr(error))

    def one_round(self, client):
        token = client.tokenize_card(a_card()).card_token.name
        charge(client, token)
        if self.tokens:
            charge(client, self.tokens[0])
        self.tokens.append(token)
        gone = client.tokenize_card(a_card()).card_token.name
        erased = client.delete_card_token(gone)
        self.dates.append(erased.unrecoverable_time.ToDatetime(UTC))


def charge(client, token):
    payment = client.create_payment(
        amount=100,
        currency="USD",
        card_token=token,
        charge_once_key=new_name("invoice"),
    ).payment
    assert payment.captured.minor_units == 100
    return payment.name


def codes_of(site):
    """Returns the status of every call, as the gateway's log lines tell it."""
    lines = map(json.loads, site.log.read_text("utf-8").splitlines())
    return {line["code"] for line in lines if "code" in line}


def test_no_call_fails_and_the_old_backup_opens_nothing(site, tmp_path):
    settings = Settings.read(site.folder)
    backup = tmp_path / "backup"
    with Load(site) as load:
        while len(load.tokens) < 8:
            threading.Event().wait(0.05)
        shutil.copytree(
            site.folder, backup, ignore=shutil.ignore_patterns("*.db*", "*.sock")
        )
        with (
            closing(sqlite3.connect(settings.path("database"))) as live,
            closing(sqlite3.connect(backup / "data" / "bailee.db")) as copy,
        ):
            live.backup(copy)
        for _ in range(2):
            done = site.bailee("keys", "rotate")
            assert done.returncode == 0, done.stderr
            assert "is the only epoch key" in done.stdout

    assert load.failures == []
    with site.client() as client:
        for token in load.tokens[:20]:
            charge(client, token)
    now = datetime.now(UTC)
    assert all(now + timedelta(days=30) < date for date in load.dates)
    assert codes_of(site) <= {"OK", "NOT_FOUND"}
    shutil.copy(settings.path("keyring") / "keyring", backup / "keyring" / "keyring")
    assert opening(backup) == {KeyUnavailable}


def opening(folder):
    """Tries every wrapping key of a database; returns what came of it."""
    settings = Settings.read(folder)

    async def attempt():
        keys = open_keys(settings)
        storage = open_storage(settings, keys)
        hierarchy = KeyHierarchy(provider=keys, storage=storage, clock=SystemClock())
        with closing(sqlite3.connect(settings.path("database"))) as database:
            rows = database.execute("SELECT key_id FROM wrapping_keys").fetchall()
        results = set()
        for (key_id,) in rows:
            try:
                await hierarchy.wrapping_key_by_id(SHOP, key_id)
                results.add("opened")
            except KeyUnavailable:
                results.add(KeyUnavailable)
        await storage.close()
        return results

    return asyncio.run(attempt())


def test_the_control_opens_everything(site):
    """What ``opening`` finds in a backup beside the keyring of its own time."""
    with site.client() as client:
        client.tokenize_card(a_card())
    site.stop()

    assert opening(site.folder) == {"opened"}


def test_the_inventory_tells_every_key_and_shows_none(site):
    with site.client() as client:
        client.tokenize_card(a_card())
    site.bailee("keys", "rotate")

    listed = site.bailee("keys", "inventory", after=["--json"])
    shown = site.bailee("keys", "inventory")

    facts = [json.loads(line) for line in listed.stdout.splitlines()]
    states = {(fact["kind"], fact["state"].split(",")[0]) for fact in facts}
    assert {("epoch", "current"), ("wrapping", "current")} <= states
    assert any(state.startswith("destroyed") for _, state in states)
    assert {fact["kind"] for fact in facts} >= {"sealing", "identity", "log", "TLS"}
    keyring = json.loads((site.folder / "keyring/keyring").read_bytes()[34:])
    secret = [keyring["log_key"], keyring["mac_root"], keyring["epochs"][0][1]]
    for key in secret:
        assert key not in listed.stdout + shown.stdout
    assert {fact["id"] for fact in facts} <= set(shown.stdout.split()) | {""}
