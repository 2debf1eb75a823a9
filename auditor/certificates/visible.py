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
    page, figure = _texts_of(html)
    drawn = _drawn(pdf, case)
    # a PDF draws a figure's labels in one piece, before or after the text around it
    if figure not in drawn or drawn.replace(figure, "", 1) != page:
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
    if text.startswith(footer):
        return text.removeprefix(footer)
    raise InvalidCertificateError("a page lacks its footer, or is out of its place")


def _texts_of(html: str) -> tuple[str, str]:
    """The text of the page, and that of its figure."""
    reader = _Text()
    reader.feed(html)
    reader.close()
    return _squeezed("".join(reader.page)), _squeezed("".join(reader.figure))


class _Text(HTMLParser):
    """Text that is drawn: everything outside of elements that are never shown."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page: list[str] = []
        self.figure: list[str] = []
        self._silent = 0
        self._drawing = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._silent += tag in _SILENT
        self._drawing += tag == "svg"

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in _SILENT
        self._drawing -= tag == "svg"

    def handle_data(self, data: str) -> None:
        if not self._silent:
            (self.figure if self._drawing else self.page).append(data)


def _squeezed(text: str) -> str:
    """Without white space, which a PDF doesn't keep; ligatures taken apart."""
    return "".join(unicodedata.normalize("NFKC", text).split())
