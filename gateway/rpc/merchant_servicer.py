"""The wire side of MerchantService: reads, does, shows. Holds no rule."""

from typing import Any

from bailee.v1 import merchant_service_pb2 as pb
from bailee.v1 import merchant_service_pb2_grpc

from gateway.merchants.create_merchant import CreateMerchant
from gateway.merchants.deactivate_merchant import DeactivateMerchant
from gateway.merchants.read_merchants import ReadMerchants
from gateway.merchants.update_merchant import UpdateMerchant
from gateway.policy.accept_policy import AcceptPolicy
from gateway.policy.read_policies import ReadPolicies
from gateway.rpc import merchant_messages as messages
from gateway.rpc.callers import caller_of_call
from gateway.rpc.paging import PageTokens, read_page_size
from gateway.rpc.policy_calls import MerchantPolicyCalls
from gateway.rpc.request_digests import RequestDigests
from gateway.rpc.vault_messages import show_receipt
from gateway.words.identifiers import read_merchant_id


class MerchantServicer(
    MerchantPolicyCalls, merchant_service_pb2_grpc.MerchantServiceServicer
):
    """See proto/bailee/v1/merchant_service.proto."""

    def __init__(  # noqa: PLR0913 - what it uses, by keyword
        self,
        *,
        create_merchant: CreateMerchant,
        read_merchants: ReadMerchants,
        update_merchant: UpdateMerchant,
        deactivate_merchant: DeactivateMerchant,
        digests: RequestDigests,
        pages: PageTokens,
        vault_id: str,
        read_policies: ReadPolicies,
        accept_policy: AcceptPolicy,
    ) -> None:
        super().__init__(read=read_policies, accept=accept_policy)
        self._create_merchant = create_merchant
        self._read_merchants = read_merchants
        self._update_merchant = update_merchant
        self._deactivate_merchant = deactivate_merchant
        self._digests = digests
        self._pages = pages
        self._vault_id = vault_id

    async def CreateMerchant(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.CreateMerchantRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.CreateMerchantResponse:
        """Makes a merchant."""
        command = messages.read_create_merchant(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("CreateMerchant", request),
        )
        done = await self._create_merchant.execute(command)
        return pb.CreateMerchantResponse(
            merchant=messages.show_merchant(done.merchant, self._vault_id),
            receipt=show_receipt(done.receipt),
            replayed=done.replayed,
        )

    async def GetMerchant(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.GetMerchantRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.GetMerchantResponse:
        """Describes a merchant."""
        merchant = await self._read_merchants.get(read_merchant_id(request.merchant))
        return pb.GetMerchantResponse(
            merchant=messages.show_merchant(merchant, self._vault_id)
        )

    async def ListMerchants(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.ListMerchantsRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.ListMerchantsResponse:
        """Lists the merchants that the caller acts for."""
        # A position is a merchant's id, and only those the caller acts for are shown:
        # another caller's token tells nothing and shows nothing.
        found, position = await self._read_merchants.page(
            after=self._pages.read("ListMerchants", request),
            size=read_page_size(request.page_size),
            among=caller_of_call().merchants,
        )
        token = self._pages.show("ListMerchants", request, position)
        return messages.show_merchants(found, self._vault_id, token)

    async def UpdateMerchant(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.UpdateMerchantRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.UpdateMerchantResponse:
        """Changes a merchant."""
        command = messages.read_update_merchant(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("UpdateMerchant", request),
        )
        done = await self._update_merchant.execute(command)
        return pb.UpdateMerchantResponse(
            merchant=messages.show_merchant(done.merchant, self._vault_id),
            receipt=show_receipt(done.receipt),
            replayed=done.replayed,
        )

    async def DeactivateMerchant(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.DeactivateMerchantRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.DeactivateMerchantResponse:
        """Deactivates a merchant, for good."""
        command = messages.read_deactivate_merchant(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("DeactivateMerchant", request),
        )
        done = await self._deactivate_merchant.execute(command)
        return pb.DeactivateMerchantResponse(
            merchant=messages.show_merchant(done.merchant, self._vault_id),
            receipt=show_receipt(done.receipt),
            replayed=done.replayed,
        )
