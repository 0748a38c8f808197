"""Requests as a caller makes them, and what a refused call told."""

import grpc
import pytest
from bailee import new_request_id
from bailee.errors import from_rpc_error
from bailee.v1 import card_pb2, vault_service_pb2

from gateway.words.clock import SystemClock
from tests.builders.storage import SHOP

NUMBER = "4242424242424242"
YEAR = SystemClock().now().year + 3


def plain(**changes):
    facts = {"number": NUMBER, "expiry_month": 12, "expiry_year": YEAR}
    return card_pb2.CardInput(plain=card_pb2.PlainCard(**facts | changes))


def tokenize(card, **changes):
    facts = {"merchant": SHOP, "request_id": new_request_id(), "card": card}
    return vault_service_pb2.TokenizeCardRequest(**facts | changes)


async def refused(call, request):
    """Returns the error that a call must end with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(request)
    return from_rpc_error(caught.value, "")
