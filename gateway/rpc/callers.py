"""Who is calling: from the client certificate's SPIFFE id to a caller.

Invariants:
  * Authentication looks at ``peer_spiffe_id`` and at nothing else: gRPC sets it only
    when a verified certificate holds exactly one URI and that URI is a SPIFFE id.
  * Connections below TLS 1.3 are refused; gRPC's Python server cannot switch them off.
  * A caller that was removed is refused one refresh later, and a certificate that
    expired at once: TLS looks at it in the handshake alone, and connections live on.
"""

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from datetime import datetime
from typing import Final, Protocol

from cryptography import x509

from gateway.errors import CallerUnknown, InvariantBroken
from gateway.merchants.ports import CallerUnit
from gateway.unit_of_work import Storage
from gateway.words.callers import Caller
from gateway.words.clock import Clock
from gateway.words.identifiers import GATEWAY

_current: Final[ContextVar[Caller | None]] = ContextVar("caller", default=None)
_TLS_WANTED: Final = (b"TLSv1.3",)
# More certificates than callers have; beyond it all are read again.
_CERTIFICATES_MAX: Final = 4096


class CallContext(Protocol):
    """What authentication needs of a call's context."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """Returns what TLS says of the peer."""


class Authenticator(Protocol):
    """Names the caller of a call."""

    def authenticate(self, context: CallContext) -> Caller:
        """Returns the caller.

        Raises:
            CallerUnknown: The call is not from a caller of this gateway.
        """


class CallerDirectory:
    """Callers by SPIFFE id; somebody calls ``refresh`` every few seconds."""

    def __init__(self, *, storage: Storage[CallerUnit], clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._by_id: Mapping[str, Caller] = {}
        self._expiries: dict[bytes, datetime] = {}

    async def refresh(self) -> None:
        """Reads the callers once.

        Raises:
            StorageUnavailable: They cannot be read; those known before stay.
        """
        found = await self._storage.read(GATEWAY, lambda unit: unit.callers.all())
        self._by_id = {caller.spiffe_id: caller for caller in found}

    def authenticate(self, context: CallContext) -> Caller:
        """Names the caller by ``peer_spiffe_id`` alone, over TLS 1.3 only.

        A certificate with two SPIFFE ids passes TLS but has no ``peer_spiffe_id``. TLS
        1.2 cannot be switched off in gRPC's Python server, so it is refused here.
        """
        facts = context.auth_context()
        if tuple(facts.get("ssl_tls_version", ())) != _TLS_WANTED:
            raise CallerUnknown(metadata={"tls": "TLS 1.3 is required"})
        names = tuple(facts.get("peer_spiffe_id", ()))
        if len(names) != 1:
            raise CallerUnknown
        caller = self._by_id.get(names[0].decode("utf-8", "replace"))
        if caller is None:
            raise CallerUnknown
        certificates = tuple(facts.get("x509_pem_cert", ()))
        if len(certificates) != 1:
            raise CallerUnknown
        if self._expiry(certificates[0]) <= self._clock.now():
            raise CallerUnknown(metadata={"certificate": "has expired"})
        return caller

    def _expiry(self, pem: bytes) -> datetime:
        """Returns when a verified certificate ends; each is parsed once."""
        expiry = self._expiries.get(pem)
        if expiry is None:
            if len(self._expiries) >= _CERTIFICATES_MAX:
                self._expiries.clear()
            try:
                expiry = x509.load_pem_x509_certificate(pem).not_valid_after_utc
            except ValueError as error:
                raise CallerUnknown(metadata={"certificate": "is no X.509"}) from error
            self._expiries[pem] = expiry
        return expiry


def set_caller(caller: Caller) -> None:
    """Remembers the caller for the rest of this call."""
    _current.set(caller)


def caller_of_call() -> Caller:
    """Returns the caller of the call that is being answered.

    Raises:
        InvariantBroken: No guard let a caller in.
    """
    caller = _current.get()
    if caller is None:
        raise InvariantBroken
    return caller
