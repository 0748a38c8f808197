"""The ledger's file: one JSON object a line, only ever appended to.

Invariants:
  * What is answered was written before (a killed process loses nothing) and, where the
    answer waits for ``synced``, is on disk (a power cut loses nothing).
  * A last line without its end was never answered: it is cut off when the file opens.
  * One process at a time. No card number gets here: records hold none.
"""

import asyncio
import fcntl
import json
import os
from pathlib import Path
from typing import Final, Self

from gateway.errors import StorageUnavailable
from gateway.processors.simulator.records import Json

_MODE: Final = 0o600


class Journal:
    """An open ledger file. ``lines`` are the events it held when it was opened."""

    def __init__(self, descriptor: int, lines: list[Json]) -> None:
        self._descriptor = descriptor
        self.lines = lines
        self._written = 0
        self._on_disk = 0
        self._syncing: asyncio.Future[None] | None = None
        self._broken = False

    @classmethod
    def open(cls, file: Path) -> Self:
        """Opens the file, or makes it.

        Raises:
            StorageUnavailable: Another process has it, or it is not a ledger.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            content = file.read_bytes()
            whole, _, rest = content.rpartition(b"\n")
            if rest:
                os.ftruncate(descriptor, len(content) - len(rest))
            lines = [json.loads(line) for line in whole.splitlines()]
        except (OSError, ValueError) as error:
            os.close(descriptor)
            raise StorageUnavailable from error
        return cls(descriptor, lines)

    def append(self, event: Json) -> None:
        """Writes an event; it survives a kill at once and a power cut once synced.

        Raises:
            StorageUnavailable: The disk did not take it, now or at an earlier time.
        """
        if self._broken:
            raise StorageUnavailable
        line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
        try:
            done = os.write(self._descriptor, line)
        except OSError as error:
            self._broken = True
            raise StorageUnavailable from error
        if done != len(line):
            self._broken = True
            raise StorageUnavailable
        self._written += 1

    async def synced(self) -> None:
        """Waits until all that was appended is on disk; callers share an fsync.

        Raises:
            StorageUnavailable: The disk failed.
        """
        target = self._written
        while self._on_disk < target:
            if self._broken:
                raise StorageUnavailable
            if self._syncing is None:
                self._syncing = asyncio.ensure_future(self._sync())
            await asyncio.shield(self._syncing)

    def close(self) -> None:
        """Lets the file go. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._broken = True

    async def _sync(self) -> None:
        target = self._written
        try:
            await asyncio.to_thread(os.fsync, self._descriptor)
            self._on_disk = target
        except OSError:
            self._broken = True
        finally:
            self._syncing = None
