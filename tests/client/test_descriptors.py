"""Both clients have a method for every RPC that a billing service may call."""

import re

import pytest
from bailee import AsyncClient, Client
from bailee.v1 import payment_service_pb2, vault_service_pb2

SERVICES = [
    vault_service_pb2.DESCRIPTOR.services_by_name["VaultService"],
    payment_service_pb2.DESCRIPTOR.services_by_name["PaymentService"],
]
RPCS = [method.name for service in SERVICES for method in service.methods]


def method_name(rpc):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", rpc).lower()


class TestClients:
    @pytest.mark.parametrize("rpc", RPCS)
    @pytest.mark.parametrize("client", [Client, AsyncClient])
    def test_cover_every_rpc(self, client, rpc):
        assert callable(getattr(client, method_name(rpc), None))
