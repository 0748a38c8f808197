"""Reaching a simulator in another process.

Invariant: only a connection that was never made is ProcessorUnavailable. Whatever goes
wrong after that may have been executed, and is ProcessorOutcomeUnknown.
"""

import json
from collections.abc import Mapping
from typing import Any

import aiohttp

from gateway.errors import ProcessorUnavailable
from gateway.payments.processor import ProcessorOutcomeUnknown
from gateway.processors.simulator.ledger import Answer
from gateway.processors.simulator.server import KEY_HEADER


class HttpTransport:
    """See Transport. Use it in one event loop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, method: str, path: str, key: str, body: Mapping[str, Any]
    ) -> Answer:
        """See Transport.send."""
        session = self._open()
        arguments: dict[str, Any] = {"headers": {KEY_HEADER: key}}
        arguments["params" if method == "GET" else "json"] = dict(body)
        try:
            async with session.request(
                method, self._url + path, allow_redirects=False, **arguments
            ) as response:
                answer = json.loads(await response.read())
                return Answer(response.status, answer)
        except aiohttp.ClientConnectorError as error:
            raise ProcessorUnavailable from error
        except (aiohttp.ClientError, ConnectionError, ValueError):
            # "from None": a client error may hold the request's body.
            raise ProcessorOutcomeUnknown from None

    async def close(self) -> None:
        """See Transport.close."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False)
        return self._session
