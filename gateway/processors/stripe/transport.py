"""The one connection to Stripe.

Invariants:
  * Only the configured address is spoken to: no redirect is followed, no proxy or
    netrc of the environment is obeyed, and every address of the SDK is replaced.
  * Card numbers travel over TLS, except to a stand-in on this machine.
  * Each call knows whether anything of it may have left (``Attempt.sent``).
  * The body of an answer is read, and the connection given back, before the SDK sees
    the answer: what goes wrong on the way is the SDK's to report.
"""

import ssl
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import stripe

from gateway.config import ConfigInvalid
from gateway.errors import InvariantBroken

STRIPE_ADDRESS: Final = "https://api.stripe.com"
# The version that the SDK's types describe: the pin of stripe 16.1. Another SDK is a
# change of this line, of the decline table and of the tests, in one commit.
STRIPE_VERSION: Final = "2026-10-28.endive"

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_CONNECT_SECONDS: Final = 5.0
_CONNECTIONS: Final = 100


@dataclass(slots=True)
class Attempt:
    """One call: whether anything of it may have left."""

    sent: bool = False


_ATTEMPT: Final[ContextVar[Attempt]] = ContextVar("stripe_attempt")


def begin_attempt() -> Attempt:
    """Returns the record of the call that this task makes next."""
    attempt = Attempt()
    _ATTEMPT.set(attempt)
    return attempt


def check_address(address: str) -> str:
    """Returns the address without a slash at its end.

    Raises:
        ConfigInvalid: Not an address, or card numbers would travel in clear.
    """
    parts = urlsplit(address)
    safe = parts.scheme == "https" or (
        parts.scheme == "http" and parts.hostname in _LOOPBACK
    )
    if not safe or not parts.hostname or parts.query or parts.fragment:
        raise ConfigInvalid(
            "stripe_url must be an https:// address, or http:// of this machine"
        )
    return address.rstrip("/")


class StripeConnection:
    """The SDK's client with a session of our own. Use it in one event loop."""

    def __init__(self, address: str) -> None:
        self._address = check_address(address)
        self._session: aiohttp.ClientSession | None = None
        self._client: stripe.StripeClient | None = None

    @property
    def host(self) -> str:
        """The host that is asked, with its port if it has an unusual one."""
        return urlsplit(self._address).netloc

    def client(self) -> stripe.StripeClient:
        """Returns the client, made at the first call, inside the running loop."""
        if self._client is None:
            self._session = self._open_session()
            self._client = self._build_client(self._session)
        return self._client

    async def close(self) -> None:
        """Lets connections go."""
        session, self._session, self._client = self._session, None, None
        if session is not None:
            await session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        tracing = aiohttp.TraceConfig()
        tracing.on_request_headers_sent.append(_mark_sent)
        secure = self._address.startswith("https:")
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=_CONNECTIONS, ssl=_tls_context() if secure else True
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[tracing],
            trust_env=False,
        )

    def _build_client(self, session: aiohttp.ClientSession) -> stripe.StripeClient:
        http_client = stripe.AIOHTTPClient(
            session=_PinnedSession(session, self._address),
            # The whole call has a deadline of its own; see StripeProcessor.
            timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS),
        )
        return stripe.StripeClient(
            # Never sent: each request brings the key of its processor account.
            "no-key",
            base_addresses={
                "api": self._address,
                "connect": self._address,
                "files": self._address,
                "meter_events": self._address,
            },
            stripe_version=STRIPE_VERSION,
            max_network_retries=0,
            http_client=http_client,
        )


class _PinnedSession:
    """The part of a session that the SDK uses, for one address."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self._address = address

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        data: str | None,
        timeout: aiohttp.ClientTimeout,
    ) -> "_Answer":
        """Sends a request and returns the whole answer."""
        if not url.startswith(f"{self._address}/"):
            raise InvariantBroken
        async with self._session.request(
            method,
            url,
            headers=headers,
            data=data,
            timeout=timeout,
            allow_redirects=False,
            trace_request_ctx=_ATTEMPT.get(),
        ) as response:
            body = await response.read()
            return _Answer(response.status, response.headers, body)


class _Answer:
    """What the SDK reads of a response."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.content = self
        self._body = body

    async def read(self) -> bytes:
        """Returns the body, which has already arrived."""
        return self._body


async def _mark_sent(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    """Runs just before the first byte is written: too early rather than too late."""
    context.trace_request_ctx.sent = True


def _tls_context() -> ssl.SSLContext:
    """Trusts the authorities that Stripe ships with its SDK, and no others."""
    return ssl.create_default_context(cafile=stripe.ca_bundle_path)
