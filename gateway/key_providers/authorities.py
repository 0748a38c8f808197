"""The gateway's certificate authorities as files beside it.

An authority's key may be taken away (to a safe, or to a machine of its own): the
gateway then serves as before, and issues nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.errors import KeyUnavailable, RequestInvalid
from gateway.key_providers.certificates import Authority, expires_at
from gateway.merchants.ports import IssuedCertificate
from gateway.words.callers import is_operator_id


@dataclass(frozen=True, slots=True)
class AuthorityFiles:
    """Where an authority is."""

    certificate: Path
    key: Path


class FileAuthorities:
    """See CertificateIssuer. Operators have an authority of their own."""

    def __init__(self, *, billing: AuthorityFiles, operators: AuthorityFiles) -> None:
        self._billing = billing
        self._operators = operators

    def issue(
        self, spiffe_id: str, signing_request: bytes, now: datetime
    ) -> IssuedCertificate:
        """See CertificateIssuer.issue."""
        files = self._operators if is_operator_id(spiffe_id) else self._billing
        try:
            authority = Authority.load(
                files.certificate.read_bytes(), files.key.read_bytes()
            )
        except (OSError, ValueError, TypeError) as error:
            missing = {"authority": f"{files.key.name} cannot be read"}
            raise KeyUnavailable(metadata=missing) from error
        try:
            made = authority.sign_caller(spiffe_id, signing_request, now)
        except (ValueError, TypeError) as error:
            raise RequestInvalid(
                "signing_request", "is not a PKCS #10 request of a P-256 key, as PEM"
            ) from error
        return IssuedCertificate(made, expires_at(made))

    @property
    def server_authority(self) -> bytes:
        """See CertificateIssuer.server_authority."""
        try:
            return self._billing.certificate.read_bytes()
        except OSError as error:
            missing = {"authority": f"{self._billing.certificate.name} cannot be read"}
            raise KeyUnavailable(metadata=missing) from error
