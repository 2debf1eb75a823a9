"""The PDF seal: one invisible PAdES certification signature over the whole file.

Level B-B (ETSI EN 319 142-1): CMS with the signing certificate bound in, ECDSA P-256, SHA-256, and
DocMDP "no changes". `make_test_seal` gives a home its first seal from an authority of its own, so
no PDF reader trusts it by itself; a hospital puts its own certificate in its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from auditor.errors import CertificateError

if TYPE_CHECKING:
    from pyhanko.sign.signers import SimpleSigner

FIELD = "Seal"
LEVEL = "B-B"

_YEARS = 10
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
class Seal:
    """A key, its certificate and the certificates between it and the root."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
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


def load_seal(pem: bytes) -> Seal:
    """Read a seal: a PKCS#8 key, its certificate, then any certificates between it and the root.

    Raises:
        CertificateError: not such a file, not an ECDSA P-256 key, or the two don't belong together.
    """
    try:
        key = load_pem_private_key(pem, None)
        certificate, *others = x509.load_pem_x509_certificates(pem)
    except (ValueError, TypeError):
        raise CertificateError("the seal can't be read; expected a key and certificates") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise CertificateError("the seal's key isn't ECDSA P-256")
    if certificate.public_key() != key.public_key():
        raise CertificateError("the seal's certificate belongs to another key")
    return Seal(key=key, certificate=certificate, others=tuple(others))


def seal_pdf(pdf: bytes, seal: Seal) -> bytes:
    """The PDF with its one signature; nothing may be added after it."""
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.pdf_utils.writer import BasePdfFileWriter
    from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter
    from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner
    from pyhanko.sign.signers.constants import ESIC_EXTENSION_1

    class ArchivalSigner(PdfSigner):
        """Stays at PDF 1.7, on which PDF/A-3 is built, where pyHanko would go to 2.0 for ECDSA."""

        def register_extensions(self, pdf_out: BasePdfFileWriter, *, md_algorithm: str) -> None:
            pdf_out.register_extension(ESIC_EXTENSION_1)

    metadata = PdfSignatureMetadata(
        field_name=FIELD,
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=MDPPerm.NO_CHANGES,
    )
    sealed = BytesIO()
    ArchivalSigner(metadata, signer=_signer(seal)).sign_pdf(
        IncrementalPdfFileWriter(BytesIO(pdf)), output=sealed
    )
    return sealed.getvalue()


def _signer(seal: Seal) -> SimpleSigner:
    from asn1crypto import keys
    from asn1crypto import x509 as asn1
    from pyhanko.sign.signers import SimpleSigner
    from pyhanko_certvalidator.registry import SimpleCertificateStore

    private = seal.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    certificates = SimpleCertificateStore()  # type: ignore[no-untyped-call]  # half typed
    certificates.register_multiple(
        asn1.Certificate.load(item.public_bytes(Encoding.DER)) for item in seal.others
    )
    return SimpleSigner(
        signing_cert=asn1.Certificate.load(seal.certificate.public_bytes(Encoding.DER)),
        signing_key=keys.PrivateKeyInfo.load(private),
        cert_registry=certificates,
    )


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
