"""The two certificate authorities of a gateway, and what they issue.

One authority issues the server's certificate and those of billing callers; another
issues operators' certificates, so that no billing caller can ever become an operator.
A caller is named by exactly one SPIFFE id, a URI in its certificate.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFETIME: Final = timedelta(days=3650)
CERTIFICATE_LIFETIME: Final = timedelta(days=365)
# Clocks differ a little; a certificate made just now is valid everywhere.
_BACKDATED: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key, as PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "Issued(****)"


class Authority:
    """Issues certificates of one kind."""

    def __init__(
        self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def create(cls, name: str, now: datetime) -> Self:
        """Makes a new self-signed authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(subject, subject, key.public_key(), now, AUTHORITY_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def load(cls, certificate: bytes, key: bytes) -> Self:
        """Returns an authority from PEM.

        Raises:
            ValueError: Not PEM.
            TypeError: Not a key of this kind.
        """
        private = load_pem_private_key(key, None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise TypeError("the authority's key is not an elliptic-curve key")
        return cls(x509.load_pem_x509_certificate(certificate), private)

    @property
    def pem(self) -> Issued:
        """The authority itself, as PEM."""
        return Issued(self._certificate.public_bytes(Encoding.PEM), _key_pem(self._key))

    def issue_server(self, hosts: Sequence[str], now: datetime) -> Issued:
        """Issues the server's certificate for DNS names and IP addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [_host_name(host) for host in hosts]
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        certificate = self._sign(hosts[0], names, usage, key.public_key(), now)
        return Issued(certificate, _key_pem(key))

    def issue_caller(self, spiffe_id: str, now: datetime) -> Issued:
        """Issues a caller's certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        return Issued(
            self._sign_caller(spiffe_id, key.public_key(), now), _key_pem(key)
        )

    def sign_caller(
        self, spiffe_id: str, signing_request: bytes, now: datetime
    ) -> bytes:
        """Issues a caller's certificate for the key of a PKCS #10 request, as PEM.

        What the request asks for beside its key is ignored.

        Raises:
            ValueError: Not a request, or its signature is wrong.
            TypeError: Its key is not one of the curve P-256.
        """
        request = x509.load_pem_x509_csr(signing_request)
        key = request.public_key()
        if not request.is_signature_valid:
            raise ValueError("the signature of the request is wrong")
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(
            key.curve, ec.SECP256R1
        ):
            raise TypeError("the key of the request is not one of the curve P-256")
        return self._sign_caller(spiffe_id, key, now)

    def _sign_caller(
        self, spiffe_id: str, key: ec.EllipticCurvePublicKey, now: datetime
    ) -> bytes:
        """Signs a certificate that names the SPIFFE id and nothing else."""
        names = [x509.UniformResourceIdentifier(spiffe_id)]
        common = spiffe_id.rsplit("/", 1)[-1]
        usage = ExtendedKeyUsageOID.CLIENT_AUTH
        return self._sign(common, names, usage, key, now)

    def _sign(
        self,
        common: str,
        names: Sequence[x509.GeneralName],
        usage: x509.ObjectIdentifier,
        key: ec.EllipticCurvePublicKey,
        now: datetime,
    ) -> bytes:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        issuer = self._certificate.subject
        certificate = (
            _builder(subject, issuer, key, now, CERTIFICATE_LIFETIME)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)  # noqa: FBT003
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM)


def new_signing_request(name: str) -> Issued:
    """Returns a PKCS #10 request (as ``certificate``) for a new key, and the key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .sign(key, hashes.SHA256())
    )
    return Issued(request.public_bytes(Encoding.PEM), _key_pem(key))


def spiffe_id_of(certificate: bytes) -> str:
    """Returns the SPIFFE id that a PEM certificate names.

    Raises:
        ValueError: It names none, or several.
    """
    found = x509.load_pem_x509_certificate(certificate)
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        raise ValueError("the certificate names nobody") from None
    [name] = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    return name


def expires_at(certificate: bytes) -> datetime:
    """Returns when a PEM certificate ends."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
