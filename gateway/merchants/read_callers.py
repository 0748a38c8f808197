"""ListCallers."""

from collections.abc import Sequence

from gateway.merchants.ports import CallerUnit
from gateway.unit_of_work import Storage
from gateway.words.callers import KnownCaller
from gateway.words.identifiers import GATEWAY


class ReadCallers:
    """Reads callers."""

    def __init__(self, *, storage: Storage[CallerUnit]) -> None:
        self._storage = storage

    async def page(self, *, after: str, size: int) -> tuple[Sequence[KnownCaller], str]:
        """Returns callers by id, and the position of the next page.

        Args:
            after: The position that the page before gave; empty for the first.
            size: How many at most.
        """
        found = await self._storage.read(
            GATEWAY, lambda unit: unit.callers.page(after=after, limit=size + 1)
        )
        shown = found[:size]
        return shown, shown[-1].caller.spiffe_id if len(found) > size else ""
