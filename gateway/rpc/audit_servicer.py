"""The wire side of AuditService: reads, does, shows. Holds no rule."""

from typing import Any

from bailee.v1 import audit_service_pb2 as pb
from bailee.v1 import audit_service_pb2_grpc

from gateway.audit.operator_log import Commitment, OperatorLog
from gateway.audit.read_log import Reader, ReadLog
from gateway.rpc.callers import caller_of_call
from gateway.rpc.vault_messages import show_receipt
from gateway.words.callers import Role
from gateway.words.identifiers import read_merchant_id


class AuditServicer(audit_service_pb2_grpc.AuditServiceServicer):
    """See proto/bailee/v1/audit_service.proto."""

    def __init__(self, *, read_log: ReadLog, operator_log: OperatorLog) -> None:
        self._read_log = read_log
        self._operator_log = operator_log

    async def GetCheckpoint(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.GetCheckpointRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.GetCheckpointResponse:
        """Returns the log's head."""
        merchant = read_merchant_id(request.merchant)
        checkpoint = await self._read_log.checkpoint(merchant, _reader())
        commitment = self._operator_log.commitment(merchant)
        return pb.GetCheckpointResponse(
            checkpoint=checkpoint,
            operator_commitment=None if commitment is None else _show(commitment),
        )

    async def ListEntries(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.ListEntriesRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.ListEntriesResponse:
        """Returns neighbouring entries."""
        page = await self._read_log.entries(
            read_merchant_id(request.merchant),
            _reader(),
            start=request.start_index,
            page_size=request.page_size,
        )
        entries = [
            pb.LogEntry(index=page.start + place, entry=leaf)
            for place, leaf in enumerate(page.leaves)
        ]
        return pb.ListEntriesResponse(
            entries=entries, next_index=page.next_index, size=page.size
        )

    async def GetInclusionProof(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.GetInclusionProofRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.GetInclusionProofResponse:
        """Proves one entry."""
        merchant = read_merchant_id(request.merchant)
        receipt = await self._read_log.inclusion(merchant, _reader(), request.index)
        return pb.GetInclusionProofResponse(receipt=show_receipt(receipt))

    async def GetConsistencyProof(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.GetConsistencyProofRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.GetConsistencyProofResponse:
        """Proves that the log only grew."""
        merchant = read_merchant_id(request.merchant)
        proof = await self._read_log.consistency(merchant, _reader(), request.old_size)
        return pb.GetConsistencyProofResponse(
            checkpoint=proof.checkpoint, hashes=proof.path
        )


def _show(commitment: Commitment) -> pb.OperatorCommitment:
    return pb.OperatorCommitment(
        checkpoint_text=commitment.checkpoint_text,
        salt=commitment.salt,
        index=commitment.index,
        hashes=commitment.path,
        receipt=show_receipt(commitment.receipt),
    )


def _reader() -> Reader:
    """Returns who reads: somebody of the merchant, or of the gateway.

    Whoever acts for every merchant belongs to the gateway, whatever their roles.
    """
    caller = caller_of_call()
    is_operator = caller.merchants is None or Role.OPERATOR in caller.roles
    return Reader(caller.spiffe_id, is_operator)
