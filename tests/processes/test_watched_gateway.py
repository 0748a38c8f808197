"""A served gateway, a billing program that keeps a journal, and a watcher. covers: I7.

The watcher has a client certificate, the pinned key and the journal, and nothing else.
"""

import json
import subprocess
import sys

import pytest
from bailee import Client
from bailee.audit.journal import RequestJournal
from bailee.card import Card

from gateway.audit.checkpoint import read_verifier_key
from gateway.audit.leaf import salted_hash
from gateway.audit.receipts import verify_receipt
from gateway.cli.audit import export_gateway_at
from gateway.cli.demo import serving
from gateway.cli.init import InitOptions, create_gateway, free_port
from gateway.config import Settings
from gateway.words.clock import SystemClock
from tests.foreign.judges import build_verifier
from tests.processes.test_first_minutes import bailee, wait_for_port

pytestmark = pytest.mark.process


class Place:
    """A gateway's folder, its bundle, and the platform's files."""

    def __init__(self, folder):
        self.folder = folder
        port = free_port()
        options = InitOptions(listen=f"127.0.0.1:{port}")
        self.gateway = folder / "gateway"
        self.bundle = create_gateway(self.gateway, options, SystemClock().now()).bundle
        self.port = port
        self.journal = folder / "journal.jsonl"

    def client(self, *, journal):
        kept = RequestJournal(self.journal) if journal else None
        return Client.from_bundle(self.bundle, journal=kept)

    def watch(self, *more):
        command = [sys.executable, "-m", "bailee.audit.cli", "watch"]
        files = ["--bundle", self.bundle, "--journal", self.journal]
        state = ["--state", self.folder / "state"]
        return subprocess.run(
            [*command, *files, *state, *more],
            capture_output=True,
            check=False,
            text=True,
        )


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    with serving(made.gateway):
        wait_for_port(made.port)
        yield made


def charge(client, key, amount=1999):
    card = Card(number="4242424242424242", expiry_month=12, expiry_year=2031)
    return client.create_payment(
        amount=amount,
        currency="EUR",
        card=card,
        purposes=["payment.customer_initiated", "payment.recurring"],
        charge_once_key=key,
    )


def test_watcher_follows_and_finds_a_charge_that_nobody_journaled(place):
    with place.client(journal=True) as client:
        paid = charge(client, "invoice-1")
        client.refund_payment(paid.payment.name, amount=500, currency="EUR")
        held = client.create_payment(
            amount=700,
            currency="EUR",
            card_token=paid.payment.card_token,
            capture=False,
        )
        client.capture_payment(held.payment.name)
        calm = place.watch("--witness", "witness.example/1")
        assert calm.returncode == 0, calm.stdout + calm.stderr

    with place.client(journal=False) as behind:
        behind.create_payment(
            amount=9900, currency="EUR", card_token=paid.payment.card_token
        )
    found = place.watch("--grace", "0")
    assert found.returncode == 1
    assert "UNASKED" in found.stdout
    assert "charge 9900 EUR" in found.stdout


def test_reconciles_with_the_processors_own_list(place):
    month = f"{SystemClock().now():%Y-%m}"
    command = ["audit", "reconcile", str(place.gateway), "--month", month]
    with place.client(journal=True) as client:
        paid = charge(client, "invoice-1")
        client.refund_payment(paid.payment.name, amount=500, currency="EUR")
        honest = bailee(*command, "--all")
    assert honest.returncode == 0, honest.stdout + honest.stderr
    assert f"MATCHED  {paid.payment.name}  1999 EUR" in honest.stdout

    # Somebody with the gateway's credentials charges beside the log.
    ledger = Settings.read(place.gateway).path("simulator_ledger")
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    made = next(
        record
        for line in lines
        for record in line.get("records", [])
        if record["kind"] == "payment"
    )
    rogue = made | {"id": "pi_rogue", "metadata": {"bailee_payment": "pay_x"}}
    with ledger.open("a") as stream:
        line = {"kind": "payment", "at": made["created"], "records": [rogue]}
        stream.write(json.dumps(line) + "\n")
    found = bailee(*command)
    assert found.returncode == 1
    assert "OBJECT WITHOUT USE  pay_x" in found.stdout


def test_log_verifies_after_erasure_and_no_longer_names_the_card(place, tmp_path):
    with place.client(journal=True) as client:
        paid = charge(client, "invoice-1")
        token = paid.payment.card_token
        salted = salted_hash(token, paid.receipt.card_salt)
        assert salted.encode() in paid.receipt.entry
        client.delete_card_token(token)
        assert place.watch().returncode == 0

    settings = Settings.read(place.gateway)
    export = tmp_path / "export"
    export_gateway_at(settings, "shop", export)
    key = (export / "verifier-key.txt").read_text()
    judged = subprocess.run(
        [build_verifier(), "log", export / "verifier-key.txt", export],
        capture_output=True,
        check=False,
        text=True,
    )
    assert judged.stdout.startswith("ok: ")

    origin, public_key = read_verifier_key(key)
    receipt = paid.receipt  # the platform's copy still proves what was done
    verify_receipt(receipt.entry, receipt.proof, origin=origin, public_key=public_key)
    database = b"".join(
        file.read_bytes() for file in place.gateway.glob("bailee.db*") if file.is_file()
    )
    assert receipt.card_salt not in database
    for file in export.rglob("*"):
        if file.is_file():
            assert receipt.card_salt not in file.read_bytes()
            assert token.encode() not in file.read_bytes()
