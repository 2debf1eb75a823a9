"""The seal that documents carry: its key and its certificates.

`make_test_seal` gives a home its first seal from an authority of its own, so no PDF reader trusts
it by itself; a hospital puts its own in its place, with the key in a file or on a PKCS#11 token.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from auditor.errors import CertificateError

_YEARS = 10
_SMALLEST_RSA = 3072
_LONGEST_NAME = 64  # RFC 5280 appendix A: ub-common-name, ub-organization-name
_KEY_USAGE = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSeal:
    """A seal just made: what the home keeps, and the root that verifiers need."""

    private_pem: bytes = field(repr=False)
    root_pem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SealToken:
    """Where a key lies that never leaves its PKCS#11 token.

    Attributes:
        module: the token's PKCS#11 library.
        token: label of the token.
        pin: of its user.
        label: of the private key.
    """

    module: Path
    token: str
    pin: str = field(repr=False)
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A key (PKCS#8, DER, or a token), its certificate and those between it and the root."""

    key: bytes | SealToken = field(repr=False)
    certificate: x509.Certificate
    others: tuple[x509.Certificate, ...] = ()


def make_test_seal(controller: str, moment: datetime) -> NewSeal:
    """A seal in the controller's name from a local test authority, whose key is thrown away."""
    until = moment + timedelta(days=365 * _YEARS)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "auditor local test authority")])
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, controller[:_LONGEST_NAME]),
            x509.NameAttribute(NameOID.COMMON_NAME, "Seal of unlearning certificates"),
        ]
    )
    root = (
        _builder(root_name, root_name, root_key, moment, until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    certificate = (
        _builder(name, root_name, key, moment, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature", "content_commitment"), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()),
            critical=False,
        )
        .sign(root_key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return NewSeal(
        private_pem=private + certificate.public_bytes(Encoding.PEM),
        root_pem=root.public_bytes(Encoding.PEM).decode("ascii"),
    )


def load_seal(content: bytes) -> Seal:
    """Read a seal: a PKCS#8 key, its certificate, then any certificates between it and the root.

    Raises:
        CertificateError: not such a file, a key that isn't fit, or the two don't belong together.
    """
    try:
        key = load_pem_private_key(content, None)
        certificate, *others = x509.load_pem_x509_certificates(content)
    except (ValueError, TypeError):
        raise CertificateError("the seal can't be read; expected a key and certificates") from None
    _require_fit(key.public_key())
    if certificate.public_key() != key.public_key():
        raise CertificateError("the seal's certificate belongs to another key")
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return Seal(key=private, certificate=certificate, others=tuple(others))


def load_token_seal(content: bytes, token: SealToken) -> Seal:
    """A seal whose key lies on a PKCS#11 token; the file holds certificates only.

    Raises:
        CertificateError: not such a file, or a key that isn't fit.
    """
    try:
        certificate, *others = x509.load_pem_x509_certificates(content)
    except ValueError:
        raise CertificateError("the seal's certificates can't be read; expected PEM") from None
    _require_fit(certificate.public_key())
    return Seal(key=token, certificate=certificate, others=tuple(others))


def _require_fit(public: object) -> None:
    """ECDSA P-256 or RSA from 3072 bits up, the kinds that PDF readers know."""
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == "secp256r1":
        return
    if isinstance(public, rsa.RSAPublicKey) and public.key_size >= _SMALLEST_RSA:
        return
    raise CertificateError(f"the seal's key is neither ECDSA P-256 nor RSA {_SMALLEST_RSA}")


def _builder(
    name: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    moment: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - timedelta(minutes=5))
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{**_KEY_USAGE, **dict.fromkeys(names, True)})
