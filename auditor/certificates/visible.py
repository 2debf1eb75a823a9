"""Does the PDF show what was signed? Its text against the page made anew from the statement.

All text of the PDF, in the order it is drawn, must be all text of the page. This catches a seal put
over another page by mistake or by someone who holds the seal but not the statement keys. It can't
see glyphs drawn to look like other letters; the statement itself, not the page, is what binds.
"""

from __future__ import annotations

import logging
import unicodedata
from html.parser import HTMLParser
from io import BytesIO

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from auditor.certificates.page import footer_label
from auditor.errors import InvalidCertificateError

MOST_PAGES = 6
_SILENT = frozenset({"head", "style", "title", "desc", "metadata"})


def verify_visible(pdf: bytes, html: str, case: str) -> None:
    """Compare the PDF's text with the page's.

    Raises:
        InvalidCertificateError: they differ, or the PDF's text can't be read.
    """
    if _drawn(pdf, case) != _squeezed(_text_of(html)):
        raise InvalidCertificateError("the pages show something other than what was signed")


def _drawn(pdf: bytes, case: str) -> str:
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what it dislikes is refused below
    try:
        pages = PdfReader(BytesIO(pdf)).pages
        if len(pages) > MOST_PAGES:
            raise InvalidCertificateError(f"the document has more than {MOST_PAGES} pages")
        texts = [_squeezed(page.extract_text()) for page in pages]
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InvalidCertificateError("the text of the pages can't be read") from None
    return "".join(
        _without_footer(text, _squeezed(f"{footer_label(case)} · page {number} of {len(texts)}"))
        for number, text in enumerate(texts, start=1)
    )


def _without_footer(text: str, footer: str) -> str:
    if text.endswith(footer):
        return text.removesuffix(footer)
    return text.removeprefix(footer)


def _text_of(html: str) -> str:
    reader = _Text()
    reader.feed(html)
    reader.close()
    return "".join(reader.parts)


class _Text(HTMLParser):
    """Text that is drawn: everything outside of elements that are never shown."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._silent += tag in _SILENT

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in _SILENT

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def _squeezed(text: str) -> str:
    """Without white space, which a PDF doesn't keep; ligatures taken apart."""
    return "".join(unicodedata.normalize("NFKC", text).split())
