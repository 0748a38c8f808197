"""Every role against every RPC, through the guard, over gRPC.

covers: I9. The table is docs/roles.md, made from authorization.py; here each cell is
called. What a role may call answers with anything but a refusal of the role.
"""

import asyncio

import grpc
import pytest
from bailee.errors import from_rpc_error
from google.protobuf import descriptor_pool
from google.protobuf.message_factory import GetMessageClass

from gateway.rpc.authorization import ROLES
from gateway.words.callers import Caller, Role
from tests.builders.gateway import running
from tests.builders.storage import SHOP


@pytest.fixture
async def site(tmp_path):
    async with running(tmp_path) as made:
        yield made


def empty_request(rpc):
    """Returns the RPC's request with the merchant alone."""
    name = rpc.removeprefix("/").replace("/", ".")
    method = descriptor_pool.Default().FindMethodByName(name)
    request = GetMessageClass(method.input_type)()
    if "merchant" in method.input_type.fields_by_name:
        request.merchant = SHOP
    return method, request


async def reason_of(site, rpc):
    """Calls the RPC and returns the reason of its failure; empty for an answer."""
    method, request = empty_request(rpc)
    kind = "stream" if method.client_streaming else "unary"
    kind += "_stream" if method.server_streaming else "_unary"
    call = getattr(site.channel, kind)(rpc)
    argument = request.SerializeToString()
    try:
        answer = call(iter([argument]) if method.client_streaming else argument)
        if method.server_streaming:
            async with asyncio.timeout(0.5):
                await anext(aiter(answer))
        else:
            await answer
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error, "").reason
    except TimeoutError:
        answer.cancel()  # let in, and nothing to tell
    return ""


class TestEveryRoleAgainstEveryRpc:
    @pytest.mark.parametrize("role", Role)
    async def test_lets_in_whom_the_table_names_and_nobody_else(self, site, role):
        served = {service.name for service in site.gateway.services}
        tried = 0
        for rpc, roles in ROLES.items():
            if rpc.split("/")[1] not in served:
                continue  # of the operator listener; see tests/rpc/test_operator.py
            site.who.caller = Caller("spiffe://v/one", frozenset({role}), None)
            refused = await reason_of(site, rpc) == "CALLER_NOT_PERMITTED"
            assert refused == (role not in roles), (rpc, role)
            tried += 1
        assert tried >= 14

    async def test_refuses_a_caller_without_roles_everything(self, site):
        site.who.caller = Caller("spiffe://v/none", frozenset(), None)
        for rpc in ROLES:
            if rpc.split("/")[1] in {s.name for s in site.gateway.services}:
                assert await reason_of(site, rpc) == "CALLER_NOT_PERMITTED", rpc

    async def test_lets_compliance_alone_decide_what_compliance_decides(self):
        alone = {rpc for rpc, roles in ROLES.items() if roles == {Role.COMPLIANCE}}

        assert "/bailee.v1.MerchantService/DeactivateMerchant" in alone
