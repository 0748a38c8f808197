"""Reaching a simulator in another process.

Invariant: only a connection that was never made is NotSent. Whatever goes wrong after
that may have been executed, and is NoAnswer.
"""

import json
from datetime import timedelta
from typing import Any, Final

import aiohttp

from gateway.processors.simulator.wire import (
    Answer,
    NoAnswer,
    NotSent,
    Request,
    path_of,
)

KEY_HEADER: Final = "Idempotency-Key"
_BODY_BYTES_MAX: Final = 4 << 20
_CONNECT_SECONDS: Final = 5.0


class HttpTransport:
    """See Transport. Use it in one event loop; ``url`` is ``http://127.0.0.1:PORT``."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request, deadline: timedelta) -> Answer:
        """See Transport.send."""
        method, path = path_of(request)
        arguments: dict[str, Any] = (
            {"params": dict(request.body)}
            if method == "GET"
            else {"json": request.body}
        )
        if request.key:
            arguments["headers"] = {KEY_HEADER: request.key}
        seconds = deadline.total_seconds()
        timeout = aiohttp.ClientTimeout(
            total=seconds, connect=min(seconds, _CONNECT_SECONDS)
        )
        try:
            async with self._open().request(
                method,
                self._url + path,
                timeout=timeout,
                # A redirect would send a card to an address that nobody chose.
                allow_redirects=False,
                **arguments,
            ) as response:
                return Answer(response.status, await _read(response))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise NotSent from None
        except (aiohttp.ClientError, OSError, ValueError):
            # TimeoutError is an OSError. "from None": nobody needs to look inside.
            raise NoAnswer from None

    async def close(self) -> None:
        """See Transport.close."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


async def _read(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """Returns the body. Raises ValueError unless it is a JSON object of fair size."""
    content = bytearray()
    async for part in response.content.iter_any():
        content += part
        if len(content) > _BODY_BYTES_MAX:
            raise ValueError("the answer is too long")
    body = json.loads(content)
    if not isinstance(body, dict):
        raise ValueError("the answer is not a JSON object")  # noqa: TRY004 - one kind
    return body
