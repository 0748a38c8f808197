"""``bailee init --stripe-key-file``, served over mutual TLS, charging at a Stripe.

The Stripe is our stand-in, which judges every request by Stripe's own types; the
gateway is two processes of the command. Nobody types the account's id or its mode.
"""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from bailee import Card, Client
from bailee.errors import GatewayUnreachable
from bailee.v1 import payment_pb2

from gateway.cli.init import free_port
from tests.processors.stripe.stand_in import ACCOUNT, KEY, key_of, stand_in_aside
from tests.security.leak_search import search_files

pytestmark = pytest.mark.process
BAILEE = (sys.executable, "-m", "gateway.cli.main")
NUMBER = "4242424242424242"


@contextmanager
def serving(home, environment):
    with (home / "serve.log").open("w") as log:
        process = subprocess.Popen(
            [*BAILEE, "serve", home], stderr=log, env=environment
        )
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(30) == 0


def tokenize(client):
    """Returns a token, as soon as the gateway answers."""
    card = Card(
        number=NUMBER,
        expiry_month=12,
        expiry_year=time.gmtime().tm_year + 3,
        security_code="123",
    )
    ends = time.monotonic() + 30
    while True:
        try:
            return client.tokenize_card(card).card_token.name
        except GatewayUnreachable:
            assert time.monotonic() < ends
            time.sleep(0.1)


class TestInitWithStripe:
    def test_makes_a_gateway_that_charges(self, tmp_path):
        key, home = tmp_path / "stripe.key", tmp_path / "gateway"
        key.write_text(KEY)
        with stand_in_aside() as stand_in:
            environment = os.environ | {"BAILEE_STRIPE_URL": stand_in.address}
            listen = f"127.0.0.1:{free_port()}"
            arguments = ("--listen", listen, "--stripe-key-file", key)
            subprocess.run(
                [*BAILEE, "init", home, *arguments], env=environment, check=True
            )
            key.unlink()
            bundle = home / "bundles/billing"
            with serving(home, environment), Client.from_bundle(bundle) as client:
                token = tokenize(client)
                paid = client.create_payment(
                    card_token=token, amount=1999, currency="USD"
                )
                entry = client.verify_receipt(paid.receipt)

        assert paid.payment.state == payment_pb2.Payment.STATE_CAPTURED
        assert paid.payment.processor_account == "stripe"
        assert entry.index > 0
        assert [intent.received for intent in stand_in.books.intents.values()] == [1999]
        assert {key_of(item) for item in stand_in.received} == {KEY}
        assert stand_in.received[0].path == "/v1/account"
        assert ACCOUNT.encode() in (home / "data/bailee.db").read_bytes()
        assert search_files([home], [KEY, NUMBER]) == []
