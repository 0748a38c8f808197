"""A grpc.aio server that one call cannot stop.

grpc.aio decodes the path of a call to an unregistered RPC as UTF-8 inside its serving
loop. A path that is not UTF-8 ends that loop and with it the server: in grpcio 1.85 the
port closes and the process lives on without it. Whoever has a certificate of our
authority could do that, a removed caller too: the guard is not reached.

Every RPC of ours is registered, so a call to any other is refused here whatever its
path: the path is never read. This leans on parts of grpcio that are not public; the
test that sends such a path tells when they move.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import grpc.aio
from grpc._cython import cygrpc
from grpc.aio import _server

Refuse = Callable[[Any], Awaitable[None]]
Options = Sequence[tuple[str, int]]


def unbreakable_server(
    interceptor: grpc.aio.ServerInterceptor,
    *,
    refuse: Refuse,
    options: Options,
    streams_max: int,
) -> grpc.aio.Server:
    """Returns a server without services and ports.

    Args:
        interceptor: Sees every call of a registered RPC.
        refuse: Ends a call of an RPC that does not exist; gets the servicer's context.
        options: See grpc.aio.server.
        streams_max: How many calls may be open; more get RESOURCE_EXHAUSTED.
    """
    server: Any = _Server(interceptor, refuse, options, streams_max)
    made: grpc.aio.Server = server
    return made


class _Server(_server.Server):
    """grpc.aio's server around a core that answers unknown RPCs itself."""

    def __init__(
        self,
        interceptor: grpc.aio.ServerInterceptor,
        refuse: Refuse,
        options: Options,
        streams_max: int,
    ) -> None:
        self._loop = cygrpc.get_working_loop()
        self._server = _Core(
            self._loop, None, (), (interceptor,), tuple(options), streams_max
        )
        self._server.refuse_unknown = refuse


class _Core(cygrpc.AioServer):  # type: ignore[misc] # grpcio has no types inside
    """Takes calls of unregistered RPCs away from the serving loop."""

    refuse_unknown: Refuse

    async def _request_call(self) -> Any:  # noqa: ANN401 - ends only by an error
        """Waits for calls of unregistered RPCs; raises when the server stops."""
        running: Final[set[asyncio.Task[None]]] = set()
        while True:
            state = await super()._request_call()
            loop = asyncio.get_running_loop()
            context = cygrpc._ServicerContext(state, None, None, loop)  # noqa: SLF001
            task = loop.create_task(self._refuse(context))
            running.add(task)  # the loop itself holds tasks weakly
            task.add_done_callback(running.discard)

    async def _refuse(self, context: Any) -> None:  # noqa: ANN401 - gRPC's own
        # AbortError says that the status is sent; the others that nobody is there.
        with suppress(grpc.aio.BaseError):
            await self.refuse_unknown(context)
