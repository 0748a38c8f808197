"""The main job with Stripe's SDK: card in over mutual TLS, token out, money moves.

The gateway is made by ``bailee init --stripe-key-file`` and served as a process. What
answers it is localstripe, a stand-in that others wrote and that keeps state.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time

import pytest
from bailee import Card, Client
from bailee.errors import GatewayUnreachable
from bailee.v1 import payment_pb2

from gateway.cli.init import free_port
from tests.processors.stripe import cards
from tests.processors.stripe.localstripe import localstripe_passage
from tests.processors.stripe.tools import running_localstripe

pytestmark = pytest.mark.process
BAILEE = (sys.executable, "-m", "gateway.cli.main")
# The form localstripe takes: no key of anybody.
KEY = "sk_test_12345"
PURPOSES = ("payment.customer_initiated", "payment.recurring")


@contextlib.contextmanager
def gateway(folder, stripe_url):
    """Serves a new gateway that reaches Stripe at an address; yields its bundle."""
    key = folder / "stripe.key"
    key.write_text(KEY)
    key.chmod(0o600)
    home = folder / "gateway"
    listen = f"127.0.0.1:{free_port()}"
    environment = os.environ | {"BAILEE_STRIPE_URL": stripe_url}
    subprocess.run(
        [*BAILEE, "init", home, "--listen", listen, "--stripe-key-file", key],
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    with (folder / "gateway.log").open("w") as log:
        process = subprocess.Popen(
            [*BAILEE, "serve", home],
            stderr=log,
            env=environment,
        )
    try:
        yield home / "bundles" / "billing"
    finally:
        process.terminate()
        assert process.wait(30) == 0


def card(number):
    year = time.gmtime().tm_year + 3
    return Card(number=number, expiry_month=12, expiry_year=year, security_code="123")


def tokenize(client, number):
    """Returns a token, as soon as the gateway answers."""
    ends = time.monotonic() + 30
    while True:
        try:
            answer = client.tokenize_card(
                card(number), purposes=PURPOSES, agreement_reference="terms-2026"
            )
        except GatewayUnreachable:
            assert time.monotonic() < ends
            time.sleep(0.1)
        else:
            return answer.card_token.name


def drive(bundle):
    """Returns what a billing service sees, step by step."""
    states = payment_pb2.Payment.State
    seen = {}
    with Client.from_bundle(bundle, timeout_seconds=30) as client:
        token = tokenize(client, cards.VISA)
        first = client.create_payment(
            amount=1999,
            currency="USD",
            card_token=token,
            security_code="123",
            charge_once_key="invoice-1",
        )
        client.verify_receipt(first.receipt)
        seen["charge"] = states.Name(first.payment.state)
        refund = client.refund_payment(first.payment.name, amount=500, currency="USD")
        seen["refunded"] = refund.payment.refunded.minor_units
        again = client.create_payment(
            amount=999,
            currency="USD",
            card_token=token,
            purpose="payment.recurring",
            charge_once_key="invoice-2",
        )
        seen["recurring"] = states.Name(again.payment.state)
        declined = client.create_payment(
            amount=700,
            currency="USD",
            card=card(cards.FAILS_WHEN_CHARGED),
            charge_once_key="invoice-3",
        )
        seen["decline"] = states.Name(declined.payment.state)
    return seen


def run(folder, stripe_url):
    """Makes a gateway, drives it and returns what a billing service sees."""
    with gateway(folder, stripe_url) as bundle:
        return drive(bundle)


class TestStripe:
    async def test_takes_a_card_and_moves_money(self, tmp_path):
        with running_localstripe() as address:
            passage = localstripe_passage(address)
            async with passage.open() as stripe_url:
                seen = await asyncio.to_thread(run, tmp_path, stripe_url)

        assert seen == {
            "charge": "STATE_CAPTURED",
            "refunded": 500,
            "recurring": "STATE_CAPTURED",
            "decline": "STATE_DECLINED",
        }
        moved = [
            body["amount"]
            for method, path, status, body in passage.exchanges
            if method == "POST" and path == "/v1/payment_intents" and status == 200
        ]
        assert moved[:2] == [1999, 999]
        log = (tmp_path / "gateway.log").read_text()
        assert all(json.loads(line) for line in log.splitlines())
        for number in (cards.VISA, cards.FAILS_WHEN_CHARGED, KEY):
            assert number not in log
