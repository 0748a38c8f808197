"""A gateway as ``bailee init`` makes it, with both listeners in this process."""

from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc.aio
from bailee import Bundle
from bailee.v1 import (
    merchant_service_pb2_grpc,
    operator_service_pb2_grpc,
    payment_service_pb2_grpc,
)

from gateway.adapters import open_keys, open_processors, open_storage
from gateway.app import Gateway
from gateway.cli.init import InitOptions, create_gateway
from gateway.config import Settings
from gateway.rpc.callers import CallerDirectory
from gateway.rpc.operator_server import socket_address
from gateway.rpc.server import listen
from gateway.rpc.tls import mutual_tls
from gateway.words.clock import SystemClock


def new_folder(tmp_path, **options):
    """Makes a gateway's folder; not to be called inside an event loop."""
    made = create_gateway(tmp_path / "gw", InitOptions(**options), SystemClock().now())
    return made.folder


@dataclass
class Site:
    """A running gateway with both listeners."""

    gateway: Gateway
    callers: CallerDirectory
    settings: Settings
    port: int

    def operator(self, home="operators/admin"):
        """Opens a channel to the socket with the certificate of a bundle."""
        bundle = Bundle.read(self.settings.folder / home)
        address = socket_address(self.settings.path("operator_socket"))
        return open_channel(address, bundle)

    def billing(self, home="bundles/billing"):
        """Opens a channel to the billing listener."""
        bundle = Bundle.read(self.settings.folder / home)
        return open_channel(f"localhost:{self.port}", bundle)


def open_channel(address, bundle):
    credentials = grpc.ssl_channel_credentials(
        bundle.ca_certificate, bundle.client_key, bundle.client_certificate
    )
    options = [
        ("grpc.enable_http_proxy", 0),
        ("grpc.ssl_target_name_override", "localhost"),
        ("grpc.default_authority", "localhost"),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    return grpc.aio.secure_channel(address, credentials, options)


@asynccontextmanager
async def serving(folder):
    """Runs the gateway of a folder in this process."""
    settings, clock = Settings.read(folder), SystemClock()
    keys = open_keys(settings)
    gateway = Gateway(
        settings=settings,
        keys=keys,
        storage=open_storage(settings, keys),
        processors=open_processors(settings, clock),
        clock=clock,
    )
    callers = CallerDirectory(storage=gateway.storage, clock=clock)
    await callers.refresh()
    server = gateway.server(callers)
    credentials = mutual_tls(
        settings.path("tls_certificate"),
        settings.path("tls_key"),
        settings.path("billing_ca"),
    )
    port = listen(server, "localhost:0", credentials)
    await server.start()
    operators = gateway.operator_listener(callers)
    await operators.start()
    try:
        yield Site(gateway, callers, settings, port)
    finally:
        await operators.stop(0)
        await server.stop(0)
        await gateway.close()


def operator_stub(channel):
    return operator_service_pb2_grpc.OperatorServiceStub(channel)


def merchant_stub(channel):
    return merchant_service_pb2_grpc.MerchantServiceStub(channel)


def payment_stub(channel):
    return payment_service_pb2_grpc.PaymentServiceStub(channel)
