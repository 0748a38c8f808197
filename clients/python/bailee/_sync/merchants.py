"""Calls of MerchantService, for the client's merchant; see ``with_options``."""

from collections.abc import Iterator

from bailee._sync.connection import Calls
from bailee.requests import new_request_id
from bailee.v1 import merchant_pb2, merchant_service_pb2, policy_pb2


class MerchantCalls(Calls):
    """Merchants and the policies they are under."""

    def create_merchant(
        self,
        *,
        live: bool,
        display_name: str = "",
        show_bin: bool = False,
        show_fingerprint: bool = False,
        request_id: str = "",
    ) -> merchant_service_pb2.CreateMerchantResponse:
        """Makes the merchant that this client acts for.

        Args:
            live: Whether its processor accounts move real money; it never changes.
            display_name: For people.
            show_bin: Answers show the first digits of its cards.
            show_fingerprint: Answers show a keyed fingerprint; never beside the BIN.
            request_id: A UUID4; made here if absent.
        """
        request = merchant_service_pb2.CreateMerchantRequest(
            merchant=self.merchant,
            request_id=request_id or new_request_id(),
            display_name=display_name,
            environment=(
                merchant_pb2.ENVIRONMENT_LIVE if live else merchant_pb2.ENVIRONMENT_TEST
            ),
            settings=merchant_pb2.MerchantSettings(
                show_bin=show_bin, show_fingerprint=show_fingerprint
            ),
        )
        rpc = self._connection.merchants.CreateMerchant
        return self._call(rpc, request, request_id=request.request_id)

    def get_merchant(self) -> merchant_pb2.Merchant:
        """Describes the merchant."""
        request = merchant_service_pb2.GetMerchantRequest(merchant=self.merchant)
        answer = self._call(self._connection.merchants.GetMerchant, request)
        return answer.merchant

    def list_merchants(self, *, page_size: int = 0) -> Iterator[merchant_pb2.Merchant]:
        """Yields the merchants that the caller acts for, by name."""
        return self._each(
            self._connection.merchants.ListMerchants,
            merchant_service_pb2.ListMerchantsRequest(page_size=page_size),
            lambda answer: answer.merchants,
        )

    def update_merchant(
        self,
        *,
        display_name: str | None = None,
        show_bin: bool | None = None,
        show_fingerprint: bool | None = None,
        request_id: str = "",
    ) -> merchant_service_pb2.UpdateMerchantResponse:
        """Changes what is given; None leaves it as it is."""
        request = merchant_service_pb2.UpdateMerchantRequest(
            merchant=self.merchant,
            request_id=request_id or new_request_id(),
            display_name=display_name,
            show_bin=show_bin,
            show_fingerprint=show_fingerprint,
        )
        rpc = self._connection.merchants.UpdateMerchant
        return self._call(rpc, request, request_id=request.request_id)

    def deactivate_merchant(
        self, *, confirmation: str, request_id: str = ""
    ) -> merchant_service_pb2.DeactivateMerchantResponse:
        """Stops new cards, verifications and payments, for good.

        Args:
            confirmation: The merchant's id again, typed by whoever decided.
            request_id: A UUID4; made here if absent.
        """
        request = merchant_service_pb2.DeactivateMerchantRequest(
            merchant=self.merchant,
            request_id=request_id or new_request_id(),
            confirmation=confirmation,
        )
        rpc = self._connection.merchants.DeactivateMerchant
        return self._call(rpc, request, request_id=request.request_id)

    def list_policies(self) -> list[policy_pb2.Policy]:
        """Returns every version of the policy, the newest first."""
        request = merchant_service_pb2.ListPoliciesRequest(merchant=self.merchant)
        answer = self._call(self._connection.merchants.ListPolicies, request)
        return list(answer.policies)

    def get_policy(self, version: int) -> merchant_service_pb2.GetPolicyResponse:
        """Returns a version and its document, byte for byte."""
        request = merchant_service_pb2.GetPolicyRequest(
            merchant=self.merchant, version=version
        )
        return self._call(self._connection.merchants.GetPolicy, request)

    def accept_policy(
        self, version: int, *, sha256: str, request_id: str = ""
    ) -> merchant_service_pb2.AcceptPolicyResponse:
        """Agrees to a version that allows more.

        Args:
            version: Its number.
            sha256: The hash of the document that was read, in hexadecimal.
            request_id: A UUID4; made here if absent.
        """
        request = merchant_service_pb2.AcceptPolicyRequest(
            merchant=self.merchant,
            request_id=request_id or new_request_id(),
            version=version,
            sha256=sha256,
        )
        rpc = self._connection.merchants.AcceptPolicy
        return self._call(rpc, request, request_id=request.request_id)
