"""The gRPC server: limits, health, and how it starts listening and drains.

Limits are small because messages are: a card is some 600 bytes. To drain, first call
``DrainableHealth.drain``, so that load balancers look elsewhere and Watch streams end,
then ``server.stop(grace)``, which lets running calls finish.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
import grpc.aio
from bailee.v1 import (
    payment_service_pb2,
    payment_service_pb2_grpc,
    vault_service_pb2,
    vault_service_pb2_grpc,
)
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.errors import LimitExceeded
from gateway.rpc.callers import Authenticator
from gateway.rpc.guard import CALLS_MAX, REQUEST_BYTES_MAX, Guard
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

    def __init__(self) -> None:
        self._draining = asyncio.Event()
        self._watchers = 0

    def drain(self) -> None:
        """Says NOT_SERVING to everybody and ends every Watch."""
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
        if service not in _SERVICES:
            return states(status=states.SERVICE_UNKNOWN)
        serving = states.NOT_SERVING if self._draining.is_set() else states.SERVING
        return states(status=serving)


# The empty name stands for the whole server.
_SERVICES: Final = frozenset(
    {
        "",
        vault_service_pb2.DESCRIPTOR.services_by_name["VaultService"].full_name,
        payment_service_pb2.DESCRIPTOR.services_by_name["PaymentService"].full_name,
    }
)


def build_server(
    *,
    authenticator: Authenticator,
    vault: VaultServicer,
    payments: PaymentServicer,
    health_servicer: DrainableHealth,
) -> grpc.aio.Server:
    """Returns a server with every service behind the guard, not yet listening."""
    server = guarded_server(Guard(authenticator))
    vault_service_pb2_grpc.add_VaultServiceServicer_to_server(vault, server)
    payment_service_pb2_grpc.add_PaymentServiceServicer_to_server(payments, server)
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
