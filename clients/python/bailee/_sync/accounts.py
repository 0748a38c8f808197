"""Calls of MerchantService about processor accounts; see ``with_options``."""

from bailee._sync.connection import Calls
from bailee.requests import new_request_id
from bailee.v1 import merchant_pb2, merchant_service_pb2


class AccountCalls(Calls):
    """The merchant's processor accounts. Credentials only go in."""

    def create_processor_account(
        self, name: str, *, processor: str, credential: str, request_id: str = ""
    ) -> merchant_service_pb2.CreateProcessorAccountResponse:
        """Brings a credential; the gateway asks the processor whose it is.

        Args:
            name: Yours; 1 to 40 characters of a-z, 0-9 and inner hyphens.
            processor: ``stripe`` or ``simulator``.
            credential: The processor's secret or restricted key.
            request_id: A UUID4; made here if absent.
        """
        request = merchant_service_pb2.CreateProcessorAccountRequest(
            merchant=self.merchant,
            request_id=request_id or new_request_id(),
            processor_account=name,
            processor=processor,
            credential=credential,
        )
        rpc = self._connection.merchants.CreateProcessorAccount
        return self._call(rpc, request, request_id=request.request_id)

    def get_processor_account(self, name: str) -> merchant_pb2.ProcessorAccount:
        """Describes an account."""
        request = merchant_service_pb2.GetProcessorAccountRequest(
            merchant=self.merchant, processor_account=name
        )
        rpc = self._connection.merchants.GetProcessorAccount
        answer = self._call(rpc, request)
        return answer.processor_account

    def list_processor_accounts(self) -> list[merchant_pb2.ProcessorAccount]:
        """Returns the merchant's accounts, oldest first."""
        request = merchant_service_pb2.ListProcessorAccountsRequest(
            merchant=self.merchant
        )
        rpc = self._connection.merchants.ListProcessorAccounts
        answer = self._call(rpc, request)
        return list(answer.processor_accounts)

    def check_processor_account(
        self, name: str, *, request_id: str = ""
    ) -> merchant_service_pb2.CheckProcessorAccountResponse:
        """Asks the processor whether the credential still works."""
        request = merchant_service_pb2.CheckProcessorAccountRequest(
            merchant=self.merchant,
            request_id=request_id or new_request_id(),
            processor_account=name,
        )
        rpc = self._connection.merchants.CheckProcessorAccount
        return self._call(rpc, request, request_id=request.request_id)

    def accept_processor_account(
        self, name: str, *, external_account: str, request_id: str = ""
    ) -> merchant_service_pb2.AcceptProcessorAccountResponse:
        """Lets payments use an account.

        Args:
            name: The account.
            external_account: The processor's id of it, typed by whoever decides.
            request_id: A UUID4; made here if absent.
        """
        request = merchant_service_pb2.AcceptProcessorAccountRequest(
            merchant=self.merchant,
            request_id=request_id or new_request_id(),
            processor_account=name,
            external_account=external_account,
        )
        rpc = self._connection.merchants.AcceptProcessorAccount
        return self._call(rpc, request, request_id=request.request_id)

    def add_credential(
        self, name: str, *, credential: str, request_id: str = ""
    ) -> merchant_service_pb2.AddCredentialResponse:
        """Brings a second credential, which is used from then on."""
        request = merchant_service_pb2.AddCredentialRequest(
            merchant=self.merchant,
            request_id=request_id or new_request_id(),
            processor_account=name,
            credential=credential,
        )
        rpc = self._connection.merchants.AddCredential
        return self._call(rpc, request, request_id=request.request_id)

    def retire_credential(
        self, name: str, *, credential: str, request_id: str = ""
    ) -> merchant_service_pb2.RetireCredentialResponse:
        """Destroys a credential here; revoke it at the processor too.

        Args:
            name: The account.
            credential: ``ProcessorCredential.name``, not its text.
            request_id: A UUID4; made here if absent.
        """
        request = merchant_service_pb2.RetireCredentialRequest(
            merchant=self.merchant,
            request_id=request_id or new_request_id(),
            processor_account=name,
            credential=credential,
        )
        rpc = self._connection.merchants.RetireCredential
        return self._call(rpc, request, request_id=request.request_id)
