"""Authorities for seals and time stamps, with their lists of revoked certificates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from auditor.certificates.seal import Seal, load_seal
from auditor.certificates.sealing import TrustedTime
from tests.tsa import Authority, Issuer, authority

DAY = timedelta(days=1)
_SEALS = x509.KeyUsage(
    digital_signature=True,
    content_commitment=True,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
_AUTHORITY = ((x509.BasicConstraints(ca=True, path_length=None), True),)


@dataclass(frozen=True, kw_only=True)
class Sealer:
    """A seal, the authority that vouches for it, and one that stamps.

    ``root_pem`` and ``tsa.root_pem`` are what a verifier trusts.
    """

    issuer: Issuer
    root_pem: str
    pem: bytes
    tsa: Authority

    @property
    def seal(self) -> Seal:
        """The seal, read."""
        return load_seal(self.pem)

    def trusted(self, level: str, *, serials: tuple[int, ...] = ()) -> TrustedTime:
        """What a level needs; ``serials`` are revoked by the seal's authority."""
        lists = (revoked(self.issuer, serials), revoked(self.tsa.issuer, ()))
        return TrustedTime(
            level=level,
            ask=self.tsa.answer,
            roots=(self.root_pem, self.tsa.root_pem),
            revoked=lists if level in ("B-LT", "B-LTA") else (),
        )


def sealer(folder: Path, *, until: datetime | None = None, kind: str = "ec") -> Sealer:
    """Found them; the seal's certificate ends at ``until``, all others in nine days."""
    now = datetime.now(UTC).replace(microsecond=0)
    key = ec.generate_private_key(ec.SECP256R1())
    root = Issuer(name="Seal root", key=key, until=now + 9 * DAY)
    root_certificate = root.certificate(root.name, key.public_key(), *_AUTHORITY, serial=1)
    own: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if kind == "ec":
        own = ec.generate_private_key(ec.SECP256R1())
    else:
        own = rsa.generate_private_key(65537, int(kind))
    issuer = replace(root, until=until or now + 9 * DAY)
    certificate = issuer.certificate("Seal", own.public_key(), (_SEALS, True), serial=42)
    private = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Sealer(
        issuer=root,
        root_pem=root_certificate.public_bytes(Encoding.PEM).decode(),
        pem=private + certificate.public_bytes(Encoding.PEM),
        tsa=authority(folder / "tsa", until=now + 9 * DAY),
    )


def revoked(issuer: Issuer, serials: tuple[int, ...]) -> str:
    """The issuer's list of revoked certificates (PEM), good for a week."""
    now = datetime.now(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer.name)]))
        .last_update(now - DAY)
        .next_update(now + 7 * DAY)
    )
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial)
        builder = builder.add_revoked_certificate(entry.revocation_date(now - DAY / 2).build())
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
