"""Reading a sealed PDF that a stranger handed in: its one seal, and what is attached.

pyHanko checks the signature; what it lets pass is refused here and in `pdf_form`: bytes beside the
signed ranges, a second signature or none, actions, what unpacks to more than its due.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

from asn1crypto import pem
from asn1crypto import x509 as asn1
from pyhanko.pdf_utils.generic import Dereferenceable
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import MDPPerm
from pyhanko.sign.general import CMSExtractionError, CMSStructuralError
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from auditor.certificates.pdf_form import require_our_form
from auditor.errors import InvalidCertificateError

if TYPE_CHECKING:
    from pyhanko.sign.validation import EmbeddedPdfSignature

LARGEST_FILE = 16 << 20
LARGEST_ATTACHMENT = 4 << 20

_ENDING = (b"%%EOF", b"%%EOF\n", b"%%EOF\r\n")
_PADES = "/ETSI.CAdES.detached"  # ETSI EN 319 142-1 section 5.2
_DEEPEST_NAME_TREE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedPdf:
    """What a sealed PDF holds, its form checked, its seal not yet."""

    attachments: Mapping[str, bytes]
    signature: EmbeddedPdfSignature


def read_sealed_pdf(pdf: bytes) -> SealedPdf:
    """Open a PDF that carries exactly one seal over all its bytes.

    Raises:
        InvalidCertificateError: too large, not a PDF, none or several signatures, bytes that the
            signature doesn't cover, active content, or an attachment out of bounds.
    """
    if len(pdf) > LARGEST_FILE:
        raise InvalidCertificateError(f"the file is larger than {LARGEST_FILE >> 20} MiB")
    if not pdf.startswith(b"%PDF-") or not pdf.endswith(_ENDING):
        raise InvalidCertificateError("this is no PDF, or something was added to it or cut off")
    try:
        require_our_form(pdf)
        reader = PdfFileReader(BytesIO(pdf), strict=True)
        signatures = list(reader.embedded_signatures)
        _require_one_seal(pdf, signatures)
        attachments = dict(_attachments(reader.root))
    except InvalidCertificateError:
        raise
    except (PdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, zlib.error):
        raise InvalidCertificateError("the PDF can't be read; it is damaged") from None
    except RecursionError:
        raise InvalidCertificateError("the PDF is nested too deep") from None
    return SealedPdf(attachments=attachments, signature=signatures[0])


def verify_seal(signature: EmbeddedPdfSignature, roots: Sequence[str], now: datetime) -> str:
    """Check the seal against trusted roots, offline.

    Args:
        roots: PEM certificates.
        now: when the chain must be valid; without trusted time there is no other moment.

    Returns:
        Whom the seal names.

    Raises:
        InvalidCertificateError: changed bytes, another authority, an expired or unfit certificate.
    """
    trusted = [asn1.Certificate.load(pem.unarmor(root.encode("ascii"))[2]) for root in roots]
    context = ValidationContext(trust_roots=trusted, allow_fetching=False, moment=now)
    try:
        status = validate_pdf_signature(signature, signer_validation_context=context)
    except (
        SignatureValidationError,
        CMSExtractionError,
        CMSStructuralError,
        PdfError,
        ValueError,
    ):
        raise InvalidCertificateError("the seal can't be read") from None
    if not (status.intact and status.valid):
        raise InvalidCertificateError("the seal is broken: the file was changed after sealing")
    if status.coverage is not SignatureCoverageLevel.ENTIRE_FILE or not status.docmdp_ok:
        raise InvalidCertificateError("the seal doesn't cover the whole file")
    if not status.trusted:
        raise InvalidCertificateError("the seal's certificate doesn't lead to a trusted root")
    return str(status.signing_cert.subject.human_friendly)


def _require_one_seal(pdf: bytes, signatures: Sequence[EmbeddedPdfSignature]) -> None:
    if len(signatures) != 1:
        raise InvalidCertificateError(
            "the PDF carries no seal" if not signatures else "the PDF carries more than one seal"
        )
    (signature,) = signatures
    start, before, after, rest = (int(number) for number in signature.byte_range)
    hole = pdf[before:after]
    if start != 0 or after + rest != len(pdf) or not (hole[:1] == b"<" and hole[-1:] == b">"):
        raise InvalidCertificateError("the seal doesn't cover the whole file")
    if signature.sig_object.get("/SubFilter") != _PADES:
        raise InvalidCertificateError("the seal is not a PAdES signature")
    if signature.docmdp_level is not MDPPerm.NO_CHANGES:
        raise InvalidCertificateError("the seal is not a certification that forbids changes")


def _attachments(root: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    for name, specification in _names(root["/Names"]["/EmbeddedFiles"], 0):
        if name in seen:
            raise InvalidCertificateError("two attachments have one name")
        seen.add(name)
        yield name, _content(specification["/EF"]["/F"])


def _names(node: Mapping[str, Any], depth: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Leaves of a name tree (ISO 32000-2 section 7.9.6)."""
    if depth > _DEEPEST_NAME_TREE:
        raise InvalidCertificateError("the PDF is nested too deep")
    for child in node.get("/Kids", ()):
        yield from _names(_resolved(child), depth + 1)
    entries = node.get("/Names", ())
    for position in range(0, len(entries), 2):
        yield str(entries[position]), _resolved(entries[position + 1])


def _content(stream: Any) -> bytes:
    """Unpack an embedded file, but no further than an attachment may be long."""
    stream = _resolved(stream)
    if stream.get("/Filter", "/FlateDecode") not in ("/FlateDecode", ["/FlateDecode"]):
        raise InvalidCertificateError("an attachment is packed in an unknown way")
    packed = stream.encoded_data
    if "/Filter" not in stream:
        content, left = packed, b""
    else:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(packed, LARGEST_ATTACHMENT + 1)
        left = unpacker.unconsumed_tail
    if left or len(content) > LARGEST_ATTACHMENT:
        raise InvalidCertificateError("an attachment is larger than any that is ever issued")
    return bytes(content)


def _resolved(item: Any) -> Any:
    return item.get_object() if isinstance(item, Dereferenceable) else item
