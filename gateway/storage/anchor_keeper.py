"""Keeping the anchor up with the logs, at most a second behind, off the hot path."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from gateway.audit.checkpoint import generation_of
from gateway.storage.anchor import Anchor, AnchoredLog, AnchorFolder
from gateway.storage.log_writer import Head
from gateway.words.clock import Clock
from gateway.words.identifiers import MerchantId


class PublishedHeads(Protocol):
    """Knows the committed heads of the logs that this process wrote to."""

    def published_heads(self) -> Mapping[MerchantId, Head]:
        """Returns them; safe on any thread."""


def anchored_logs(heads: Mapping[MerchantId, Head]) -> dict[MerchantId, AnchoredLog]:
    """Returns what an anchor says of these heads."""
    return {
        merchant: AnchoredLog(
            generation_of(head.origin), head.frontier.size, head.frontier.root()
        )
        for merchant, head in heads.items()
        if head.frontier.size
    }


class AnchorKeeper:
    """Writes the anchor when a log has grown."""

    def __init__(
        self, *, folder: AnchorFolder, storage: PublishedHeads, clock: Clock
    ) -> None:
        self._folder = folder
        self._storage = storage
        self._clock = clock
        self._logs: dict[MerchantId, AnchoredLog] = dict(folder.read().logs)
        self._seen: dict[MerchantId, Head] = {}

    async def run_once(self) -> None:
        """Writes the anchor if a log has grown since.

        Raises:
            OSError: It cannot be written; the next turn tries again.
        """
        await asyncio.to_thread(self.write)

    def write(self) -> None:
        """``run_once`` on this thread."""
        heads = self._storage.published_heads()
        grown = {
            merchant: head
            for merchant, head in heads.items()
            if head.frontier.size and self._seen.get(merchant) != head
        }
        if not grown:
            return
        self._logs |= anchored_logs(grown)
        self._folder.write(Anchor(self._clock.now(), dict(self._logs)))
        self._seen.update(grown)
