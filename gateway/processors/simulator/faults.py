"""Misbehaviour on request, in front of a ledger.

A fault is planned for the next requests of an operation (``plan``), or rides in the
metadata of one request (``simulator_fault``) and then spoils only the first request
with that idempotency key, so that a retry can be watched. docs/processors/simulator.md
lists the faults.

Invariant: a request whose twin is still being executed is answered 409, not executed.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from gateway.processors.simulator.ledger import Directions, Ledger
from gateway.processors.simulator.wire import FAULT_KEY, Answer, Operation, Request

_SPOILED_KEYS_MAX: Final = 10_000
_MILLISECONDS_MAX: Final = 600_000


class FaultKind(StrEnum):
    """What goes wrong. A colon is followed by milliseconds or a decline code."""

    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    SLOW = "slow"
    SLOW_BODY = "slow_body"
    STORED_500 = "500_stored"
    STORED_500_BEFORE = "500_stored_before"
    NOT_STORED_500 = "500_not_stored"
    RATE_LIMITED = "429"
    MALFORMED_BODY = "malformed_body"
    TRUNCATED_BODY = "truncated_body"
    DECLINE = "decline"


FAULTS: Final[Mapping[FaultKind, str]] = MappingProxyType(
    {
        FaultKind.DROP_BEFORE: "the request is lost; nothing is executed",
        FaultKind.DROP_AFTER: "executed; the answer is lost",
        FaultKind.SLOW: "executed after so many milliseconds, then answered",
        FaultKind.SLOW_BODY: "executed; the body comes after so many milliseconds",
        FaultKind.STORED_500: "executed; the answer is a 500, kept for the key",
        FaultKind.STORED_500_BEFORE: "not executed; a 500 is kept for the key",
        FaultKind.NOT_STORED_500: "not executed; a 500, and nothing is kept",
        FaultKind.RATE_LIMITED: "not executed; a 429, and nothing is kept",
        FaultKind.MALFORMED_BODY: "executed; the body is not JSON",
        FaultKind.TRUNCATED_BODY: "executed; the connection ends within the body",
        FaultKind.DECLINE: "the bank declines with this code, whatever the card",
    }
)

_TIMED: Final = (FaultKind.SLOW, FaultKind.SLOW_BODY)
_NO_DIRECTIONS: Final = Directions()


class FaultUnknown(ValueError):
    """No such fault, or its milliseconds or code are missing."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, read from text such as ``drop_after`` or ``slow:500``."""

    kind: FaultKind
    milliseconds: int = 0
    code: str = ""

    @classmethod
    def read(cls, text: str) -> "Fault":
        """Reads a fault.

        Raises:
            FaultUnknown: It is none.
        """
        name, _, argument = text.partition(":")
        try:
            kind = FaultKind(name)
            milliseconds = int(argument) if kind in _TIMED else 0
        except ValueError:
            raise FaultUnknown from None
        wants_argument = kind in _TIMED or kind is FaultKind.DECLINE
        in_range = 0 <= milliseconds <= _MILLISECONDS_MAX
        if wants_argument != bool(argument) or not in_range:
            raise FaultUnknown
        code = argument if kind is FaultKind.DECLINE else ""
        return cls(kind, milliseconds, code)

    @property
    def directions(self) -> Directions:
        """How the ledger is to bend the request."""
        match self.kind:
            case FaultKind.DECLINE:
                return Directions(decline_code=self.code)
            case FaultKind.STORED_500:
                return Directions(answer=INTERNAL_ERROR)
            case FaultKind.STORED_500_BEFORE:
                return Directions(answer=INTERNAL_ERROR, execute=False)
            case _:
                return _NO_DIRECTIONS


class Manner(StrEnum):
    """How an answer travels."""

    WHOLE = "whole"
    DROPPED = "dropped"
    MALFORMED = "malformed"
    TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True)
class Delivery:
    """An answer and how it travels. ``body_after`` is in seconds."""

    answer: Answer
    manner: Manner = Manner.WHOLE
    body_after: float = 0.0


def _error(status: int, kind: str, code: str) -> Answer:
    return Answer(status, {"error": {"type": kind, "code": code}})


INTERNAL_ERROR: Final = _error(500, "api_error", "internal_error")
_RATE_LIMIT: Final = _error(429, "rate_limit_error", "rate_limit")
_IN_USE: Final = _error(409, "idempotency_error", "idempotency_key_in_use")
_FAULT_UNKNOWN: Final = _error(400, "invalid_request_error", "fault_unknown")
_DROPPED: Final = Delivery(_error(500, "api_error", "dropped"), Manner.DROPPED)
_MANNERS: Final[Mapping[FaultKind, Manner]] = MappingProxyType(
    {
        FaultKind.DROP_AFTER: Manner.DROPPED,
        FaultKind.MALFORMED_BODY: Manner.MALFORMED,
        FaultKind.TRUNCATED_BODY: Manner.TRUNCATED,
    }
)


class Front:
    """What requests reach first: applies faults, then asks the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._planned: list[tuple[Operation | None, Fault]] = []
        self._spoiled: OrderedDict[str, None] = OrderedDict()
        self._executing: set[str] = set()

    def plan(
        self, fault: Fault, operation: Operation | None = None, times: int = 1
    ) -> None:
        """Plans a fault for the next requests of an operation, or of any."""
        self._planned.extend([(operation, fault)] * times)

    def clear(self) -> None:
        """Forgets what was planned and has not happened."""
        self._planned.clear()

    def answer_at_once(self, request: Request) -> Answer | None:
        """Answers without waiting, or returns None when there may be a fault.

        The quick way for a ledger in memory; ``deliver`` does the same in all cases.
        """
        if self.ledger.journal is not None or self._planned or self._executing:
            return None
        if FAULT_KEY in request.body.get("metadata", ()):
            return None
        return self.ledger.handle(request)

    async def deliver(self, request: Request) -> Delivery:
        """Answers, as the next fault wants it.

        Raises:
            StorageUnavailable: The ledger's file cannot be written.
        """
        if request.key and request.key in self._executing:
            return Delivery(_IN_USE)
        try:
            fault = self._next(request)
        except FaultUnknown:
            return Delivery(_FAULT_UNKNOWN)
        match fault.kind if fault else None:
            case FaultKind.DROP_BEFORE:
                return _DROPPED
            case FaultKind.NOT_STORED_500:
                return Delivery(INTERNAL_ERROR)
            case FaultKind.RATE_LIMITED:
                return Delivery(_RATE_LIMIT)
            case _:
                return await self._execute(request, fault)

    async def _execute(self, request: Request, fault: Fault | None) -> Delivery:
        self._executing.add(request.key)
        try:
            if fault is not None and fault.kind is FaultKind.SLOW:
                await asyncio.sleep(fault.milliseconds / 1000)
            directions = fault.directions if fault else _NO_DIRECTIONS
            answer = self.ledger.handle(request, directions)
            if self.ledger.journal is not None:
                await self.ledger.journal.synced()
        finally:
            self._executing.discard(request.key)
        if fault is None:
            return Delivery(answer)
        slow = fault.kind is FaultKind.SLOW_BODY
        seconds = fault.milliseconds / 1000 if slow else 0.0
        return Delivery(answer, _MANNERS.get(fault.kind, Manner.WHOLE), seconds)

    def _next(self, request: Request) -> Fault | None:
        for place, (operation, fault) in enumerate(self._planned):
            if operation in (None, request.operation):
                del self._planned[place]
                return fault
        return self._carried(request)

    def _carried(self, request: Request) -> Fault | None:
        metadata = request.body.get("metadata")
        text = metadata.get(FAULT_KEY) if isinstance(metadata, Mapping) else None
        if not isinstance(text, str) or request.key in self._spoiled:
            return None
        fault = Fault.read(text)
        self._spoiled[request.key] = None
        if len(self._spoiled) > _SPOILED_KEYS_MAX:
            self._spoiled.popitem(last=False)
        return fault
