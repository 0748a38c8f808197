"""The wire side of OperatorService: reads, does, shows. Holds no rule."""

from typing import Any

from bailee.v1 import operator_service_pb2 as pb
from bailee.v1 import operator_service_pb2_grpc

from gateway.keys.ports import KeyProvider
from gateway.merchants.create_caller import CreateCaller
from gateway.merchants.issue_certificate import IssueCertificate
from gateway.merchants.ports import CertificateIssuer
from gateway.merchants.read_callers import ReadCallers
from gateway.merchants.switch_caller import SwitchCaller
from gateway.policy.accept_clock import AcceptClock
from gateway.policy.publish_policy import PublishPolicy
from gateway.rpc import operator_messages as messages
from gateway.rpc.callers import caller_of_call
from gateway.rpc.paging import PageTokens, read_page_size
from gateway.rpc.policy_calls import OperatorPolicyCalls
from gateway.rpc.request_digests import RequestDigests
from gateway.vault.sweep_cards import SweepCards


class OperatorServicer(
    OperatorPolicyCalls, operator_service_pb2_grpc.OperatorServiceServicer
):
    """See proto/bailee/v1/operator_service.proto."""

    def __init__(  # noqa: PLR0913 - what it uses, by keyword
        self,
        *,
        create_caller: CreateCaller,
        read_callers: ReadCallers,
        switch_caller: SwitchCaller,
        issue_certificate: IssueCertificate,
        issuer: CertificateIssuer,
        provider: KeyProvider,
        digests: RequestDigests,
        pages: PageTokens,
        publish_policy: PublishPolicy,
        accept_clock: AcceptClock,
        sweep_cards: SweepCards,
    ) -> None:
        super().__init__(
            publish=publish_policy, accept_clock=accept_clock, sweep=sweep_cards
        )
        self._create_caller = create_caller
        self._read_callers = read_callers
        self._switch_caller = switch_caller
        self._issue_certificate = issue_certificate
        self._issuer = issuer
        self._provider = provider
        self._digests = digests
        self._pages = pages

    async def CreateCaller(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.CreateCallerRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.CreateCallerResponse:
        """Registers a caller."""
        command = messages.read_create_caller(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("CreateCaller", request),
        )
        known, replayed = await self._create_caller.execute(command)
        return pb.CreateCallerResponse(
            caller=messages.show_caller(known), replayed=replayed
        )

    async def ListCallers(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.ListCallersRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.ListCallersResponse:
        """Lists callers."""
        found, position = await self._read_callers.page(
            after=self._pages.read("ListCallers", request),
            size=read_page_size(request.page_size),
        )
        token = self._pages.show("ListCallers", request, position)
        return messages.show_callers(found, token)

    async def DisableCaller(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.DisableCallerRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.DisableCallerResponse:
        """Keeps a caller out."""
        command = messages.read_switch_caller(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("DisableCaller", request),
            enabled=False,
        )
        known, replayed = await self._switch_caller.execute(command)
        return pb.DisableCallerResponse(
            caller=messages.show_caller(known), replayed=replayed
        )

    async def EnableCaller(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.EnableCallerRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.EnableCallerResponse:
        """Lets a caller in again."""
        command = messages.read_switch_caller(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("EnableCaller", request),
            enabled=True,
        )
        known, replayed = await self._switch_caller.execute(command)
        return pb.EnableCallerResponse(
            caller=messages.show_caller(known), replayed=replayed
        )

    async def IssueCertificate(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.IssueCertificateRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.IssueCertificateResponse:
        """Signs a caller's key."""
        command = messages.read_issue_certificate(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("IssueCertificate", request),
        )
        issued = await self._issue_certificate.execute(command)
        response = pb.IssueCertificateResponse(
            certificate=issued.certificate,
            server_authority=self._issuer.server_authority,
            vault_id=self._provider.vault_id,
            identity_key=self._provider.identity_public_key,
            log_key=self._provider.log_public_key,
        )
        response.expire_time.FromDatetime(issued.expires_at)
        return response
