"""Both clients have a method for every RPC that a billing service may call."""

import re

import pytest
from bailee import AsyncClient, Client

from gateway.rpc.authorization import ROLES

# Operators have the command ``bailee`` and a listener of their own.
RPCS = sorted(rpc.rpartition("/")[2] for rpc in ROLES if "OperatorService" not in rpc)


def method_name(rpc):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", rpc).lower()


class TestClients:
    @pytest.mark.parametrize("rpc", RPCS)
    @pytest.mark.parametrize("client", [Client, AsyncClient])
    def test_cover_every_rpc(self, client, rpc):
        assert callable(getattr(client, method_name(rpc), None))
