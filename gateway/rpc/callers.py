"""Who is at the other end of a connection.

Invariants:
  * Authorisation looks at ``peer_spiffe_id`` and at nothing else: gRPC sets it only
    when a verified certificate holds exactly one URI and that URI is a SPIFFE id.
  * Connections below TLS 1.3 are refused; gRPC has no setting for it.
  * A caller that was removed is refused one refresh later.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, Protocol

import grpc.aio

from gateway.errors import CallerUnknown, InvariantBroken, StorageUnavailable
from gateway.merchants.ports import CallerUnit
from gateway.unit_of_work import Storage
from gateway.words.callers import Caller
from gateway.words.identifiers import GATEWAY

_log: Final = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]

_TLS_REQUIRED: Final = b"TLSv1.3"

_caller: Final[ContextVar[Caller | None]] = ContextVar("caller", default=None)


def current_caller() -> Caller:
    """Returns the caller of the RPC that this task serves.

    Raises:
        InvariantBroken: No guard admitted a caller.
    """
    caller = _caller.get()
    if caller is None:
        raise InvariantBroken
    return caller


def set_current_caller(caller: Caller) -> None:
    """Makes this the caller of the RPC that this task serves; the guard calls it."""
    _caller.set(caller)


class Authenticator(Protocol):
    """Tells the guard who calls."""

    def check_connection(self, context: Context) -> None:
        """Refuses a connection that is not protected well enough.

        Raises:
            CallerUnknown: It is not.
        """

    def authenticate(self, context: Context) -> Caller:
        """Checks the connection and returns the caller.

        Raises:
            CallerUnknown: Below TLS 1.3, or nobody we know.
        """


class CertificateAuthenticator:
    """Knows callers by the SPIFFE id in their client certificate."""

    def __init__(self, *, find_caller: Callable[[str], Caller | None]) -> None:
        self._find_caller = find_caller

    def check_connection(self, context: Context) -> None:
        """See Authenticator.check_connection."""
        _check_tls(context.auth_context())

    def authenticate(self, context: Context) -> Caller:
        """See Authenticator.authenticate."""
        peer = context.auth_context()
        _check_tls(peer)
        ids = peer.get("peer_spiffe_id", ())
        if len(ids) != 1:
            raise CallerUnknown
        try:
            caller = self._find_caller(ids[0].decode())
        except UnicodeDecodeError as error:
            raise CallerUnknown from error
        if caller is None:
            raise CallerUnknown
        return caller


def _check_tls(peer: Mapping[str, Any]) -> None:
    if list(peer.get("ssl_tls_version", ())) != [_TLS_REQUIRED]:
        raise CallerUnknown(metadata={"required": _TLS_REQUIRED.decode()})


class CallerDirectory:
    """Every enabled caller, in memory, read again every few seconds."""

    def __init__(self, *, storage: Storage[CallerUnit]) -> None:
        self._storage = storage
        self._callers: Mapping[str, Caller] = {}

    def find(self, spiffe_id: str) -> Caller | None:
        """Returns the caller with this SPIFFE id, if it is enabled."""
        return self._callers.get(spiffe_id)

    async def load(self) -> None:
        """Reads all callers.

        Raises:
            StorageUnavailable: They cannot be read; those known before stay.
        """
        callers = await self._storage.read(GATEWAY, lambda unit: unit.callers.all())
        self._callers = {caller.spiffe_id: caller for caller in callers}

    async def refresh_forever(self, interval_seconds: float) -> None:
        """Loads again and again until cancelled.

        An unread database keeps the callers known before: it also stops every call
        that would use it.
        """
        while True:
            await asyncio.sleep(interval_seconds)
            try:
                await self.load()
            except StorageUnavailable:
                _log.warning("callers were not refreshed")
