"""The server's certificate, and the authority of its callers, as files that change.

Invariants:
  * Every handshake uses the newest complete set of files: a renewed certificate needs
    no restart.
  * A set that does not fit together (a new certificate beside the old key, a file half
    written) is not used; the last good one goes on, and the log says so.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

_log: Final = logging.getLogger(__name__)


class TlsFilesUnusable(RuntimeError):
    """A certificate or key cannot be used; the text names the file."""


@dataclass(frozen=True, slots=True)
class TlsExpiry:
    """When the certificates that are on disk end."""

    certificate: datetime
    client_ca: datetime


class TlsFiles:
    """Reads the files again when one of them changed."""

    def __init__(self, *, certificate: Path, key: Path, client_ca: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._seen: object = None

    def read(self) -> grpc.ServerCertificateConfiguration:
        """Returns the files as gRPC wants them.

        Raises:
            TlsFilesUnusable: One is missing, is no PEM, or the key is another's.
        """
        self._seen = self._state()
        certificate, key, client_ca = self._read_all()
        return grpc.ssl_server_certificate_configuration(
            [(key, certificate)], root_certificates=client_ca
        )

    def examine(self) -> TlsExpiry:
        """Returns when the certificates on disk end; changes nothing.

        Raises:
            TlsFilesUnusable: They could not be used by the next handshake.
        """
        self._read_all()
        return TlsExpiry(_ends(self._certificate), _ends(self._client_ca))

    def credentials(self) -> grpc.ServerCredentials:
        """Returns credentials that demand a client certificate of the authority.

        Raises:
            TlsFilesUnusable: A file is missing or does not fit.
        """
        return grpc.dynamic_ssl_server_credentials(
            self.read(),
            self.read_if_changed,  # type: ignore[arg-type] # None means unchanged
            require_client_authentication=True,
        )

    def read_if_changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Returns the files if they changed and fit together; gRPC keeps the old else.

        Runs in gRPC's own thread before each handshake, so it must not raise and costs
        three looks at file times.
        """
        if self._state() == self._seen:
            return None
        try:
            changed = self.read()
        except TlsFilesUnusable as error:
            _log.error("certificate files unusable", extra={"problem": str(error)})
            return None
        _log.info("certificate files read again")
        return changed

    def _read_all(self) -> tuple[bytes, bytes, bytes]:
        certificate, key, client_ca = (
            _read(path) for path in (self._certificate, self._key, self._client_ca)
        )
        _check_pair(self._certificate, certificate, self._key, key)
        _check_authority(self._client_ca, client_ca)
        return certificate, key, client_ca

    def _state(self) -> object:
        """Returns what changes when a file is written or replaced."""
        return [
            _times(path) for path in (self._certificate, self._key, self._client_ca)
        ]


def mutual_tls(certificate: Path, key: Path, client_ca: Path) -> grpc.ServerCredentials:
    """Returns credentials that demand a client certificate of this authority.

    Raises:
        TlsFilesUnusable: A file is missing or does not fit.
    """
    files = TlsFiles(certificate=certificate, key=key, client_ca=client_ca)
    return files.credentials()


def _times(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsFilesUnusable(f"{path} cannot be read: {error.strerror}") from error


def _check_pair(
    certificate_path: Path, certificate: bytes, key_path: Path, key: bytes
) -> None:
    try:
        ours = load_pem_private_key(key, None).public_key()
    except (ValueError, TypeError) as error:
        raise TlsFilesUnusable(f"{key_path} is not an unencrypted PEM key") from error
    try:
        named = x509.load_pem_x509_certificates(certificate)[0].public_key()
    except ValueError as error:
        raise TlsFilesUnusable(
            f"{certificate_path} is not a PEM certificate"
        ) from error
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if ours.public_bytes(*spki) != named.public_bytes(*spki):
        raise TlsFilesUnusable(f"{key_path} is not the key of {certificate_path}")


def _check_authority(path: Path, pem: bytes) -> None:
    try:
        x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise TlsFilesUnusable(f"{path} is not a PEM certificate") from error


def _ends(path: Path) -> datetime:
    """Returns when the first certificate of a file ends; the others stand behind it."""
    try:
        first, *_ = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TlsFilesUnusable(f"{path} is not a PEM certificate") from error
    return first.not_valid_after_utc
