"""The gRPC server: TLS, limits, health, and how it starts and stops.

Limits are small because messages are: a card is some 600 bytes.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
from bailee.v1 import payment_service_pb2_grpc, vault_service_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.rpc.callers import Authenticator
from gateway.rpc.guard import Guard
from gateway.rpc.payment_servicer import PaymentServicer
from gateway.rpc.vault_servicer import VaultServicer

MESSAGE_BYTES_MAX: Final = 64 * 1024
METADATA_BYTES_MAX: Final = 8 * 1024
CALLS_MAX: Final = 2_000

OPTIONS: Final = (
    # A second server on the port must fail, not take half of the connections.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.max_concurrent_streams", 256),
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
)


class PortTaken(RuntimeError):
    """Another program listens on the address."""


class DrainableHealth(health_pb2_grpc.HealthServicer):
    """grpc.health.v1, with Watch streams that end when the server drains.

    Otherwise one open Watch holds ``stop(grace)`` for the whole grace.
    """

    def __init__(self) -> None:
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """Says NOT_SERVING to everybody and ends every Watch."""
        self._draining.set()

    async def Check(  # noqa: N802 - the name is gRPC's
        self,
        request: health_pb2.HealthCheckRequest,  # noqa: ARG002
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> health_pb2.HealthCheckResponse:
        """Returns the state now; every service of the server shares it."""
        return self._state()

    async def Watch(  # noqa: N802 - the name is gRPC's
        self,
        request: health_pb2.HealthCheckRequest,  # noqa: ARG002
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Streams the state until the server drains."""
        yield self._state()
        await self._draining.wait()
        yield self._state()

    def _state(self) -> health_pb2.HealthCheckResponse:
        states = health_pb2.HealthCheckResponse
        serving = states.NOT_SERVING if self._draining.is_set() else states.SERVING
        return states(status=serving)


def build_server(
    *,
    authenticator: Authenticator,
    vault: VaultServicer,
    payments: PaymentServicer,
    health_servicer: DrainableHealth,
) -> grpc.aio.Server:
    """Returns a server with every service behind the guard, not yet listening."""
    server = grpc.aio.server(
        interceptors=[Guard(authenticator)],
        options=OPTIONS,
        maximum_concurrent_rpcs=CALLS_MAX,
    )
    vault_service_pb2_grpc.add_VaultServiceServicer_to_server(vault, server)
    payment_service_pb2_grpc.add_PaymentServiceServicer_to_server(payments, server)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    return server


def listen(
    server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials
) -> int:
    """Binds the address and returns the port.

    Raises:
        PortTaken: Another program listens there, or the address is not ours.
    """
    try:
        port = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise PortTaken(
            f"cannot listen on {address}: another program does, or it is not an "
            "address of this machine; change `listen` in bailee.toml"
        ) from error
    return port


def mutual_tls(certificate: Path, key: Path, client_ca: Path) -> grpc.ServerCredentials:
    """Returns credentials that demand a client certificate of this authority."""
    return grpc.ssl_server_credentials(
        [(key.read_bytes(), certificate.read_bytes())],
        root_certificates=client_ca.read_bytes(),
        require_client_auth=True,
    )
