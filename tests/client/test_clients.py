"""Both clients against a running gateway: the same calls, the same answers.

The gateway is the one that ``bailee.testing`` gives to users' own tests.
"""

import asyncio
import inspect
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from bailee import BaileeError, Bundle, Card, Client, Retries
from bailee.errors import (
    CallerNotPermitted,
    CardTokenNotFound,
    GatewayUnreachable,
    MerchantNotFound,
    PolicyDenied,
    RequestIdReused,
)
from bailee.requests import new_request_id
from bailee.testing import running_gateway
from bailee.v1 import payment_pb2

from gateway.words.identifiers import new_name

pytestmark = pytest.mark.process
NUMBER = "4242424242424242"


@pytest.fixture(scope="module")
def local():
    with running_gateway() as gateway:
        yield gateway


class Awaiting:
    """Lets one test drive both clients: what is not awaitable is returned as it is."""

    def __init__(self, client):
        self.inner = client

    def __getattr__(self, name):
        method = getattr(self.inner, name)

        async def call(*arguments, **named):
            answer = method(*arguments, **named)
            if inspect.isasyncgen(answer):
                return [item async for item in answer]
            if inspect.isgenerator(answer):
                return list(answer)
            return await answer if inspect.isawaitable(answer) else answer

        return call


@asynccontextmanager
async def opened(local, kind):
    if kind == "async":
        async with local.async_client() as client:
            yield Awaiting(client)
    else:
        with local.client() as client:
            yield Awaiting(client)


@pytest.fixture(params=["sync", "async"])
async def client(local, request):
    async with opened(local, request.param) as made:
        yield made


def card(number=NUMBER):
    year = time.gmtime().tm_year + 3
    return Card(number=number, expiry_month=12, expiry_year=year, security_code="123")


async def token_of(client, **changes):
    answer = await client.tokenize_card(card(), **changes)
    return answer.card_token.name


class TestClients:
    async def test_charge_refund_and_find(self, client):
        reference = new_name("invoice")
        token = await token_of(client, customer_reference="customer-x")

        paid = await client.create_payment(
            amount=1999, currency="USD", card_token=token, merchant_reference=reference
        )
        await client.refund_payment(paid.payment.name, amount=500, currency="USD")

        found = await client.list_payments(merchant_reference=reference)
        assert [payment.name for payment in found] == [paid.payment.name]
        assert found[0].refunded.minor_units == 500
        (refund,) = await client.list_refunds(payment=paid.payment.name)
        assert refund.amount.minor_units == 500
        again = await client.get_payment(paid.payment.name)
        assert again.payment.state == payment_pb2.Payment.STATE_CAPTURED

    async def test_a_repeated_call_does_the_work_once(self, client):
        token, request_id = await token_of(client), new_request_id()
        values = {"amount": 700, "currency": "EUR", "card_token": token}

        first = await client.create_payment(**values, request_id=request_id)
        second = await client.create_payment(**values, request_id=request_id)

        assert second.replayed
        assert second.payment == first.payment
        with pytest.raises(RequestIdReused):
            await client.create_payment(**values | {"amount": 1}, request_id=request_id)

    async def test_an_error_is_the_class_of_its_reason(self, client):
        token = await token_of(client)

        with pytest.raises(PolicyDenied) as caught:
            await client.create_payment(
                amount=1, currency="USD", card_token=token, purpose="marketing"
            )
        assert caught.value.metadata["rule"] == "purpose-never-allowed"
        with pytest.raises(CardTokenNotFound):
            await client.get_card_token("card_" + "b" * 31)
        with pytest.raises(CallerNotPermitted):
            await client.deactivate_merchant(confirmation="shop")

    async def test_pages_are_fetched_as_needed(self, client):
        customer = new_name("customer")
        for _ in range(5):
            await token_of(client, customer_reference=customer)

        found = await client.list_card_tokens(customer_reference=customer, page_size=2)

        assert len({token.name for token in found}) == 5

    async def test_read_the_policy(self, client):
        (policy,) = await client.list_policies()

        assert policy.in_force
        answer = await client.get_policy(policy.version)
        assert b"Processing only" in answer.document

    async def test_show_nothing_secret_of_themselves(self, client):
        shown = repr(client.inner) + str(vars(client.inner))

        assert "PRIVATE KEY" not in shown


class TestWithOptions:
    def test_acts_for_another_merchant(self, local):
        with local.client() as client, pytest.raises(MerchantNotFound):
            client.with_options(merchant="another").get_card_token("card_" + "b" * 31)

    def test_keeps_the_rest(self, local):
        with local.client() as client:
            other = client.with_options(timeout_seconds=1.0)

            assert other.merchant == client.merchant
            assert other.list_sealing_keys()

    def test_gives_up_in_time(self, local):
        """Nobody listens there: the deadline is kept, tries or not."""
        nowhere = replace(Bundle.read(local.bundle), address="127.0.0.1:9")
        begun = time.monotonic()
        with (
            Client(nowhere, timeout_seconds=0.5, retries=Retries(tries=9)) as client,
            pytest.raises(GatewayUnreachable),
        ):
            client.get_merchant()
        assert time.monotonic() - begun < 2


class TestTesting:
    def test_two_gateways_do_not_know_each_other(self, local):
        with running_gateway() as other, other.client() as theirs:
            token = theirs.tokenize_card(card()).card_token.name
            with local.client() as ours, pytest.raises(BaileeError):
                ours.get_card_token(token)

    async def test_works_beside_a_running_loop(self, local):
        async with local.async_client() as client:
            answers = await asyncio.gather(
                *(client.tokenize_card(card()) for _ in range(20))
            )

        assert len({answer.card_token.name for answer in answers}) == 20
