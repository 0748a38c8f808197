"""The restore drill, with real processes: what an operator does after losing a disk.

covers: I5, I6, I10.
"""

import json
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest
from bailee.errors import (
    CardsHeld,
    CardTokenNotFound,
    LogRestored,
    LogRollback,
    PaymentsHeld,
)

from gateway.cli.audit import verify_gateway_at
from gateway.config import Settings
from gateway.storage.backup import DATABASE
from tests.builders.served_gateway import ServedGateway, a_card
from tests.processes.test_key_rotation import Load, charge

pytestmark = pytest.mark.process


class Drill:
    """A served gateway, a backup of it, and what happened since."""

    def __init__(self, folder):
        self.site = ServedGateway(folder)
        self.backup = folder / "backup"
        self.settings = Settings.read(self.site.folder)
        self.site.serve()
        with self.site.client() as client:
            self.kept, self.erased = (
                client.tokenize_card(a_card()).card_token.name for _ in range(2)
            )
            charge(client, self.kept)
            self.request_id = str(uuid4())
            self.replayed = client.create_payment(
                amount=100,
                currency="USD",
                card_token=self.kept,
                request_id=self.request_id,
            ).payment.name
        self.done = self.site.bailee("backup", after=[self.backup])
        assert self.done.returncode == 0, self.done.stderr

    def lose_traffic(self):
        """Goes on after the backup, and stops: all of this will be lost."""
        with self.site.client() as client:
            self.lost = client.tokenize_card(a_card()).card_token.name
            self.lost_payment = charge(client, self.lost)
            client.delete_card_token(self.erased)
        self.site.stop()

    def restore(self):
        done = self.site.bailee("restore", after=[self.backup])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def accept(self):
        done = self.site.bailee("restore", after=["--accept"])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refusal(self):
        done = self.site.bailee("serve")
        assert done.returncode == 1
        return done.stderr


@pytest.fixture
def drill(tmp_path):
    made = Drill(tmp_path)
    yield made
    made.site.kill()


def uuid4():
    text = secrets.token_hex(16)
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


class TestDrill:
    def test_from_backup_to_new_charges(self, drill):
        site = drill.site
        old_bundle = drill.backup.with_name("old")
        shutil.copytree(site.bundle, old_bundle)
        drill.lose_traffic()

        assert "put the backup of" in drill.restore()
        assert "bailee restore DIR --accept" in drill.refusal()
        told = drill.accept()

        assert "log of shop: goes on as g2; of g1 the entries" in told
        assert "erased 1 cards again, of 1 in the journal" in told
        site.serve()
        with site.client() as client:
            with pytest.raises(PaymentsHeld):
                charge(client, drill.kept)
            assert client.get_card_token(drill.kept).pan_held
            assert not client.get_card_token(drill.erased).pan_held
            with pytest.raises(CardTokenNotFound):
                client.get_card_token(drill.lost)
        site.stop()
        compared = site.bailee("restore", after=["--reconcile"])
        assert compared.returncode == 1
        assert f"LOST {drill.lost_payment}" in compared.stdout
        assert "captured 100, refunded 0 USD" in compared.stdout
        assert "money does not move yet for shop" in compared.stderr
        done = site.bailee("restore", after=["--reconciled"])
        assert done.stdout == "shop: money moves again\n"
        site.serve()
        with site.client() as client:
            charge(client, drill.kept)
            again = client.create_payment(
                amount=100,
                currency="USD",
                card_token=drill.kept,
                request_id=drill.request_id,
            )
            assert (again.payment.name, again.replayed) == (drill.replayed, True)
        site.stop()
        assert verify_gateway_at(drill.settings, "shop").startswith("ok")
        assert self.first_entry(drill)["type"] == "log.restored"
        self.old_bundle_is_told(drill, old_bundle)

    def first_entry(self, drill):
        with closing(sqlite3.connect(drill.settings.path("database"))) as database:
            row = database.execute(
                "SELECT leaf FROM log_entries JOIN scopes USING (scope) WHERE "
                "merchant = 'shop' AND generation = 2 AND position = 0"
            )
            entry = json.loads(row.fetchone()[0])
        assert entry["previous_origin"].endswith("/m/shop/g1")
        assert entry["previous_size"] > entry["restored_size"] > 0
        return entry

    def old_bundle_is_told(self, drill, old_bundle):
        """Who pinned the old log hears that it ended, not that nothing fits."""
        drill.site.serve()
        drill.site.bundle = old_bundle
        with drill.site.client() as client, pytest.raises(LogRestored) as caught:
            client.tokenize_card(a_card())
        assert isinstance(caught.value, LogRollback)
        assert "/m/shop/g2" in str(caught.value)


class TestReconcile:
    def test_money_moves_when_the_processor_agrees(self, drill):
        drill.site.stop()
        drill.restore()
        drill.accept()

        done = drill.site.bailee("restore", after=["--reconcile"])

        assert done.returncode == 0, done.stderr
        assert "shows nothing that the database forgot" in done.stdout
        drill.site.serve()
        with drill.site.client() as client:
            charge(client, drill.kept)

    def test_a_refund_since_the_backup_is_found(self, drill):
        """Otherwise it could be refunded twice."""
        with drill.site.client() as client:
            client.refund_payment(drill.replayed, amount=40, currency="USD")
        drill.site.stop()
        drill.restore()
        drill.accept()

        done = drill.site.bailee("restore", after=["--reconcile"])

        assert done.returncode == 1
        assert f"DIFFERS {drill.replayed}" in done.stdout
        assert "refunded 40 USD, the database knows 100 and 0" in done.stdout


class TestRefusal:
    def test_a_database_that_somebody_copied_back_is_refused(self, drill):
        """Without bailee restore: the anchor alone notices."""
        drill.lose_traffic()
        database = drill.settings.path("database")
        for file in database.parent.glob("bailee.db*"):
            file.unlink()
        shutil.copy(drill.backup / DATABASE, database)

        assert "the anchor saw" in drill.refusal()
        assert "g2" in drill.accept()

    def test_a_lost_anchor_is_not_taken_for_a_new_gateway(self, drill):
        drill.lose_traffic()
        shutil.rmtree(drill.site.folder / "anchor")

        assert "the anchor cannot be used" in drill.refusal()

    def test_cards_are_held_when_the_journal_is_lost_with_the_anchor(self, drill):
        """covers: I10. Which cards to erase again is not known: none opens."""
        site = drill.site
        drill.lose_traffic()
        shutil.rmtree(site.folder / "anchor")
        drill.restore()

        assert "no card opens until" in drill.accept()
        assert site.bailee("restore", after=["--reconciled"]).returncode == 0
        site.serve()
        with site.client() as client, pytest.raises(CardsHeld):
            charge(client, drill.kept)
        site.stop()
        site.bailee("restore", after=["--release-cards"])
        site.serve()
        with site.client() as client:
            charge(client, drill.kept)

    def test_restore_does_nothing_while_the_gateway_serves(self, drill):
        for arguments in ([drill.backup], ["--accept"], ["--reconciled"]):
            done = drill.site.bailee("restore", after=arguments)
            assert done.returncode == 1
        with drill.site.client() as client:
            charge(client, drill.kept)

    def test_there_is_nothing_to_accept_otherwise(self, drill):
        drill.site.stop()

        done = drill.site.bailee("restore", after=["--accept"])

        assert "just serve it" in done.stderr

    def test_a_killed_gateway_starts_without_any_of_this(self, drill):
        """The anchor is behind the database after kill -9, never before it."""
        for _ in range(3):
            with Load(drill.site) as load:
                while len(load.tokens) < 3:
                    threading.Event().wait(0.02)
                drill.site.kill()
                load.stopped.set()
            drill.site.serve()


class TestKilled:
    def test_accepting_goes_on_wherever_it_was_killed(self, drill, tmp_path):
        drill.lose_traffic()
        drill.restore()
        lost = tmp_path / "lost"
        shutil.copytree(drill.site.folder, lost)
        code = (
            "import os, signal, sys; from pathlib import Path;"
            "from gateway.cli import restore; from gateway.config import Settings;"
            "name, folder = sys.argv[1:];"
            "place, _, name = name.rpartition('.');"
            "holder = restore if not place else getattr(restore, place);"
            "real = getattr(holder, name);\n"
            "def dying(*a, **k):\n"
            "    result = real(*a, **k)\n"
            "    if not hasattr(result, '__await__'):\n"
            "        os.kill(os.getpid(), signal.SIGKILL)\n"
            "    async def wait():\n"
            "        await result\n"
            "        os.kill(os.getpid(), signal.SIGKILL)\n"
            "    return wait()\n"
            "setattr(holder, name, dying)\n"
            "restore.accept_at(Settings.read(Path(folder)), print)"
        )
        for name in (
            "begin_generations",
            "_begin_log",
            "ReplayErasures.execute",
            "create_anchor",
        ):
            shutil.rmtree(drill.site.folder)
            shutil.copytree(lost, drill.site.folder)
            killed = subprocess.run(
                [sys.executable, "-c", code, name, str(drill.site.folder)],
                capture_output=True,
                check=False,
            )
            assert killed.returncode == -signal.SIGKILL, killed.stderr
            refused = drill.site.bailee("serve")
            assert refused.returncode == 1, name
            drill.accept()
            assert verify_gateway_at(drill.settings, "shop").startswith("ok")
            with closing(sqlite3.connect(drill.settings.path("database"))) as database:
                (generation,) = database.execute(
                    "SELECT DISTINCT log_generation FROM scopes"
                ).fetchone()
                (restored,) = database.execute(
                    "SELECT count(*) FROM log_entries WHERE generation = 2 "
                    "AND instr(CAST(leaf AS TEXT), 'log.restored')"
                ).fetchone()
            assert (generation, restored) == (2, 2), name
