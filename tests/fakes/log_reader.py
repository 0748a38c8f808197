"""A log in memory whose stored parts a test can damage."""

from gateway.audit.checkpoint import checkpoint_text, signed_note
from gateway.audit.tree import EMPTY, grow, leaf_hash
from gateway.errors import IntegrityViolation


class MemoryLog:
    """See LogReader. ``entries`` and ``nodes`` are open for tampering."""

    def __init__(self, leaves, *, origin, signer):
        growth = grow(EMPTY, [leaf_hash(leaf) for leaf in leaves])
        self.entries = dict(enumerate(leaves))
        self.nodes = {(level, index): value for level, index, value in growth.nodes}
        self.root = growth.frontier.root()
        text = checkpoint_text(origin, len(leaves), self.root)
        self.note = signed_note(text, origin, signer.public_key, signer.sign(text))

    def checkpoint(self):
        """See LogReader.checkpoint."""
        return self.note

    def size(self):
        """See LogReader.size."""
        return max(self.entries, default=-1) + 1

    def leaves(self, start, stop):
        """See LogReader.leaves."""
        for index in range(start, stop):
            if index in self.entries:
                yield self.entries[index]

    def node(self, level, index):
        """See LogReader.node."""
        if (level, index) not in self.nodes:
            raise IntegrityViolation
        return self.nodes[level, index]
