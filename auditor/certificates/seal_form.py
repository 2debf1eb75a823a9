"""The one form that a seal's signature object has, so that nobody makes another file under it.

No signature covers a CMS object as a whole: algorithms may be written in several ways, attributes
may stand beside it, and of an ECDSA signature (r, s) anybody makes (r, n - s), which holds as well.
Each would be another file under the same seal, of which no status and no proof of issue speaks. So
the object has to be what the sealer writes around what is signed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asn1crypto import algos, cms
from asn1crypto import x509 as asn1

from auditor.errors import InvalidCertificateError

if TYPE_CHECKING:
    from pyhanko.sign.validation import EmbeddedPdfSignature

STRICT = "strict"
"""What a seal's build properties, which it covers, name where s is the lower one of the two and no
certificate stands in it twice. Older seals have no such properties: they stay good, as do twins of
them in which just these were changed.
"""

_DIGEST, _STAMP = "sha256", "signature_time_stamp_token"
_MECHANISMS = {"ec": "sha256_ecdsa", "rsa": "sha256_rsa"}
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256's group


def lowered(signature: bytes) -> bytes:
    """The ECDSA P-256 signature with the lower of its two s."""
    r, s = (algos.DSASignature.load(signature)[name].native for name in ("r", "s"))
    return bytes(algos.DSASignature({"r": r, "s": min(s, _ORDER - s)}).dump())


def require_our_seal(seal: EmbeddedPdfSignature, certificate: asn1.Certificate) -> None:
    """See that the seal's object is what the sealer writes (RFC 5652 sections 5.1 and 5.3).

    Raises:
        InvalidCertificateError: it isn't.
    """
    kind, signature = certificate.public_key.algorithm, seal.signer_info["signature"].native
    strict = "/Prop_Build" in seal.sig_object
    higher = kind == "ec" and lowered(signature) != signature
    written = _written(seal, certificate, _MECHANISMS[kind], strict=strict)
    if (strict and higher) or not seal.pkcs7_content.startswith(written):  # behind it are zeros
        raise InvalidCertificateError("something was changed beside the seal's own signature")


def _written(
    seal: EmbeddedPdfSignature, certificate: asn1.Certificate, mechanism: str, *, strict: bool
) -> bytes:
    signer, digest = seal.signer_info, algos.DigestAlgorithm({"algorithm": _DIGEST})
    named = cms.IssuerAndSerialNumber(
        {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
    )
    info = {
        "version": "v1",
        "sid": cms.SignerIdentifier({"issuer_and_serial_number": named}),
        "digest_algorithm": digest,
        "signed_attrs": signer["signed_attrs"],
        "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": mechanism}),
        "signature": signer["signature"].native,
    }
    stamps = [each for each in signer["unsigned_attrs"] or () if each["type"].native == _STAMP]
    if stamps:
        info["unsigned_attrs"] = cms.CMSAttributes(
            [cms.CMSAttribute({"type": _STAMP, "values": stamps[0]["values"]})]
        )
    certificates = list(seal.signed_data["certificates"])
    if strict:
        certificates = list({each.chosen.dump(): each for each in certificates}.values())
    content = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [digest],
            "encap_content_info": {"content_type": "data"},
            "certificates": certificates,
            "signer_infos": [cms.SignerInfo(info)],
        }
    )
    return bytes(cms.ContentInfo({"content_type": "signed_data", "content": content}).dump())
