"""grpc.health.v1: whether to send calls here, and which part is not usable.

Services of the API, and the empty name for the whole server, are SERVING while no part
is down and the server does not drain. ``part/<name>`` tells of one part alone: it is
NOT_SERVING when the part is degraded, too.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.errors import LimitExceeded
from gateway.parts import Parts, PartState

_WATCHERS_MAX: Final = 100
_PART: Final = "part/"


class DrainableHealth(health_pb2_grpc.HealthServicer):
    """Health whose Watch streams end when the server drains.

    Otherwise one open Watch holds ``stop(grace)`` for the whole grace.
    """

    def __init__(
        self,
        services: Iterable[str],
        parts: Parts,
        draining: asyncio.Event | None = None,
    ) -> None:
        """Makes a servicer that knows these services, and the server as a whole.

        Args:
            services: Their full names.
            parts: What may be down.
            draining: What ``drain`` sets; other streams of the server wait for it.
        """
        self._services = frozenset({"", *services})
        self._parts = parts
        self._is_draining = False
        self._draining = draining or asyncio.Event()
        self._watchers = 0

    def drain(self) -> None:
        """Says NOT_SERVING to everybody and ends every stream."""
        self._is_draining = True
        self._draining.set()
        self._parts.wake()

    async def Check(  # noqa: N802 - the name is gRPC's
        self,
        request: health_pb2.HealthCheckRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> health_pb2.HealthCheckResponse:
        """Returns the state now."""
        return self._state(request.service)

    async def Watch(  # noqa: N802 - the name is gRPC's
        self,
        request: health_pb2.HealthCheckRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Streams the state, and each change, until the server drains."""
        if self._watchers >= _WATCHERS_MAX:
            raise LimitExceeded
        self._watchers += 1
        shown = None
        try:
            while True:
                state = self._state(request.service)
                if state != shown:
                    yield state
                    shown = state
                    # What changed while it was sent must not be missed.
                    continue
                if self._is_draining:
                    return
                await self._parts.changed()
        finally:
            self._watchers -= 1

    def _state(self, service: str) -> health_pb2.HealthCheckResponse:
        states = health_pb2.HealthCheckResponse
        if service in self._services:
            serves = self._parts.are_up() and not self._is_draining
        elif service.startswith(_PART):
            known = dict(self._parts.states()).get(service.removeprefix(_PART))
            if known is None:
                return states(status=states.SERVICE_UNKNOWN)
            serves = known is PartState.USABLE
        else:
            return states(status=states.SERVICE_UNKNOWN)
        return states(status=states.SERVING if serves else states.NOT_SERVING)
