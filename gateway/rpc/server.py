"""The gRPC server: limits, health, and how it starts listening and drains.

Limits are small because messages are: a card is some 600 bytes. To drain, first call
``DrainableHealth.drain``, so that load balancers look elsewhere and Watch streams end,
then ``server.stop(grace)``, which lets running calls finish.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import grpc
import grpc.aio
from bailee.v1 import (
    audit_service_pb2,
    audit_service_pb2_grpc,
    merchant_service_pb2,
    merchant_service_pb2_grpc,
    payment_service_pb2,
    payment_service_pb2_grpc,
    vault_service_pb2,
    vault_service_pb2_grpc,
)
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.errors import LimitExceeded
from gateway.rpc.audit_servicer import AuditServicer
from gateway.rpc.callers import Authenticator
from gateway.rpc.guard import CALLS_MAX, REQUEST_BYTES_MAX, Guard
from gateway.rpc.merchant_servicer import MerchantServicer
from gateway.rpc.payment_servicer import PaymentServicer
from gateway.rpc.unbreakable_server import unbreakable_server
from gateway.rpc.vault_servicer import VaultServicer

_HOUR_MS: Final = 3_600_000
_WATCHERS_MAX: Final = 100

OPTIONS: Final = (
    # A second server on the port must fail, not take half of the connections.
    ("grpc.so_reuseport", 0),
    # The guard refuses what is over its own limit, and says why. This one is gRPC's: it
    # bounds memory and ends the call with RESOURCE_EXHAUSTED and no details.
    ("grpc.max_receive_message_length", 4 * REQUEST_BYTES_MAX),
    ("grpc.max_metadata_size", 8 * 1024),
    ("grpc.absolute_max_metadata_size", 16 * 1024),
    ("grpc.max_concurrent_streams", 256),
    # A connection outlives its client's certificate; a new handshake checks it again.
    ("grpc.max_connection_age_ms", _HOUR_MS),
    ("grpc.max_connection_age_grace_ms", _HOUR_MS // 12),
    # Finds callers that vanished without closing their connection.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
)
# Beyond the guard's limit on calls, which answers with details; this one counts Watch
# streams and calls whose message has not arrived, too.
_STREAMS_MAX: Final = 2 * CALLS_MAX


class PortTaken(RuntimeError):
    """Another program listens on the address."""


class DrainableHealth(health_pb2_grpc.HealthServicer):
    """grpc.health.v1, with Watch streams that end when the server drains.

    Otherwise one open Watch holds ``stop(grace)`` for the whole grace.
    """

    def __init__(
        self, services: Iterable[str], draining: asyncio.Event | None = None
    ) -> None:
        """Makes a servicer that knows these services, and the server as a whole.

        Args:
            services: Their full names.
            draining: What ``drain`` sets; other streams of the server may wait for it.
        """
        self._services = frozenset({"", *services})
        self._draining = draining or asyncio.Event()
        self._watchers = 0

    def drain(self) -> None:
        """Says NOT_SERVING to everybody and ends every stream."""
        self._draining.set()

    async def Check(  # noqa: N802 - the name is gRPC's
        self,
        request: health_pb2.HealthCheckRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> health_pb2.HealthCheckResponse:
        """Returns the state now; every service of the server shares it."""
        return self._state(request.service)

    async def Watch(  # noqa: N802 - the name is gRPC's
        self,
        request: health_pb2.HealthCheckRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Streams the state until the server drains."""
        if self._watchers >= _WATCHERS_MAX:
            raise LimitExceeded
        self._watchers += 1
        try:
            shown = self._state(request.service)
            yield shown
            await self._draining.wait()
            if shown != self._state(request.service):
                yield self._state(request.service)
        finally:
            self._watchers -= 1

    def _state(self, service: str) -> health_pb2.HealthCheckResponse:
        states = health_pb2.HealthCheckResponse
        if service not in self._services:
            return states(status=states.SERVICE_UNKNOWN)
        serving = states.NOT_SERVING if self._draining.is_set() else states.SERVING
        return states(status=serving)


class Register(Protocol):
    """Adds a servicer to a server; gRPC generates one for each service."""

    def __call__(self, servicer: Any, server: grpc.aio.Server) -> None:  # noqa: ANN401 - each takes its own
        """Adds the servicer."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the API and what answers it."""

    name: str
    register: Register
    servicer: object


def vault_service(servicer: VaultServicer) -> Service:
    """Returns bailee.v1.VaultService."""
    return _service(
        vault_service_pb2.DESCRIPTOR,
        vault_service_pb2_grpc.add_VaultServiceServicer_to_server,
        servicer,
    )


def payment_service(servicer: PaymentServicer) -> Service:
    """Returns bailee.v1.PaymentService."""
    return _service(
        payment_service_pb2.DESCRIPTOR,
        payment_service_pb2_grpc.add_PaymentServiceServicer_to_server,
        servicer,
    )


def merchant_service(servicer: MerchantServicer) -> Service:
    """Returns bailee.v1.MerchantService."""
    return _service(
        merchant_service_pb2.DESCRIPTOR,
        merchant_service_pb2_grpc.add_MerchantServiceServicer_to_server,
        servicer,
    )


def audit_service(servicer: AuditServicer) -> Service:
    """Returns bailee.v1.AuditService."""
    return _service(
        audit_service_pb2.DESCRIPTOR,
        audit_service_pb2_grpc.add_AuditServiceServicer_to_server,
        servicer,
    )


def _service(file: FileDescriptor, register: Register, servicer: object) -> Service:
    """Returns the only service of an API file."""
    [described] = file.services_by_name.values()
    return Service(described.full_name, register, servicer)


def build_server(
    *,
    authenticator: Authenticator,
    services: Sequence[Service],
    health_servicer: DrainableHealth,
) -> grpc.aio.Server:
    """Returns a server with every service behind the guard, not yet listening."""
    server = guarded_server(Guard(authenticator))
    for service in services:
        service.register(service.servicer, server)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    return server


def guarded_server(guard: Guard) -> grpc.aio.Server:
    """Returns a server with our limits and the guard, and no service yet."""
    return unbreakable_server(
        guard,
        refuse=guard.refuse_unknown,
        options=OPTIONS,
        streams_max=_STREAMS_MAX,
    )


def listen(
    server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials
) -> int:
    """Binds the address and returns the port.

    Raises:
        PortTaken: Another program listens there, or the address is not ours.
    """
    try:
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise PortTaken(
            f"cannot listen on {address}: another program does, or it is not an "
            "address of this machine; change `listen` in bailee.toml"
        ) from error
