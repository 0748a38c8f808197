"""A guarded gRPC server on loopback whose handlers do what the request asks for.

The request's ``card_token`` names the behaviour. Besides VaultService there is a
service that exists only here, with streaming methods of each kind.
"""

import asyncio
import io
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc
import grpc.aio
from bailee.v1 import card_pb2, vault_service_pb2, vault_service_pb2_grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2_grpc
from grpc_status import rpc_status

from gateway.errors import RequestInProgress, RequestInvalid
from gateway.logs import JsonFormatter
from gateway.metrics import Metrics
from gateway.parts import Parts
from gateway.rpc.authorization import ROLES
from gateway.rpc.callers import CallerDirectory, caller_of_call
from gateway.rpc.guard import Guard
from gateway.rpc.health import DrainableHealth
from gateway.rpc.server import guarded_server, listen
from gateway.rpc.tls import mutual_tls
from gateway.words.callers import Caller, Role
from gateway.words.clock import SystemClock
from gateway.words.identifiers import MerchantId
from tests.builders.certificates import Ca

SECRET = "4242 4242 4242 4242 of Marked Holder"
SECRET_WORDS = ("4242", "Marked", "Holder")
BILLING = "spiffe://bailee.test/caller/billing"
READER = "spiffe://bailee.test/caller/reader"
PLATFORM = "spiffe://bailee.test/caller/platform"
STREAMS = "/bailee.test.v1.Streams"

Request = vault_service_pb2.GetCardTokenRequest
Response = vault_service_pb2.GetCardTokenResponse

CALLERS = (
    Caller(
        BILLING, frozenset({Role.TOKENIZE, Role.PAY}), frozenset({MerchantId("shop")})
    ),
    Caller(READER, frozenset({Role.AUDITOR}), frozenset({MerchantId("shop")})),
    Caller(PLATFORM, frozenset(Role), None),
)


class Panic(BaseException):
    """What a Rust extension raises: not an Exception."""


class Unprintable(Exception):
    """An exception that cannot even be shown."""

    def __str__(self):
        raise ValueError(SECRET)


class CallerTable:
    """The part of storage that CallerDirectory reads."""

    def __init__(self, callers=CALLERS):
        self.rows = list(callers)
        self.error = None

    @property
    def callers(self):
        return self

    def all(self):
        return self.rows

    async def read(self, merchant, query):
        if self.error is not None:
            raise self.error
        return query(self)

    async def commit(self, merchant, work):
        return work(self)


async def behave(request):
    """Does what ``card_token`` says; returns an answer for all that do not raise."""
    match request.card_token:
        case "chain":
            try:
                raise KeyError(SECRET)
            except KeyError as error:
                raise ValueError(SECRET) from error
        case "none":
            return None
        case "foreign":
            return card_pb2.CardToken(name=SECRET)
        case "slow":
            await asyncio.sleep(30)
        case named if named in _RAISED:
            raise _RAISED[named]()
        case _:
            pass
    return Response(card_token=card_pb2.CardToken(name=caller_of_call().spiffe_id))


_RAISED = {
    "raise": lambda: RuntimeError(SECRET),
    "group": lambda: ExceptionGroup(SECRET, [ValueError(SECRET)]),
    "panic": lambda: Panic(SECRET),
    "unprintable": Unprintable,
    "cancel": lambda: asyncio.CancelledError(SECRET),
    "invalid": lambda: RequestInvalid("card_token", "is wrong"),
    "busy": lambda: RequestInProgress(
        metadata={"payment": "pay_x"}, retry_delay=timedelta(seconds=1.5)
    ),
}


class Vault(vault_service_pb2_grpc.VaultServiceServicer):
    """Every RPC behaves on demand; ``arrived`` is set when a call is inside."""

    def __init__(self):
        self.arrived = asyncio.Event()
        self.left = asyncio.Event()
        self.released = asyncio.Event()

    async def GetCardToken(self, request, context):  # noqa: N802 - gRPC's name
        self.arrived.set()
        try:
            if request.card_token == "until-drained":
                await self.released.wait()
            return await behave(request)
        finally:
            self.left.set()

    TokenizeCard = DeleteCardToken = ListSealingKeys = GetCardToken


def _add_streams(server):
    """Registers a service of three streaming kinds, by yielding and by writing."""

    async def many(request, _context):
        yield Response()
        yield await behave(request)

    async def written(request, context):
        await context.write(Response())
        await context.write(await behave(request))

    async def gathered(requests, _context):
        answer = None
        async for request in requests:
            answer = await behave(request)
        return answer

    async def echoed(requests, _context):
        async for request in requests:
            yield await behave(request)

    codec = (Request.FromString, Response.SerializeToString)
    handlers = {
        "Many": grpc.unary_stream_rpc_method_handler(many, *codec),
        "Written": grpc.unary_stream_rpc_method_handler(written, *codec),
        "Gathered": grpc.stream_unary_rpc_method_handler(gathered, *codec),
        "Echoed": grpc.stream_stream_rpc_method_handler(echoed, *codec),
        "Unlisted": grpc.unary_stream_rpc_method_handler(many, *codec),
    }
    service = "bailee.test.v1.Streams"
    server.add_registered_method_handlers(service, handlers)


def _describe_streams():
    file = descriptor_pb2.FileDescriptorProto(
        name="tests/streams.proto",
        package="bailee.test.v1",
        dependency=["bailee/v1/vault_service.proto"],
        syntax="proto3",
    )
    service = file.service.add(name="Streams")
    for name in ("Many", "Written", "Gathered", "Echoed", "Unlisted"):
        service.method.add(
            name=name,
            input_type=".bailee.v1.GetCardTokenRequest",
            output_type=".bailee.v1.GetCardTokenResponse",
        )
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())


_describe_streams()
_STREAM_ROLES = {
    f"{STREAMS}/{name}": frozenset({Role.PAY})
    for name in ("Many", "Written", "Gathered", "Echoed")
}


@dataclass
class Served:
    """A running server and how to reach it."""

    address: str
    ca: Ca
    server: grpc.aio.Server
    guard: Guard
    vault: Vault
    health: DrainableHealth
    directory: CallerDirectory
    table: CallerTable
    files: dict[str, Path]
    parts: Parts

    def channel(self, pair=None, ca=None):
        """Opens a channel with this client certificate."""
        pair = pair or self.ca.client(BILLING)
        credentials = grpc.ssl_channel_credentials(
            (ca or self.ca).pem, pair.key, pair.certificate
        )
        options = [("grpc.enable_http_proxy", 0)]
        return grpc.aio.secure_channel(self.address, credentials, options)


@asynccontextmanager
async def serving(ca, folder, clock=None, **options):
    """Runs a server on a free port; other keywords go to the guard."""
    server_ca = folder / "ca.pem"
    server_ca.write_bytes(ca.pem)
    certificate, key = ca.server().write(folder, "server")
    table = CallerTable()
    directory = CallerDirectory(storage=table, clock=clock or SystemClock())
    await directory.refresh()
    roles = {**ROLES, **_STREAM_ROLES}
    guard = Guard(directory, metrics=Metrics(), roles=roles, **options)
    server = guarded_server(guard)
    vault = Vault()
    parts = Parts()
    services = ["bailee.v1.VaultService", "bailee.v1.PaymentService"]
    health = DrainableHealth(services, parts)
    vault_service_pb2_grpc.add_VaultServiceServicer_to_server(vault, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    _add_streams(server)
    port = listen(server, "localhost:0", mutual_tls(certificate, key, server_ca))
    await server.start()
    files = {"certificate": certificate, "key": key, "client_ca": server_ca}
    try:
        yield Served(
            f"localhost:{port}",
            ca,
            server,
            guard,
            vault,
            health,
            directory,
            table,
            files,
            parts,
        )
    finally:
        await server.stop(None)


@dataclass
class Refusal:
    """What a failed call told its caller."""

    code: str
    message: str
    reason: str
    metadata: dict[str, str]
    fields: list[tuple[str, str]]
    retry_seconds: float | None

    @classmethod
    def of(cls, error):
        """Reads the status of a failed call; ``reason`` is empty without details."""
        status = rpc_status.from_call(error)
        refusal = cls(error.code().name, error.details(), "", {}, [], None)
        for detail in status.details if status else ():
            refusal._add(detail)
        return refusal

    def _add(self, detail):
        info = error_details_pb2.ErrorInfo()
        bad = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            self.reason, self.metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            self.fields = [(v.field, v.description) for v in bad.field_violations]
        elif detail.Unpack(retry):
            self.retry_seconds = retry.retry_delay.ToTimedelta().total_seconds()


async def refusal_of(call):
    """Awaits a call that must fail and returns what it told."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return Refusal.of(error)
    raise AssertionError(f"the call was answered: {type(answer).__name__}")


@asynccontextmanager
async def captured_logs():
    """Everything logged at DEBUG, by anybody, as the JSON lines an operator sees."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel("DEBUG")
    try:
        yield stream
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
