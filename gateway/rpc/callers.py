"""Who is calling: from the client certificate's SPIFFE id to a caller.

Invariants:
  * Authentication looks at ``peer_spiffe_id`` and at nothing else: gRPC sets it only
    when a verified certificate holds exactly one URI and that URI is a SPIFFE id.
  * Connections below TLS 1.3 are refused; gRPC's Python server cannot switch them off.
  * A caller that was removed is refused one refresh later.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Final, Protocol

from gateway.errors import CallerUnknown, InvariantBroken
from gateway.merchants.ports import CallerUnit
from gateway.unit_of_work import Storage
from gateway.words.callers import Caller
from gateway.words.identifiers import GATEWAY

_log: Final = logging.getLogger(__name__)
_current: Final[ContextVar[Caller | None]] = ContextVar("caller", default=None)
_TLS_WANTED: Final = (b"TLSv1.3",)


class CallContext(Protocol):
    """What authentication needs of a call's context."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """Returns what TLS says of the peer."""


class Authenticator(Protocol):
    """Names the caller of a call."""

    def authenticate(self, context: CallContext) -> Caller:
        """Returns the caller.

        Raises:
            CallerUnknown: The call is not from a caller of this gateway.
        """


class CallerDirectory:
    """Callers by SPIFFE id, read again every few seconds."""

    def __init__(self, *, storage: Storage[CallerUnit], refresh_seconds: float) -> None:
        self._storage = storage
        self._refresh_seconds = refresh_seconds
        self._by_id: Mapping[str, Caller] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Reads the callers and keeps reading them."""
        await self.refresh()
        self._task = asyncio.create_task(self._keep_reading())

    async def close(self) -> None:
        """Stops reading."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def refresh(self) -> None:
        """Reads the callers once.

        Raises:
            StorageUnavailable: They cannot be read; those known before stay.
        """
        found = await self._storage.read(GATEWAY, lambda unit: unit.callers.all())
        self._by_id = {caller.spiffe_id: caller for caller in found}

    def authenticate(self, context: CallContext) -> Caller:
        """Names the caller by ``peer_spiffe_id`` alone, over TLS 1.3 only.

        A certificate with two SPIFFE ids passes TLS but has no ``peer_spiffe_id``. TLS
        1.2 cannot be switched off in gRPC's Python server, so it is refused here.
        """
        facts = context.auth_context()
        if tuple(facts.get("ssl_tls_version", ())) != _TLS_WANTED:
            raise CallerUnknown(metadata={"tls": "TLS 1.3 is required"})
        names = tuple(facts.get("peer_spiffe_id", ()))
        if len(names) != 1:
            raise CallerUnknown
        caller = self._by_id.get(names[0].decode("utf-8", "replace"))
        if caller is None:
            raise CallerUnknown
        return caller

    async def _keep_reading(self) -> None:
        while True:
            await asyncio.sleep(self._refresh_seconds)
            try:
                await self.refresh()
            except Exception as error:  # noqa: BLE001 - a dead loop would keep callers
                fields = {"type": type(error).__qualname__}
                _log.warning("callers were not refreshed", extra=fields)


def set_caller(caller: Caller) -> None:
    """Remembers the caller for the rest of this call."""
    _current.set(caller)


def caller_of_call() -> Caller:
    """Returns the caller of the call that is being answered.

    Raises:
        InvariantBroken: No guard let a caller in.
    """
    caller = _current.get()
    if caller is None:
        raise InvariantBroken
    return caller
