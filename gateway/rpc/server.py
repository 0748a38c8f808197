"""The gRPC server: limits, services, and how it starts listening and drains.

Limits are small because messages are: a card is some 600 bytes. To drain, first call
``DrainableHealth.drain``, so that load balancers look elsewhere and Watch streams end,
then ``server.stop(grace)``, which lets running calls finish.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import grpc
import grpc.aio
from bailee.v1 import (
    audit_service_pb2,
    audit_service_pb2_grpc,
    merchant_service_pb2,
    merchant_service_pb2_grpc,
    operator_service_pb2,
    operator_service_pb2_grpc,
    payment_service_pb2,
    payment_service_pb2_grpc,
    vault_service_pb2,
    vault_service_pb2_grpc,
)
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2_grpc

from gateway.rpc.audit_servicer import AuditServicer
from gateway.rpc.guard import CALLS_MAX, LARGE_REQUEST_BYTES_MAX, Guard
from gateway.rpc.health import DrainableHealth
from gateway.rpc.merchant_servicer import MerchantServicer
from gateway.rpc.operator_servicer import OperatorServicer
from gateway.rpc.payment_servicer import PaymentServicer
from gateway.rpc.unbreakable_server import unbreakable_server
from gateway.rpc.vault_servicer import VaultServicer

_HOUR_MS: Final = 3_600_000

OPTIONS: Final = (
    # A second server on the port must fail, not take half of the connections.
    ("grpc.so_reuseport", 0),
    # The guard refuses what is over its own limit, and says why. This one is gRPC's: it
    # bounds memory and ends the call with RESOURCE_EXHAUSTED and no details.
    ("grpc.max_receive_message_length", LARGE_REQUEST_BYTES_MAX),
    ("grpc.max_metadata_size", 8 * 1024),
    ("grpc.absolute_max_metadata_size", 16 * 1024),
    ("grpc.max_concurrent_streams", 256),
    # A new handshake sees today's certificates, ours too.
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


def operator_service(servicer: OperatorServicer) -> Service:
    """Returns bailee.v1.OperatorService."""
    return _service(
        operator_service_pb2.DESCRIPTOR,
        operator_service_pb2_grpc.add_OperatorServiceServicer_to_server,
        servicer,
    )


def _service(file: FileDescriptor, register: Register, servicer: object) -> Service:
    """Returns the only service of an API file."""
    [described] = file.services_by_name.values()
    return Service(described.full_name, register, servicer)


def build_server(
    *,
    guard: Guard,
    services: Sequence[Service],
    health_servicer: DrainableHealth,
) -> grpc.aio.Server:
    """Returns a server with every service behind the guard, not yet listening."""
    server = guarded_server(guard)
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
    server: grpc.aio.Server,
    address: str,
    credentials: grpc.ServerCredentials,
    *,
    setting: str = "listen",
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
            f"address of this machine; change `{setting}` in bailee.toml"
        ) from error
