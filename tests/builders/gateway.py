"""A whole gateway in this process, with real storage, keys, gRPC and simulator.

Only TLS is left out: its listener is plaintext on loopback, and an authenticator of the
tests names the caller. tests/rpc/ and tests/processes/ use real mutual TLS.
"""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc.aio
from bailee import Bundle
from bailee.sealing import Sealer
from bailee.v1 import (
    audit_service_pb2_grpc,
    merchant_service_pb2_grpc,
    payment_service_pb2_grpc,
    vault_service_pb2,
    vault_service_pb2_grpc,
)

from gateway.app import Gateway
from gateway.audit.checkpoint import origin_of
from gateway.config import Settings
from gateway.key_providers.file import FileKeyProvider
from gateway.keys.checkpoint_signer import ProviderSigner
from gateway.processors.simulator.ledger import Ledger
from gateway.processors.simulator.processor import (
    EmbeddedTransport,
    SimulatorProcessor,
)
from gateway.words.callers import Caller, Role
from gateway.words.clock import SystemClock
from tests.builders.storage import OTHER, SHOP, VAULT, open_shop

EVERYTHING = Caller(
    spiffe_id="spiffe://vault.example/caller/test",
    roles=frozenset(Role),
    merchants=frozenset({SHOP, OTHER}),
)


class FixedCaller:
    """An authenticator for plaintext listeners of tests."""

    def __init__(self, caller=EVERYTHING):
        self.caller = caller

    def authenticate(self, context):
        return self.caller


@dataclass
class Running:
    """A gateway and how to reach and look into it."""

    gateway: Gateway
    ledger: Ledger
    keys: FileKeyProvider
    sealer: Sealer
    vault: vault_service_pb2_grpc.VaultServiceStub = None
    payments: payment_service_pb2_grpc.PaymentServiceStub = None
    merchants: merchant_service_pb2_grpc.MerchantServiceStub = None
    who: FixedCaller = None
    audit: audit_service_pb2_grpc.AuditServiceStub = None
    channel: grpc.aio.Channel = None
    port: int = 0
    extra: dict = field(default_factory=dict)

    @property
    def storage(self):
        return self.gateway.storage


def a_sealer(keys, merchant=SHOP, vault_id=VAULT):
    """Returns a sealer that already has the gateway's keys."""
    now = SystemClock().now()
    bundle = Bundle(
        address="",
        vault_id=vault_id,
        merchant=merchant,
        identity_key=keys.identity_public_key,
        log_key=keys.log_public_key,
        log_origin=origin_of(vault_id, merchant, 1),
        ca_certificate=b"",
        client_certificate=b"",
        client_key=b"",
    )
    sealer = Sealer(bundle)
    shown = []
    for key in keys.sealing_keys(now):
        message = vault_service_pb2.SealingKey(
            key_id=key.key_id, public_key=key.public_key, signature=key.signature
        )
        message.expire_time.FromDatetime(key.expires_at)
        shown.append(message)
    sealer.use_keys(shown, now)
    return sealer


async def build(folder, *, clock=None, file=None, **settings):
    """Returns a gateway over a new database and keyring in the folder."""
    clock = clock or SystemClock()
    keys = FileKeyProvider.create(folder / "keyring", VAULT, clock.now())
    storage = await open_shop(folder, signer=ProviderSigner(keys))
    ledger = Ledger(file, clock)
    gateway = Gateway(
        settings=Settings(folder=folder, **settings),
        keys=keys,
        storage=storage,
        processors={"simulator": SimulatorProcessor(EmbeddedTransport(ledger))},
        clock=clock,
    )
    return Running(gateway, ledger, keys, a_sealer(keys))


@asynccontextmanager
async def running(folder, *, caller=EVERYTHING, **arguments):
    """Serves a gateway on a plaintext loopback port, to this caller."""
    made = await build(folder, **arguments)
    made.who = FixedCaller(caller)
    server = made.gateway.server(made.who)
    made.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{made.port}") as channel:
        made.channel = channel
        made.vault = vault_service_pb2_grpc.VaultServiceStub(channel)
        made.payments = payment_service_pb2_grpc.PaymentServiceStub(channel)
        made.merchants = merchant_service_pb2_grpc.MerchantServiceStub(channel)
        made.audit = audit_service_pb2_grpc.AuditServiceStub(channel)
        yield made
    await server.stop(None)
    await made.gateway.close()
