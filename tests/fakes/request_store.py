"""Request records in memory. Passes the RequestStore part of the storage contract."""

from dataclasses import replace


class MemoryRequestStore:
    """See RequestStore."""

    def __init__(self):
        self.records = {}

    def find(self, rpc, request_id):
        """See RequestStore.find."""
        return self.records.get((rpc, request_id))

    def add(self, record):
        """See RequestStore.add."""
        key = record.rpc, record.request_id
        if key in self.records:
            raise ValueError("a record exists; find it first")
        self.records[key] = record

    def set_entry_index(self, rpc, request_id, index):
        """See RequestStore.set_entry_index."""
        self._change(rpc, request_id, entry_index=index)

    def count_mismatch(self, rpc, request_id):
        """See RequestStore.count_mismatch."""
        record = self.records.get((rpc, request_id))
        if record is not None:
            self._change(rpc, request_id, mismatches=record.mismatches + 1)

    def _change(self, rpc, request_id, **changes):
        if (rpc, request_id) in self.records:
            record = self.records[rpc, request_id]
            self.records[rpc, request_id] = replace(record, **changes)
