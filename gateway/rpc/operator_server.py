"""The operator listener: a server of its own, for those who run the gateway.

Invariants:
  * It trusts certificates of the operators' authority alone, over the socket too: a
    billing caller cannot get in, whatever the database says of it.
  * The socket is in the gateway's folder and only the gateway's user can open it.
  * Reflection is here and nowhere else.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import grpc
import grpc.aio
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha._async import ReflectionServicer
from grpc_reflection.v1alpha.reflection_pb2_grpc import (
    add_ServerReflectionServicer_to_server,
)

from gateway.config import ConfigInvalid, Settings
from gateway.errors import CallerUnknown
from gateway.metrics import Metrics
from gateway.rpc.authorization import OPEN_TO_EVERY_CALLER
from gateway.rpc.callers import Authenticator, CallContext
from gateway.rpc.guard import Guard
from gateway.rpc.server import Service, guarded_server, listen
from gateway.rpc.tls import mutual_tls
from gateway.words.callers import Caller, Role

REFLECTION: Final = f"/{reflection.SERVICE_NAME}/ServerReflectionInfo"
# sockaddr_un.sun_path on Linux, with its closing zero.
_SOCKET_PATH_BYTES_MAX: Final = 107


class Operators:
    """Lets in those who run the gateway, and nobody else. See Authenticator."""

    def __init__(self, inner: Authenticator) -> None:
        self._inner = inner

    def authenticate(self, context: CallContext) -> Caller:
        """See Authenticator.authenticate."""
        caller = self._inner.authenticate(context)
        if not caller.is_operator or Role.OPERATOR not in caller.roles:
            raise CallerUnknown
        return caller


class BillingCallers:
    """Lets in programs, and nobody who runs the gateway. See Authenticator."""

    def __init__(self, inner: Authenticator) -> None:
        self._inner = inner

    def authenticate(self, context: CallContext) -> Caller:
        """See Authenticator.authenticate."""
        caller = self._inner.authenticate(context)
        if caller.is_operator:
            raise CallerUnknown
        return caller


def operator_guard(authenticator: Authenticator, metrics: Metrics) -> Guard:
    """Returns the guard of the operator listener."""
    return Guard(
        Operators(authenticator),
        open_rpcs=OPEN_TO_EVERY_CALLER | {REFLECTION},
        metrics=metrics,
    )


def build_operator_server(
    *, guard: Guard, services: Sequence[Service]
) -> grpc.aio.Server:
    """Returns the operator listener's server, not yet listening."""
    server = guarded_server(guard)
    for service in services:
        service.register(service.servicer, server)
    names = [service.name for service in services]
    reflecting = ReflectionServicer(names)
    add_ServerReflectionServicer_to_server(reflecting, server)  # type: ignore[no-untyped-call]
    return server


class OperatorListener:
    """The operator listener of a running gateway."""

    def __init__(self, server: grpc.aio.Server, settings: Settings) -> None:
        self._server = server
        self._settings = settings

    async def start(self) -> None:
        """Listens on the socket, and on the address if one is set.

        Raises:
            ConfigInvalid: The path is too long for a socket.
            PortTaken: Another program listens on the address.
            TlsFilesUnusable: A certificate is missing or does not fit.
        """
        socket = self._settings.path("operator_socket")
        listen_on_socket(self._server, socket, self._credentials())
        address = self._settings.operator_listen
        if address:
            listen(
                self._server, address, self._credentials(), setting="operator_listen"
            )
        await self._server.start()

    def _credentials(self) -> grpc.ServerCredentials:
        """Returns credentials for one port: gRPC cannot use them for a second."""
        path = self._settings.path
        return mutual_tls(path("tls_certificate"), path("tls_key"), path("operator_ca"))

    async def stop(self, grace_seconds: float) -> None:
        """Lets running calls finish."""
        await self._server.stop(grace_seconds)


def listen_on_socket(
    server: grpc.aio.Server, path: Path, credentials: grpc.ServerCredentials
) -> None:
    """Binds a unix socket that only this user can open.

    Raises:
        ConfigInvalid: The path is too long for a socket.
        PortTaken: The socket cannot be made.
    """
    address = socket_address(path)
    before = os.umask(0o177)
    try:
        listen(server, address, credentials, setting="operator_socket")
    finally:
        os.umask(before)


def socket_address(path: Path) -> str:
    """Returns the path as gRPC wants it, absolute or from here, whichever is shorter.

    Raises:
        ConfigInvalid: Neither is short enough.
    """
    shown = min(str(path), os.path.relpath(path), key=len)
    if len(shown.encode()) > _SOCKET_PATH_BYTES_MAX:
        raise ConfigInvalid(
            f"{path} is too long for a unix socket ({_SOCKET_PATH_BYTES_MAX} bytes); "
            "set operator_socket in bailee.toml to a shorter path"
        )
    return f"unix:{shown}"
