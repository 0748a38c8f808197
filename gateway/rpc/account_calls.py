"""The calls of MerchantService about processor accounts. Hold no rule."""

from dataclasses import dataclass
from typing import Any

from bailee.v1 import merchant_service_pb2 as pb

from gateway.merchants.accept_processor_account import AcceptProcessorAccount
from gateway.merchants.add_credential import AddCredential
from gateway.merchants.check_processor_account import CheckProcessorAccount
from gateway.merchants.create_processor_account import CreateProcessorAccount
from gateway.merchants.read_processor_accounts import ReadProcessorAccounts
from gateway.merchants.retire_credential import RetireCredential
from gateway.rpc import account_messages as messages
from gateway.rpc.callers import caller_of_call
from gateway.rpc.request_digests import RequestDigests
from gateway.rpc.vault_messages import show_receipt
from gateway.words.identifiers import read_merchant_id


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCalls:
    """The use cases of processor accounts."""

    create: CreateProcessorAccount
    check: CheckProcessorAccount
    accept: AcceptProcessorAccount
    add_credential: AddCredential
    retire_credential: RetireCredential
    read: ReadProcessorAccounts


class AccountRpcs:
    """What a platform does with processor accounts."""

    def __init__(self, *, accounts: AccountCalls, digests: RequestDigests) -> None:
        self._accounts = accounts
        self._digests = digests

    async def CreateProcessorAccount(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.CreateProcessorAccountRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.CreateProcessorAccountResponse:
        """See the API."""
        command = messages.read_create_processor_account(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("CreateProcessorAccount", request),
        )
        done = await self._accounts.create.execute(command)
        return pb.CreateProcessorAccountResponse(
            processor_account=messages.show_account(done.view),
            receipt=show_receipt(done.receipt),
            replayed=done.replayed,
        )

    async def GetProcessorAccount(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.GetProcessorAccountRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.GetProcessorAccountResponse:
        """See the API."""
        view = await self._accounts.read.get(
            read_merchant_id(request.merchant),
            messages.read_account_id(request.processor_account),
        )
        return pb.GetProcessorAccountResponse(
            processor_account=messages.show_account(view)
        )

    async def ListProcessorAccounts(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.ListProcessorAccountsRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.ListProcessorAccountsResponse:
        """See the API."""
        views = await self._accounts.read.all(read_merchant_id(request.merchant))
        return pb.ListProcessorAccountsResponse(
            processor_accounts=[messages.show_account(view) for view in views]
        )

    async def CheckProcessorAccount(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.CheckProcessorAccountRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.CheckProcessorAccountResponse:
        """See the API."""
        command = messages.read_account_command(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("CheckProcessorAccount", request),
        )
        done = await self._accounts.check.execute(command)
        return pb.CheckProcessorAccountResponse(
            processor_account=messages.show_account(done.view),
            receipt=show_receipt(done.receipt),
            replayed=done.replayed,
        )

    async def AcceptProcessorAccount(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.AcceptProcessorAccountRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.AcceptProcessorAccountResponse:
        """See the API."""
        command = messages.read_accept_processor_account(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("AcceptProcessorAccount", request),
        )
        done = await self._accounts.accept.execute(command)
        return pb.AcceptProcessorAccountResponse(
            processor_account=messages.show_account(done.view),
            receipt=show_receipt(done.receipt),
            replayed=done.replayed,
        )

    async def AddCredential(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.AddCredentialRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.AddCredentialResponse:
        """See the API."""
        command = messages.read_add_credential(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("AddCredential", request),
        )
        done = await self._accounts.add_credential.execute(command)
        return pb.AddCredentialResponse(
            processor_account=messages.show_account(done.view),
            receipt=show_receipt(done.receipt),
            replayed=done.replayed,
        )

    async def RetireCredential(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.RetireCredentialRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.RetireCredentialResponse:
        """See the API."""
        command = messages.read_retire_credential(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("RetireCredential", request),
        )
        done = await self._accounts.retire_credential.execute(command)
        return pb.RetireCredentialResponse(
            processor_account=messages.show_account(done.view),
            receipt=show_receipt(done.receipt),
            replayed=done.replayed,
        )
