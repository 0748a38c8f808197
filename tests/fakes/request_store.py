"""Request records in memory. Passes the RequestStore part of the storage contract."""

from dataclasses import replace


class MemoryRequestStore:
    """See RequestStore."""

    def __init__(self):
        self.records = {}

    def find(self, rpc, request_id):
        """See RequestStore.find."""
        return self.records.get((rpc, request_id, 0))

    def find_items(self, rpc, request_id):
        """See RequestStore.find_items."""
        return {
            item: record
            for (*of, item), record in self.records.items()
            if of == [rpc, request_id]
        }

    def add_all(self, records):
        """See RequestStore.add_all."""
        for record in records:
            self.add(record)

    def add(self, record):
        """See RequestStore.add."""
        key = record.rpc, record.request_id, record.item
        if key in self.records:
            raise ValueError("a record exists; find it first")
        self.records[key] = record

    def set_entry_index(self, rpc, request_id, index):
        """See RequestStore.set_entry_index."""
        self._change(rpc, request_id, 0, entry_index=index)

    def count_mismatch(self, rpc, request_id, item=0):
        """See RequestStore.count_mismatch."""
        record = self.records.get((rpc, request_id, item))
        if record is not None:
            self._change(rpc, request_id, item, mismatches=record.mismatches + 1)

    def _change(self, rpc, request_id, item, **changes):
        key = rpc, request_id, item
        if key in self.records:
            self.records[key] = replace(self.records[key], **changes)
