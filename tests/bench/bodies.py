"""The requests that the load generator sends: gRPC frames, each different."""

import asyncio
import uuid
from datetime import UTC, datetime

import grpc.aio
from bailee import Bundle, Card
from bailee.sealing import Sealer
from bailee.v1 import (
    card_pb2,
    money_pb2,
    payment_service_pb2,
    payment_service_pb2_grpc,
    purpose_pb2,
    vault_service_pb2,
    vault_service_pb2_grpc,
)

from tests.builders.storage import SHOP, VAULT

NUMBER = "4242424242424242"
YEAR = datetime.now(UTC).year + 3


def frame(message):
    body = message.SerializeToString()
    return b"\x00" + len(body).to_bytes(4, "big") + body


def plain_card():
    return card_pb2.CardInput(
        plain=card_pb2.PlainCard(number=NUMBER, expiry_month=12, expiry_year=YEAR)
    )


def tokenize_plain(count, facts):
    for _ in range(count):
        yield vault_service_pb2.TokenizeCardRequest(
            merchant=SHOP, request_id=str(uuid.uuid4()), card=plain_card()
        )


def tokenize_sealed(count, facts):
    sealer = a_sealer(facts)
    card = Card(number=NUMBER, expiry_month=12, expiry_year=YEAR)
    for _ in range(count):
        request_id = str(uuid.uuid4())
        sealed = sealer.seal_card(
            card, merchant=SHOP, rpc="TokenizeCard", request_id=request_id
        )
        yield vault_service_pb2.TokenizeCardRequest(
            merchant=SHOP,
            request_id=request_id,
            card=card_pb2.CardInput(sealed=sealed),
        )


def get(count, facts):
    tokens = facts["tokens"]
    for number in range(count):
        yield vault_service_pb2.GetCardTokenRequest(
            merchant=SHOP, card_token=tokens[number % len(tokens)]
        )


def create_payment(count, facts):
    tokens = facts["tokens"]
    for number in range(count):
        yield charge(tokens[number % len(tokens)])


def charge(token):
    return payment_service_pb2.CreatePaymentRequest(
        merchant=SHOP,
        request_id=str(uuid.uuid4()),
        card_token=token,
        amount=money_pb2.Money(minor_units=1000, currency="USD"),
        purpose=purpose_pb2.PURPOSE_PAYMENT_CUSTOMER_INITIATED,
    )


WORKS = {
    "tokenize_plain": (tokenize_plain, "/bailee.v1.VaultService/TokenizeCard"),
    "tokenize_sealed": (tokenize_sealed, "/bailee.v1.VaultService/TokenizeCard"),
    "get": (get, "/bailee.v1.VaultService/GetCardToken"),
    "create_payment": (create_payment, "/bailee.v1.PaymentService/CreatePayment"),
}


def write_bodies(file, work, count, facts):
    """Writes so many different requests of a kind of work."""
    make, path = WORKS[work]
    with file.open("wb") as target:
        for message in make(count, facts):
            target.write(frame(message))
    return path


def a_sealer(facts):
    bundle = Bundle(
        address="",
        vault_id=VAULT,
        merchant=SHOP,
        identity_key=bytes.fromhex(facts["identity_key"]),
        log_key=bytes.fromhex(facts["log_key"]),
        log_origin="",
        ca_certificate=b"",
        client_certificate=b"",
        client_key=b"",
    )
    keys = []
    for key_id, public, ends, signature in facts["sealing_keys"]:
        key = vault_service_pb2.SealingKey(
            key_id=key_id,
            public_key=bytes.fromhex(public),
            signature=bytes.fromhex(signature),
        )
        key.expire_time.FromSeconds(int(ends))
        keys.append(key)
    sealer = Sealer(bundle)
    sealer.use_keys(keys, datetime.now(UTC))
    return sealer


async def stored_tokens(port, count):
    """Tokenizes cards, charges each once, and returns their tokens.

    So the measured charges are of stored cards: the processor holds a reference.
    """
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        vault = vault_service_pb2_grpc.VaultServiceStub(channel)
        payments = payment_service_pb2_grpc.PaymentServiceStub(channel)

        async def one(request):
            token = (await vault.TokenizeCard(request)).card_token.name
            await payments.CreatePayment(charge(token))
            return token

        requests = list(tokenize_plain(count, {}))
        tokens = []
        for start in range(0, count, 64):
            tokens += await asyncio.gather(*map(one, requests[start : start + 64]))
        return tokens
