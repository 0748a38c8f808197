"""CreateCaller: a program that may call, or a person as an operator."""

from dataclasses import dataclass
from typing import Final

from gateway.audit.entry import Entry, EntryType
from gateway.errors import CallerNotFound, RequestInvalid, StateConflict
from gateway.merchants.changes import ChangeCommand, entry_of, record_change
from gateway.merchants.ports import ControlUnit
from gateway.unit_of_work import Storage
from gateway.words.callers import Caller, KnownCaller, Role
from gateway.words.clock import Clock
from gateway.words.identifiers import GATEWAY

RPC: Final = "CreateCaller"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCallerCommand(ChangeCommand):
    """A caller that an operator wants."""

    new: Caller


class CreateCaller:
    """Registers callers. Its roles change only by a new caller: nothing is widened
    behind the back of whoever uses it.
    """

    def __init__(self, *, storage: Storage[ControlUnit], clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    async def execute(self, command: CreateCallerCommand) -> tuple[KnownCaller, bool]:
        """Returns the caller, and whether this repeats an earlier answer.

        Raises:
            RequestInvalid: No role; a role that its kind cannot have; no merchant.
            StateConflict: There is a caller with this id.
            RequestIdReused: The request id came before with another request.
        """
        _check(command.new)
        now = self._clock.now()

        def create(unit: ControlUnit) -> tuple[str, Entry]:
            new = command.new
            if unit.callers.find(new.spiffe_id) is not None:
                raise StateConflict(metadata={"caller": new.spiffe_id})
            unit.callers.put(new)
            what = entry_of(
                EntryType.CALLER_CREATED,
                command,
                now,
                outcome=" ".join(sorted(new.roles)),
                subject=new.spiffe_id,
            )
            return new.spiffe_id, what

        done = await record_change(self._storage, RPC, command, create, now)
        known = await self._storage.read(
            GATEWAY, lambda unit: unit.callers.find(done.resource)
        )
        if known is None:
            raise CallerNotFound
        return known, done.replayed


def _check(new: Caller) -> None:
    if not new.roles:
        raise RequestInvalid("roles", "is empty; a caller needs at least one")
    if new.is_operator and Role.OPERATOR not in new.roles:
        raise RequestInvalid("roles", "lacks ROLE_OPERATOR, which an operator needs")
    if not new.is_operator and Role.OPERATOR in new.roles:
        raise RequestInvalid("roles", "has ROLE_OPERATOR: name it .../operator/<name>")
    if new.merchants is not None and not new.merchants:
        raise RequestInvalid("merchants", "is empty; name some, or set all_merchants")
    if new.is_operator and new.merchants is not None:
        raise RequestInvalid("all_merchants", "must be set for an operator")
