"""A server to load: bare, null, or a whole gateway, on a plaintext loopback port.

    python -m tests.bench.server bare|null|gateway FOLDER

Prints one JSON line with its port and what the bodies need. ``bare`` is a default
grpc.aio server with a constant answer; ``null`` the same answer behind our listener
options and guard. The plaintext listener exists here only.
"""

import asyncio
import json
import sys
from pathlib import Path

import grpc.aio
import uvloop
from bailee.v1 import card_pb2, vault_service_pb2, vault_service_pb2_grpc

from gateway.metrics import Metrics
from gateway.rpc.guard import Guard
from gateway.rpc.server import guarded_server
from tests.bench.bodies import stored_tokens
from tests.builders.gateway import FixedCaller, build

TOKENS = 2_000


class Null(vault_service_pb2_grpc.VaultServiceServicer):
    """Answers every call with the same message."""

    def __init__(self):
        token = card_pb2.CardToken(name="card_null")
        self.answer = vault_service_pb2.GetCardTokenResponse(card_token=token)

    async def GetCardToken(self, request, context):  # noqa: N802 - gRPC's name
        return self.answer


async def serve(kind, folder):
    facts = {}
    if kind == "gateway":
        running = await build(folder, accept_plain_cards=True)
        server = running.gateway.server(FixedCaller())
        facts = {
            "identity_key": running.keys.identity_public_key.hex(),
            "log_key": running.keys.log_public_key.hex(),
            "sealing_keys": [
                [key.key_id, key.public_key.hex(), key.expires_at.timestamp(),
                 key.signature.hex()]
                for key in running.keys.sealing_keys(running.gateway.clock.now())
            ],
        }  # fmt: skip
    else:
        server = (
            grpc.aio.server()
            if kind == "bare"
            else guarded_server(Guard(FixedCaller(), metrics=Metrics()))
        )
        vault_service_pb2_grpc.add_VaultServiceServicer_to_server(Null(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    if kind == "gateway":
        facts["tokens"] = await stored_tokens(port, TOKENS)
    print(json.dumps({"port": port} | facts), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1], Path(sys.argv[2])))
