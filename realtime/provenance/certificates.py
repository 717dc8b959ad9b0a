"""X.509 certificates and ES256 signatures (ECDSA on P-256 with SHA-256, FIPS 186-5).

The profile is that of the C2PA specification, 14.5: version 3, digital signatures only, an
extended key usage. Names in the certificates are random, as they travel with each file.
"""

import secrets
import warnings
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AUTHORITY_LIFE = timedelta(days=3650)
_SIGNER_LIFE = timedelta(days=365)
_BACKDATED = timedelta(hours=1)
"""Clocks differ; a certificate that is not valid yet on the reader's would be refused."""

_FAULTS = (InvalidSignature, UnsupportedAlgorithm, x509.InvalidVersion, ValueError, TypeError)
"""What a chain that is damaged or made up is met with."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A new certificate with its private key.

    Attributes:
        certificate_pem, key_pem: in PEM; the key in PKCS #8, not encrypted.
        ends: when the certificate stops being valid.
    """

    certificate_pem: bytes
    key_pem: bytes
    ends: datetime


def issue_authority(now: datetime) -> Issued:
    """A certificate authority that vouches for itself, for ten years."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _random_name("authority")
    usage = _key_usage(signs_certificates=True)
    builder = (
        _builder(name, name, key.public_key(), now, _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return _issued(builder.sign(key, hashes.SHA256()), key)


def issue_signer(authority_pem: bytes, authority_key_pem: bytes, now: datetime) -> Issued:
    """A certificate for signing content, for a year.

    Args:
        authority_pem, authority_key_pem: who issues it.
        now: when its life begins.
    """
    authority = x509.load_pem_x509_certificate(authority_pem)
    authority_key = serialization.load_pem_private_key(authority_key_pem, None)
    if not isinstance(authority_key, ec.EllipticCurvePrivateKey):
        raise TypeError("certificates: the authority's key must be of an elliptic curve.")
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    email = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    builder = (
        _builder(_random_name("signer"), authority.subject, key.public_key(), now, _SIGNER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(email, critical=False)
        .add_extension(issuer_key, critical=False)
    )
    return _issued(builder.sign(authority_key, hashes.SHA256()), key)


def sign(key_pem: bytes, data: bytes) -> bytes:
    """The ES256 signature of some data, in DER."""
    key = serialization.load_pem_private_key(key_pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("certificates: the signing key must be of an elliptic curve.")
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def verify(chain_pem: bytes, data: bytes, signature: bytes) -> bytes | None:
    """Checks a signature and that the second certificate of the chain issued the first.

    Returns:
        The authority's certificate in PEM, or None where anything is wrong.
    """
    try:
        with warnings.catch_warnings():
            # What a stranger's certificate has that will be refused one day is nobody's concern.
            warnings.simplefilter("ignore")
            signer, authority = x509.load_pem_x509_certificates(chain_pem)
            signer.verify_directly_issued_by(authority)
            key = signer.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return None
        key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
    except _FAULTS:
        return None
    return authority.public_bytes(serialization.Encoding.PEM)


def _random_name(role: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "rt-swap installation"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{role} {secrets.token_hex(4)}"),
        ]
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _issued(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    return Issued(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        certificate.not_valid_after_utc,
    )
