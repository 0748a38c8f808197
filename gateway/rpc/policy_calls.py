"""The RPCs of MerchantService and OperatorService that are about policy."""

from typing import Any

from bailee.v1 import merchant_service_pb2 as merchant_pb
from bailee.v1 import operator_service_pb2 as operator_pb

from gateway.errors import RequestInvalid
from gateway.policy.accept_clock import AcceptClock
from gateway.policy.accept_policy import AcceptPolicy
from gateway.policy.document import PolicyInvalid
from gateway.policy.publish_policy import PublishPolicy
from gateway.policy.read_policies import ReadPolicies
from gateway.rpc import policy_messages as messages
from gateway.rpc.callers import caller_of_call
from gateway.rpc.vault_messages import show_receipt
from gateway.vault.sweep_cards import SweepCards
from gateway.words.identifiers import read_merchant_id, read_request_id


class MerchantPolicyCalls:
    """What a merchant does with policies."""

    def __init__(self, *, read: ReadPolicies, accept: AcceptPolicy) -> None:
        self._read = read
        self._accept = accept

    async def ListPolicies(  # noqa: N802 - the name is gRPC's
        self,
        request: merchant_pb.ListPoliciesRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> merchant_pb.ListPoliciesResponse:
        """Lists every version."""
        found = await self._read.list(read_merchant_id(request.merchant))
        return merchant_pb.ListPoliciesResponse(
            policies=[messages.show_policy(known) for known in found]
        )

    async def GetPolicy(  # noqa: N802 - the name is gRPC's
        self,
        request: merchant_pb.GetPolicyRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> merchant_pb.GetPolicyResponse:
        """Returns a version and its text."""
        merchant = read_merchant_id(request.merchant)
        known = await self._read.get(merchant, request.version)
        return merchant_pb.GetPolicyResponse(
            policy=messages.show_policy(known),
            document=known.version.document.text.encode(),
        )

    async def AcceptPolicy(  # noqa: N802 - the name is gRPC's
        self,
        request: merchant_pb.AcceptPolicyRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> merchant_pb.AcceptPolicyResponse:
        """Agrees to a version that allows more."""
        caller = caller_of_call().spiffe_id
        command = messages.read_accept_policy(request, caller=caller)
        done = await self._accept.execute(command)
        known = await self._read.get(command.merchant, command.number)
        return merchant_pb.AcceptPolicyResponse(
            policy=messages.show_policy(known),
            receipt=None if done.receipt is None else show_receipt(done.receipt),
        )


class OperatorPolicyCalls:
    """What an operator does with policies and the clock they go by."""

    def __init__(
        self, *, publish: PublishPolicy, accept_clock: AcceptClock, sweep: SweepCards
    ) -> None:
        self._publish = publish
        self._accept_clock = accept_clock
        self._sweep = sweep

    async def PublishPolicy(  # noqa: N802 - the name is gRPC's
        self,
        request: operator_pb.PublishPolicyRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> operator_pb.PublishPolicyResponse:
        """Publishes a version and tells every merchant, or says what that would do."""
        try:
            if request.dry_run:
                published = await self._publish.compare(request.document)
            else:
                published = await self._publish.execute(
                    request.document,
                    caller=caller_of_call().spiffe_id,
                    request_id=read_request_id(request.request_id),
                )
        except PolicyInvalid as error:
            # The text names what the table may hold; the operator wrote the rest.
            raise RequestInvalid("document", str(error)) from error
        return messages.show_published(published)

    async def AcceptClock(  # noqa: N802 - the name is gRPC's
        self,
        request: operator_pb.AcceptClockRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> operator_pb.AcceptClockResponse:
        """Lets policy believe the machine's clock."""
        before, after = await self._accept_clock.execute(
            caller=caller_of_call().spiffe_id,
            request_id=read_request_id(request.request_id),
        )
        shown = operator_pb.AcceptClockResponse()
        shown.before_time.FromDatetime(before)
        shown.after_time.FromDatetime(after)
        return shown

    async def SweepCards(  # noqa: N802 - the name is gRPC's
        self,
        request: operator_pb.SweepCardsRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> operator_pb.SweepCardsResponse:
        """Erases cards that may not be kept any longer, or counts them."""
        read_request_id(request.request_id)
        if request.dry_run:
            found = await self._sweep.look()
        else:
            found = await self._sweep.run(confirmed=request.confirmed_count)
        return operator_pb.SweepCardsResponse(
            due_count=len(found.due),
            erased_count=found.erased,
            active_count=found.active,
            overdue_count=found.overdue,
        )
