"""Reading a sealed PDF that a stranger handed in: its one seal, and what is attached.

pyHanko checks the signature; what it lets pass is refused here and in `pdf_form`: bytes beside the
signed ranges, a second signature or none, actions, what unpacks to more than its due. It is loaded
only for a file of our form.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from auditor.certificates.pdf_form import require_our_form
from auditor.errors import InvalidCertificateError

if TYPE_CHECKING:
    from pyhanko.sign.validation import EmbeddedPdfSignature

LARGEST_FILE = 16 << 20
LARGEST_ATTACHMENT = 4 << 20

_ENDING = (b"%%EOF", b"%%EOF\n", b"%%EOF\r\n")
_PADES = "/ETSI.CAdES.detached"  # ETSI EN 319 142-1 section 5.2
_DEEPEST_NAME_TREE = 4
_MOST_NODES = 32  # of that tree; ours has one


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the file keeps to check its seal by later: certificates, and lists of revoked ones."""

    certificates: tuple[bytes, ...]
    revoked: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedPdf:
    """What a sealed PDF holds, its form checked, its seal not yet.

    Attributes:
        attachments: by name.
        signature: the seal.
        stamp: the time stamp over the whole file, where there is one.
        evidence: what is kept to check both by, where there is any.
    """

    attachments: Mapping[str, bytes]
    signature: EmbeddedPdfSignature
    stamp: EmbeddedPdfSignature | None = None
    evidence: Evidence | None = None


def read_sealed_pdf(pdf: bytes) -> SealedPdf:
    """Open a PDF that carries exactly one seal over all its bytes but those of one time stamp.

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
    except (ValueError, KeyError, TypeError, IndexError, zlib.error):
        raise _damaged() from None
    from pyhanko.pdf_utils.misc import PdfError
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.general import CMSExtractionError, CMSStructuralError

    try:
        reader = PdfFileReader(BytesIO(pdf), strict=True)
        seals = list(reader.embedded_regular_signatures)
        stamp = _stamp(pdf, list(reader.embedded_timestamp_signatures))
        end = len(pdf) if stamp is None else _covered(pdf, seals[0]) if seals else 0
        _require_one_seal(pdf, seals, end)
        attachments = dict(_attachments(reader.root))
        evidence = _evidence(reader.root)
    except InvalidCertificateError:
        raise
    except (
        *(PdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, zlib.error),
        *(CMSExtractionError, CMSStructuralError),
    ):
        raise _damaged() from None
    except RecursionError:
        raise InvalidCertificateError("the PDF is nested too deep") from None
    return SealedPdf(attachments=attachments, signature=seals[0], stamp=stamp, evidence=evidence)


def _require_one_seal(pdf: bytes, seals: Sequence[EmbeddedPdfSignature], end: int) -> None:
    """Exactly one seal, over all bytes up to ``end``: those of the file, or of its revision."""
    from pyhanko.sign.fields import MDPPerm

    if len(seals) != 1:
        raise InvalidCertificateError(
            "the PDF carries no seal" if not seals else "the PDF carries more than one seal"
        )
    (seal,) = seals
    if _covered(pdf, seal) != end or not pdf[:end].endswith(_ENDING):
        raise InvalidCertificateError("the seal doesn't cover the whole file")
    if seal.sig_object.get("/SubFilter") != _PADES:
        raise InvalidCertificateError("the seal is not a PAdES signature")
    if seal.docmdp_level is not MDPPerm.NO_CHANGES:
        raise InvalidCertificateError("the seal is not a certification that forbids changes")


def _stamp(pdf: bytes, stamps: Sequence[EmbeddedPdfSignature]) -> EmbeddedPdfSignature | None:
    """The time stamp over the whole file, where there is one."""
    if not stamps:
        return None
    if len(stamps) > 1 or _covered(pdf, stamps[0]) != len(pdf):
        raise InvalidCertificateError("the PDF's time stamp doesn't cover the whole file")
    return stamps[0]


def _covered(pdf: bytes, signature: EmbeddedPdfSignature) -> int:
    """Up to where a signature covers the file, from its start on; 0 where it leaves a gap.

    Nothing covers the hole that holds the signature itself, and a twin of the file with another
    filling would be a file of which no status speaks.

    Raises:
        InvalidCertificateError: the hole isn't filled in the one way that it is here.
    """
    start, before, after, rest = (int(number) for number in signature.byte_range)
    hole = pdf[before:after]
    if start != 0 or hole[:1] != b"<" or hole[-1:] != b">":
        return 0
    if not _is_filled(hole[1:-1]):
        raise InvalidCertificateError("something was changed beside the seal's own signature")
    return after + rest


def _is_filled(digits: bytes) -> bool:
    """Hex digits in one case: one object in DER (X.690 section 10.1) and zeros."""
    filling = bytes.fromhex(digits.decode("ascii"))
    if digits not in (filling.hex().encode(), filling.hex().upper().encode()):
        return False
    long = filling[1] & 0x7F if filling[1] & 0x80 else 0
    length = int.from_bytes(filling[2 : 2 + long], "big") if long else filling[1]
    shortest = (length.bit_length() + 7) // 8 if length > 0x7F else 0
    return long == shortest and not any(filling[2 + long + length :])


def _evidence(root: Mapping[str, Any]) -> Evidence | None:
    """The document security store (ETSI EN 319 142-1 section 5.4)."""
    if "/DSS" not in root:
        return None
    store = root["/DSS"]
    return Evidence(
        certificates=tuple(_content(item) for item in store.get("/Certs", ())),
        revoked=tuple(_content(item) for item in store.get("/CRLs", ())),
    )


def _attachments(root: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    for name, specification in _names(
        root["/Names"]["/EmbeddedFiles"], 0, iter(range(_MOST_NODES))
    ):
        if name in seen:
            raise InvalidCertificateError("two attachments have one name")
        seen.add(name)
        yield name, _content(specification["/EF"]["/F"])


def _names(
    node: Mapping[str, Any], depth: int, nodes: Iterator[int]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Leaves of a name tree (ISO 32000-2 section 7.9.6).

    A node may be named more than once, and each time it is gone through anew: so ``nodes`` are as
    many as may be.
    """
    if depth > _DEEPEST_NAME_TREE:
        raise InvalidCertificateError("the PDF is nested too deep")
    if next(nodes, None) is None:
        raise InvalidCertificateError("the PDF's list of attachments is too long")
    for child in node.get("/Kids", ()):
        yield from _names(_resolved(child), depth + 1, nodes)
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
    from pyhanko.pdf_utils.generic import Dereferenceable

    return item.get_object() if isinstance(item, Dereferenceable) else item


def _damaged() -> InvalidCertificateError:
    return InvalidCertificateError("the PDF can't be read; it is damaged")
