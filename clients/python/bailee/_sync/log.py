"""Calls of AuditService. ``bailee-audit`` checks what they return."""

from collections.abc import Iterator

from bailee._sync.connection import Calls
from bailee.v1 import audit_service_pb2


class LogCalls(Calls):
    """The merchant's log, for whoever wants to check it."""

    def get_checkpoint(self) -> str:
        """Returns the log's head as a C2SP checkpoint."""
        request = audit_service_pb2.GetCheckpointRequest(merchant=self.merchant)
        answer = self._call(self._connection.audit.GetCheckpoint, request)
        return answer.checkpoint

    def list_entries(
        self, start_index: int = 0, *, page_size: int = 0
    ) -> Iterator[audit_service_pb2.LogEntry]:
        """Yields the log's entries from an index on.

        Args:
            start_index: The first to yield; entries are counted from 0.
            page_size: How many are fetched at a time; 0 leaves it to the gateway.
        """
        request = audit_service_pb2.ListEntriesRequest(
            merchant=self.merchant, start_index=start_index, page_size=page_size
        )
        while True:
            answer = self._call(self._connection.audit.ListEntries, request)
            for entry in answer.entries:
                yield entry
            if not answer.next_index:
                return
            request.start_index = answer.next_index

    def get_inclusion_proof(
        self, index: int
    ) -> audit_service_pb2.GetInclusionProofResponse:
        """Returns an entry with a fresh, verified receipt."""
        request = audit_service_pb2.GetInclusionProofRequest(
            merchant=self.merchant, index=index
        )
        return self._call(self._connection.audit.GetInclusionProof, request)

    def get_consistency_proof(
        self, old_size: int
    ) -> audit_service_pb2.GetConsistencyProofResponse:
        """Returns the proof that a log of that size is a prefix of today's."""
        request = audit_service_pb2.GetConsistencyProofRequest(
            merchant=self.merchant, old_size=old_size
        )
        return self._call(self._connection.audit.GetConsistencyProof, request)
