"""The page as a PDF that carries its own evidence: PDF/A-3a, marked as PDF/UA-1, not yet sealed.

One statement gives one sequence of bytes: the only date in the file is the day of issue. Nothing is
fetched; the fonts are those shipped with the templates.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from io import BytesIO
from typing import Any

from weasyprint import CSS, HTML, Attachment
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import FatalURLFetchingError, URLFetcher, URLFetcherResponse

from auditor.certificates.catalogue import language_of
from auditor.certificates.page import document_html, shipped_text
from auditor.certificates.statement import ENVELOPE, PROOF
from auditor.certificates.visible import verify_visible
from auditor.errors import CertificateError, InvalidCertificateError
from auditor.shipped import shipped

_STYLE = "certificate.css"
_FONTS = ("EBGaramond12-Regular.ttf", "EBGaramond12-Italic.ttf", "DejaVuSansMono.ttf")
_EPOCH = "SOURCE_DATE_EPOCH"  # https://reproducible-builds.org/specs/source-date-epoch/
# PDF/UA-1 (ISO 14289-1 section 5) asks for its mark; PDF/A-3 (ISO 19005-3 section 6.6.2.3.3) asks
# that a schema it doesn't know itself be described beside it.
_ACCESSIBLE = b"""
<rdf:Description rdf:about="" xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/">
<pdfuaid:part>1</pdfuaid:part></rdf:Description>
<rdf:Description rdf:about=""
  xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/"
  xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#"
  xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#">
<pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource">
<pdfaSchema:schema>PDF/UA identification schema</pdfaSchema:schema>
<pdfaSchema:namespaceURI>http://www.aiim.org/pdfua/ns/id/</pdfaSchema:namespaceURI>
<pdfaSchema:prefix>pdfuaid</pdfaSchema:prefix>
<pdfaSchema:property><rdf:Seq><rdf:li rdf:parseType="Resource">
<pdfaProperty:name>part</pdfaProperty:name>
<pdfaProperty:valueType>Integer</pdfaProperty:valueType>
<pdfaProperty:category>internal</pdfaProperty:category>
<pdfaProperty:description>Part of ISO 14289 the file conforms to</pdfaProperty:description>
</rdf:li></rdf:Seq></pdfaSchema:property>
</rdf:li></rdf:Bag></pdfaExtension:schemas>
</rdf:Description>
"""
_END_OF_METADATA = b"</rdf:RDF>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosed:
    """A file that a PDF carries; `relationship` is one of ISO 19005-3's (``Data``, ...)."""

    name: str
    content: bytes
    relationship: str
    description: str


def render_certificate(
    predicate: Mapping[str, Any], statement_digest: str, envelope: bytes, proof: str
) -> bytes:
    """Print the document and attach the signed statement and its ledger proof.

    Args:
        predicate: of the statement in the envelope.
        statement_digest: ``sha256:...`` of the signed statement.
        envelope: the DSSE envelope as signed.
        proof: C2SP tlog-proof of the `certificate-prepared` entry.

    Raises:
        CertificateError: the page can't be drawn, or not so that its text can be verified.
    """
    say = language_of(predicate["locale"]).say
    return _printed(
        predicate,
        statement_digest,
        envelope,
        (
            Enclosed(
                name=ENVELOPE,
                content=envelope,
                relationship="Data",
                description=say("The signed statement"),
            ),
            Enclosed(
                name=PROOF,
                content=proof.encode("utf-8"),
                relationship="Supplement",
                description=say("Its ledger proof"),
            ),
        ),
    )


def require_drawable(predicate: Mapping[str, Any], statement_digest: str) -> None:
    """See that a statement can be printed, before it is signed and can't be changed any more.

    Raises:
        CertificateError: as `render_certificate`.
    """
    _printed(predicate, statement_digest, b"", ())


def _printed(
    predicate: Mapping[str, Any],
    statement_digest: str,
    identifier: bytes,
    enclosed: Sequence[Enclosed],
) -> bytes:
    html = document_html(predicate, statement_digest)
    issued = date.fromisoformat(predicate["issued"])
    pdf = print_page(html, style=_STYLE, issued=issued, identifier=identifier, enclosed=enclosed)
    require_readable(pdf, html)
    return pdf


def require_readable(pdf: bytes, html: str) -> None:
    """See that a verifier will find on the pages what was to be printed.

    Raises:
        CertificateError: it won't.
    """
    try:
        verify_visible(pdf, html)
    except InvalidCertificateError as error:
        raise CertificateError(
            f"no verifier could read this document: {error}; names are to be in Latin, Greek or "
            "Cyrillic letters, or else the installed WeasyPrint draws otherwise than is known here"
        ) from None


def print_page(
    html: str,
    *,
    issued: date,
    identifier: bytes,
    enclosed: Sequence[Enclosed] = (),
    style: str = "",
) -> bytes:
    """A page as PDF/A-3a and PDF/UA-1; the same bytes whenever the same is printed.

    Args:
        html: may name no address but those of the shipped fonts.
        issued: the only date in the file.
        identifier: what the file's own identifier is the digest of.
        enclosed: files to attach.
        style: name of a shipped style sheet, besides what the page itself holds.

    Raises:
        CertificateError: the page can't be drawn.
    """
    moment = datetime(issued.year, issued.month, issued.day, tzinfo=UTC)
    fetcher, pdf = _ShippedOnly(), None
    with _dated(moment), _uncollected(), suppress(FatalURLFetchingError):
        pdf = HTML(string=html, url_fetcher=fetcher, base_url="shipped:").write_pdf(
            font_config=_fonts(),
            stylesheets=[_style(style)] if style else None,
            pdf_variant="pdf/a-3a",
            pdf_tags=True,
            pdf_identifier=hashlib.sha256(identifier).digest()[:16],
            attachments=[_attachment(each, moment) for each in enclosed],
            finisher=_finish,
        )
    if fetcher.refused:
        raise CertificateError(f"a document may not load {fetcher.refused[0][:80]}")
    if not isinstance(pdf, bytes) or not pdf.startswith(b"%PDF-"):
        raise CertificateError("the page can't be drawn; is Pango installed?")
    return pdf


@cache
def _style(name: str) -> CSS:
    """A shipped style sheet, read once."""
    return CSS(string=shipped_text(name), url_fetcher=_ShippedOnly(), font_config=_fonts())


@cache
def _fonts() -> FontConfiguration:
    """The fonts once read, for every document of this process; its folder goes with the process.

    It remembers a font by all of its rule, so a rule that names another address is fetched, and
    refused, as before.
    """
    atexit.register(_fonts.cache_clear)
    return FontConfiguration()


class _ShippedOnly(URLFetcher):  # type: ignore[misc]  # WeasyPrint has no types
    """Serves the shipped fonts and refuses every other address.

    Refusals are written down: within a drawing, WeasyPrint goes on without what it didn't get.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[str] = []

    def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> URLFetcherResponse:
        name = url.removeprefix("shipped:")
        if name not in _FONTS:
            self.refused.append(url)
            raise FatalURLFetchingError(url)
        content = (shipped("templates") / "fonts" / name).read_bytes()
        return URLFetcherResponse(url, body=content, headers={"Content-Type": "font/ttf"})


def _finish(_document: object, pdf: Any) -> None:
    """Add the mark of PDF/UA-1, as WeasyPrint writes one mark only; name each attachment once."""
    if "AF" in pdf.catalog:
        pdf.catalog["AF"][:] = dict.fromkeys(pdf.catalog["AF"])
    for item in pdf.objects:
        if getattr(item, "extra", {}).get("Type") == "/Metadata":
            (metadata,) = item.stream
            item.stream = [metadata.replace(_END_OF_METADATA, _ACCESSIBLE + _END_OF_METADATA)]


def _attachment(enclosed: Enclosed, moment: datetime) -> Attachment:
    return Attachment(
        file_obj=BytesIO(enclosed.content),
        name=enclosed.name,
        description=enclosed.description,
        created=moment,
        modified=moment,
        relationship=enclosed.relationship,
    )


@contextmanager
def _uncollected() -> Iterator[None]:
    """Collect no garbage meanwhile: nearly all of what a drawing makes lives until it is done."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def _dated(moment: datetime) -> Iterator[None]:
    """Let every date that the font and PDF writers put in be this one; and let them be quiet."""
    before = os.environ.get(_EPOCH)
    os.environ[_EPOCH] = str(int(moment.timestamp()))
    for name in ("weasyprint", "fontTools"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # WeasyPrint leaves its colour profile's file to the garbage collector
            warnings.simplefilter("ignore", ResourceWarning)
            yield
    finally:
        if before is None:
            del os.environ[_EPOCH]
        else:
            os.environ[_EPOCH] = before
