"""kill -9 between every two steps of a payment. covers: I5, I6.

The simulated bank lives in another process and keeps its own ledger. After the restart
and the resolver, both ledgers must agree, nothing may be doubled, every acknowledged
answer must still be there, and the log must verify.
"""

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from bailee import BaileeError, Card, Client, new_request_id
from bailee.errors import GatewayUnreachable
from bailee.v1 import payment_pb2

from gateway.cli.audit import verify_gateway_at
from gateway.cli.init import InitOptions, create_gateway, free_port
from gateway.config import Settings
from gateway.payments.boundaries import Boundary
from gateway.words.clock import SystemClock
from gateway.words.identifiers import new_name

pytestmark = pytest.mark.process

OPEN = {
    payment_pb2.Payment.STATE_SUBMITTED,
    payment_pb2.Payment.STATE_UNKNOWN,
    payment_pb2.Payment.STATE_REQUIRES_ACTION,
}
MOVE_BOUNDARIES = {
    Boundary.MOVE_SUBMITTED,
    Boundary.MOVED,
    Boundary.MOVE_COMMITTED,
}
CONFIRM_BOUNDARIES = {Boundary.CONFIRM_SUBMITTED, Boundary.CONFIRMED}
DECLINE_BOUNDARIES = {Boundary.DECLINED, Boundary.RELEASED}
# Over, and without money: what the bank may say of a payment that it declined.
WITHOUT_MONEY = {
    payment_pb2.Payment.STATE_DECLINED,
    payment_pb2.Payment.STATE_CANCELED,
}
GOOD, DECLINED = "4242424242424242", "4000000000000002"
AUTHENTICATES = "4000002760003184"
BACK = "https://shop.example/back"
# `make check` hits each boundary once; check-deep hits it twenty times.
ROUNDS = 1


@contextmanager
def simulator(folder):
    command = [sys.executable, "-m", "gateway.processors.simulator"]
    process = subprocess.Popen(
        [*command, "--ledger", str(folder / "bank.jsonl")],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        yield f"http://{line.removeprefix('listening on ').strip()}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class Site:
    """A gateway's folder, its bank, and the processes that come and go."""

    def __init__(self, folder, bank):
        self.folder = folder / "gateway"
        self.bank = bank
        options = InitOptions(listen=f"127.0.0.1:{free_port()}")
        self.bundle = create_gateway(self.folder, options, SystemClock().now()).bundle
        self.log = (folder / "serve.log").open("ab")
        self.process = None

    def start(self, boundary="none", number=1):
        settings = {
            "BAILEE_SIMULATOR_URL": self.bank,
            "BAILEE_SETTLE_INTERVAL_SECONDS": "0.2",
            # Leases end soon, so that the restarted gateway takes over soon.
            "BAILEE_PROCESSOR_DEADLINE_SECONDS": "0.5",
            "BAILEE_LOG_LEVEL": "WARNING",
        }
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.crash.gateway_process",
                str(self.folder),
                boundary,
                str(number),
            ],
            env=os.environ | settings,
            stderr=self.log,
            stdout=self.log,
        )

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def close(self):
        self.stop()
        self.log.close()

    def authenticate(self, payment):
        """Does what the cardholder does at the redirect_url."""
        body = {"payment": payment.processor_object, "succeeded": True}
        request = urllib.request.Request(
            f"{self.bank}/control/authenticate",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request):
            pass

    def ledger(self):
        with urllib.request.urlopen(f"{self.bank}/ledger") as answer:
            return json.load(answer)


@pytest.fixture
def site(tmp_path):
    with simulator(tmp_path) as bank:
        made = Site(tmp_path, bank)
        yield made
        made.close()


def wait_until_answering(client):
    ends = time.monotonic() + 20
    while True:
        try:
            client.get_card_token("card_none")
        except BaileeError as error:
            if error.reason:
                return
            assert time.monotonic() < ends, "the gateway did not start"
            time.sleep(0.05)


def a_card(number=GOOD):
    return Card(number=number, expiry_month=12, expiry_year=2031)


class Journal:
    """What the caller asked for and what it was told."""

    def __init__(self):
        self.asked = []
        self.acknowledged = {}

    def charge(self, client, token="", number=GOOD, **changes):
        request_id, key = new_request_id(), new_name("invoice")
        self.asked.append((request_id, key))
        new = {"card": a_card(number), "customer_reference": key}
        instrument = {"card_token": token} if token else new
        answer = client.create_payment(
            amount=1000,
            currency="USD",
            charge_once_key=key,
            request_id=request_id,
            **instrument,
            **changes,
        )
        self.acknowledged[request_id] = answer.payment
        return answer.payment


def drive(site, journal, boundary):
    """Calls until the process dies at the boundary."""
    with Client.from_bundle(site.bundle, timeout_seconds=8) as client:
        wait_until_answering(client)
        try:
            if boundary in DECLINE_BOUNDARIES:
                journal.charge(client, number=DECLINED)
            payment = journal.charge(client)
            journal.charge(client, payment.card_token)
            if boundary in CONFIRM_BOUNDARIES:
                waits = journal.charge(client, number=AUTHENTICATES, return_url=BACK)
                site.authenticate(waits)
                client.confirm_payment(waits.name, return_url=BACK)
            if boundary in MOVE_BOUNDARIES:
                client.refund_payment(payment.name, amount=100, currency="USD")
        except GatewayUnreachable:
            pass


def settle(client, journal, seconds=30):
    """Waits until no payment of the journal is open any more."""
    ends = time.monotonic() + seconds
    while True:
        views = []
        for request_id, _ in journal.asked:
            try:
                views.append(client.get_payment(request_id=request_id))
            except BaileeError as error:
                assert error.reason == "PAYMENT_NOT_FOUND"  # noqa: PT017
        moves = [m for view in views for m in view.refunds]
        pending = [v for v in views if v.payment.state in OPEN]
        pending += [m for m in moves if m.state in (1, 5)]
        if not pending:
            return views
        assert time.monotonic() < ends, f"not settled: {pending}"
        time.sleep(0.2)


def check_books(site, journal, views):
    """Both ledgers agree, nothing is doubled, nothing acknowledged is lost."""
    bank = [item for item in site.ledger() if item["kind"] == "payment"]
    by_name = {}
    for item in bank:
        by_name.setdefault(item["metadata"]["bailee_payment"], []).append(item)
    doubled = [name for name, items in by_name.items() if len(items) > 1]
    assert not doubled
    ours = {view.payment.name: view.payment for view in views}
    for name, (item,) in by_name.items():
        assert ours[name].captured.minor_units == item["captured"]
        assert ours[name].refunded.minor_units == item["refunded"]
    for name, payment in ours.items():
        (item,) = by_name.get(name) or [None]
        assert (payment.captured.minor_units > 0) == bool(item and item["captured"])
        if payment.state in WITHOUT_MONEY:
            # Its key is free, so nobody may be able to confirm it any more.
            assert item["status"] == "canceled"
    for request_id, payment in journal.acknowledged.items():
        found = [p for p in ours.values() if p.name == payment.name]
        assert found, f"an acknowledged payment is gone: {request_id}"
        assert found[0].captured.minor_units >= payment.captured.minor_units


def kill_at(site, journal, boundary, number=1):
    """Starts, drives, is killed, starts again, settles and compares."""
    site.start(boundary.name, number)
    drive(site, journal, boundary)
    died = site.process.poll() is not None
    site.stop()
    site.start()
    with Client.from_bundle(site.bundle, timeout_seconds=10) as client:
        wait_until_answering(client)
        views = settle(client, journal)
        check_books(site, journal, views)
    site.stop()
    return died


class TestKill:
    def test_loses_and_doubles_nothing_at_any_boundary(self, site, capsys):
        journal = Journal()
        hits = dict.fromkeys(Boundary, 0)
        for _ in range(ROUNDS):
            for boundary in Boundary:
                hits[boundary] += kill_at(site, journal, boundary)

        with capsys.disabled():
            print()
            for boundary, count in hits.items():
                print(f"  killed {count:3d} times {boundary.value}")
        assert all(count == ROUNDS for count in hits.values())
        assert verify_gateway_at(Settings.read(site.folder), "shop").startswith("ok")

    @pytest.mark.deep
    def test_loses_and_doubles_nothing_twenty_times(self, site, capsys):
        journal = Journal()
        hits = dict.fromkeys(Boundary, 0)
        for _ in range(20):
            for boundary in Boundary:
                hits[boundary] += kill_at(site, journal, boundary)

        with capsys.disabled():
            print()
            for boundary, count in hits.items():
                print(f"  killed {count:3d} times {boundary.value}")
        assert all(count >= 20 for count in hits.values())
        assert verify_gateway_at(Settings.read(site.folder), "shop").startswith("ok")

    def test_survives_random_kills_under_load(self, site):
        random_kills(site, kills=8)

    @pytest.mark.deep
    def test_survives_a_hundred_random_kills_under_load(self, site):
        random_kills(site, kills=100)


def random_kills(site, kills):
    journal = Journal()
    for _ in range(kills):
        site.start()
        with (
            Client.from_bundle(site.bundle, timeout_seconds=3) as client,
            ThreadPoolExecutor(8) as pool,
        ):
            wait_until_answering(client)
            calls = [pool.submit(journal.charge, client) for _ in range(24)]
            time.sleep(0.02 + secrets.randbelow(300) / 1000)
            site.stop()
            for call in calls:
                if call.exception() is not None:
                    assert isinstance(call.exception(), BaileeError)
    site.start()
    with Client.from_bundle(site.bundle, timeout_seconds=10) as client:
        wait_until_answering(client)
        views = settle(client, journal, seconds=60)
        check_books(site, journal, views)
    site.stop()
    assert verify_gateway_at(Settings.read(site.folder), "shop").startswith("ok")
