"""IssueCertificate: a certificate for a caller's key, which stays with the caller.

It is not remembered: asked again, another certificate of the same key is issued, and
another entry says so.
"""

from dataclasses import dataclass
from typing import Final

from gateway.audit.entry import EntryType
from gateway.errors import CallerNotFound, StateConflict
from gateway.merchants.changes import ChangeCommand, entry_of
from gateway.merchants.ports import CertificateIssuer, ControlUnit, IssuedCertificate
from gateway.unit_of_work import Storage
from gateway.words.clock import Clock
from gateway.words.identifiers import GATEWAY

RPC: Final = "IssueCertificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueCertificateCommand(ChangeCommand):
    """Whose key is to be signed."""

    spiffe_id: str
    signing_request: bytes


class IssueCertificate:
    """Issues certificates to enabled callers."""

    def __init__(
        self,
        *,
        storage: Storage[ControlUnit],
        issuer: CertificateIssuer,
        clock: Clock,
    ) -> None:
        self._storage = storage
        self._issuer = issuer
        self._clock = clock

    async def execute(self, command: IssueCertificateCommand) -> IssuedCertificate:
        """Returns the certificate, once the log says that it was issued.

        Raises:
            CallerNotFound: There is no such caller.
            StateConflict: It is disabled.
            RequestInvalid: Not a PKCS #10 request.
            KeyUnavailable: The authority's key is not here.
        """
        known = await self._storage.read(
            GATEWAY, lambda unit: unit.callers.find(command.spiffe_id)
        )
        if known is None:
            raise CallerNotFound
        if not known.is_enabled:
            raise StateConflict(metadata={"caller": "is disabled; enable it first"})
        now = self._clock.now()
        issued = self._issuer.issue(command.spiffe_id, command.signing_request, now)
        entry = entry_of(
            EntryType.CERTIFICATE_ISSUED, command, now, subject=command.spiffe_id
        )
        await self._storage.commit(GATEWAY, lambda unit: unit.log.append(entry))
        return issued
