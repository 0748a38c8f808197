"""What AuditService shows: checkpoint, entries, inclusion and consistency.

Invariants:
  * Every answer comes from one snapshot: entries, proof and checkpoint fit each other.
  * What is shown is what is stored. Nothing is checked here, because whoever asks has
    to check it anyway, with the public key alone.
  * A reader who acts for the operator leaves an entry in the log that is read: one for
    each minute, so that reading a log does not make it grow without end.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.audit.entry import Entry, EntryType
from gateway.audit.ports import AuditUnit, LogReader, Receipt
from gateway.audit.tree import consistency_path
from gateway.errors import RequestInvalid
from gateway.unit_of_work import Storage
from gateway.words.clock import Clock
from gateway.words.identifiers import MerchantId

PAGE_DEFAULT: Final = 256
PAGE_MAX: Final = 1000
# Half of what gRPC lets a client receive unless it asks for more.
_PAGE_BYTES_MAX: Final = 2 * 1024 * 1024
_READERS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads. ``is_operator``: they see the log by running the gateway."""

    caller: str
    is_operator: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Neighbouring entries and how many the log has."""

    start: int
    leaves: Sequence[bytes]
    size: int

    @property
    def next_index(self) -> int:
        """Where the next page begins; 0 when the log ends here."""
        end = self.start + len(self.leaves)
        return end if self.leaves and end < self.size else 0


@dataclass(frozen=True, slots=True)
class Consistency:
    """A checkpoint and the proof that an older tree is a prefix of it."""

    checkpoint: str
    path: Sequence[bytes]


class ReadLog:
    """Reads one merchant's log."""

    def __init__(self, *, storage: Storage[AuditUnit], clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._noted: OrderedDict[tuple[str, MerchantId], int] = OrderedDict()

    async def checkpoint(self, merchant: MerchantId, reader: Reader) -> str:
        """Returns the newest signed checkpoint.

        Raises:
            MerchantNotFound: There is no such merchant.
        """
        await self._note(merchant, reader, "checkpoint")
        return await self._storage.read(
            merchant, lambda unit: unit.log.committed().checkpoint()
        )

    async def entries(
        self, merchant: MerchantId, reader: Reader, *, start: int, page_size: int
    ) -> Page:
        """Returns the entries from ``start`` on; ``page_size`` 0 means the default.

        Raises:
            RequestInvalid: ``start`` or ``page_size`` is negative.
            MerchantNotFound: There is no such merchant.
        """
        if start < 0:
            raise RequestInvalid("start_index", "is negative")
        if page_size < 0:
            raise RequestInvalid("page_size", "is negative")
        stop = start + min(page_size or PAGE_DEFAULT, PAGE_MAX)
        await self._note(merchant, reader, "entries")

        def read(unit: AuditUnit) -> Page:
            log = unit.log.committed()
            size = log.size()
            leaves = _fitting(log.leaves(start, stop)) if start < size else []
            return Page(start, leaves, size)

        return await self._storage.read(merchant, read)

    async def inclusion(
        self, merchant: MerchantId, reader: Reader, index: int
    ) -> Receipt:
        """Returns an entry with its proof under the newest checkpoint.

        Raises:
            RequestInvalid: The log has no such entry.
            MerchantNotFound: There is no such merchant.
        """
        await self._note(merchant, reader, "inclusion")

        def prove(unit: AuditUnit) -> Receipt:
            _check_index("index", index, unit.log.committed())
            return unit.log.receipt(index)

        return await self._storage.read(merchant, prove)

    async def consistency(
        self, merchant: MerchantId, reader: Reader, old_size: int
    ) -> Consistency:
        """Returns the newest checkpoint and the proof that it continues an older one.

        Raises:
            RequestInvalid: The log never had this size, or it is 0.
            MerchantNotFound: There is no such merchant.
        """
        await self._note(merchant, reader, "consistency")

        def prove(unit: AuditUnit) -> Consistency:
            log = unit.log.committed()
            _check_index("old_size", old_size - 1, log)
            path = consistency_path(old_size, log.size(), log.node)
            return Consistency(log.checkpoint(), path)

        return await self._storage.read(merchant, prove)

    async def _note(self, merchant: MerchantId, reader: Reader, action: str) -> None:
        """Leaves an entry that the operator reads; one for each minute.

        It commits before anything is read: a read that fails afterwards was still
        asked for.
        """
        if not reader.is_operator:
            return
        now = self._clock.now()
        key, minute = (reader.caller, merchant), _minute_of(now)
        if self._noted.get(key) == minute:
            return
        entry = Entry(
            type=EntryType.LOG_READ,
            merchant=merchant,
            at=now,
            caller=reader.caller,
            action=action,
        )
        await self._storage.commit(merchant, lambda unit: unit.log.append(entry))
        self._noted[key] = minute
        self._noted.move_to_end(key)
        if len(self._noted) > _READERS_MAX:
            self._noted.popitem(last=False)


def _minute_of(now: datetime) -> int:
    return int(now.timestamp()) // 60


def _check_index(field: str, index: int, log: LogReader) -> None:
    if not 0 <= index < log.size():
        raise RequestInvalid(field, "lies outside the log")


def _fitting(leaves: Iterable[bytes]) -> list[bytes]:
    """Returns as many leaves as fit one answer: at least one, if there is one."""
    kept: list[bytes] = []
    size = 0
    for leaf in leaves:
        size += len(leaf)
        if kept and size > _PAGE_BYTES_MAX:
            break
        kept.append(leaf)
    return kept
