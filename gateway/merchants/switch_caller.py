"""DisableCaller and EnableCaller.

A disabled caller is refused as soon as the server reads its callers again, a few
seconds later, whatever certificates it holds.
"""

from dataclasses import dataclass
from typing import Final

from gateway.audit.entry import Entry, EntryType
from gateway.errors import CallerNotFound, StateConflict
from gateway.merchants.changes import ChangeCommand, entry_of, record_change
from gateway.merchants.ports import ControlUnit
from gateway.unit_of_work import Storage
from gateway.words.callers import KnownCaller
from gateway.words.clock import Clock
from gateway.words.identifiers import GATEWAY

DISABLE_RPC: Final = "DisableCaller"
ENABLE_RPC: Final = "EnableCaller"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchCallerCommand(ChangeCommand):
    """Which caller is let in, or kept out."""

    spiffe_id: str
    enabled: bool


class SwitchCaller:
    """Lets callers in and keeps them out."""

    def __init__(self, *, storage: Storage[ControlUnit], clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    async def execute(self, command: SwitchCallerCommand) -> tuple[KnownCaller, bool]:
        """Returns the caller, and whether this repeats an earlier answer.

        Raises:
            CallerNotFound: There is no such caller.
            StateConflict: It is the caller who asks: somebody must be left who can
                undo it.
            RequestIdReused: The request id came before with another request.
        """
        if command.spiffe_id == command.caller and not command.enabled:
            raise StateConflict(metadata={"caller": "cannot disable itself"})
        now = self._clock.now()
        kind = (
            EntryType.CALLER_ENABLED if command.enabled else EntryType.CALLER_DISABLED
        )
        rpc = ENABLE_RPC if command.enabled else DISABLE_RPC

        def switch(unit: ControlUnit) -> tuple[str, Entry]:
            unit.callers.enable(command.spiffe_id, enabled=command.enabled)
            return command.spiffe_id, entry_of(
                kind, command, now, subject=command.spiffe_id
            )

        done = await record_change(self._storage, rpc, command, switch, now)
        known = await self._storage.read(
            GATEWAY, lambda unit: unit.callers.find(done.resource)
        )
        if known is None:
            raise CallerNotFound
        return known, done.replayed
