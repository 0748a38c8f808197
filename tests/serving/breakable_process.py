"""A gateway process without the defence against hostile paths, so that it can die.

    python -m tests.serving.breakable_process DIR

A path that is not UTF-8 then ends the serving loop of grpc.aio, as whatever bug in it
we do not know yet would.
"""

import sys
from pathlib import Path

from grpc._cython import cygrpc

from gateway import serve
from gateway.config import Settings
from gateway.rpc import unbreakable_server

if __name__ == "__main__":
    unbreakable_server._Core._request_call = cygrpc.AioServer._request_call
    serve.run(Settings.read(Path(sys.argv[1])))
