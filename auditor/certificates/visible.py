"""Does the PDF show what was signed? Its text against the page made anew from the statement.

All text of the PDF, in the order it is drawn, must be all text of the page. This catches a seal put
over another page by mistake or by someone who holds the seal but not the statement keys. It can't
see glyphs drawn to look like other letters; the statement itself, not the page, is what binds.
"""

from __future__ import annotations

import unicodedata
from html.parser import HTMLParser

from auditor.certificates.drawn import drawn_pages
from auditor.errors import InvalidCertificateError

MOST_PAGES = 60
"""What bounds the work; a case of many attempts has some ten."""
_SILENT = frozenset({"head", "style", "title", "desc", "metadata"})


def verify_visible(pdf: bytes, html: str) -> None:
    """Compare the PDF's text with that of the page made anew from the statement.

    Raises:
        InvalidCertificateError: they differ, or the PDF's text can't be read.
    """
    page = _read_page(html)
    figure, drawn = page.text(page.figure), _drawn(pdf, page)
    # a PDF draws a figure's labels in one piece, before or after the text around it
    if figure not in drawn or drawn.replace(figure, "", 1) != page.text(page.words):
        raise InvalidCertificateError("the pages show something other than what was signed")


def _drawn(pdf: bytes, page: _Page) -> str:
    texts = [_squeezed(text) for text in drawn_pages(pdf, MOST_PAGES)]
    return "".join(
        _without_footer(text, _squeezed(f"{page.foot}{number}{page.between}{len(texts)}"))
        for number, text in enumerate(texts, start=1)
    )


def _without_footer(text: str, footer: str) -> str:
    if text.endswith(footer):
        return text.removesuffix(footer)
    if text.startswith(footer):
        return text.removeprefix(footer)
    raise InvalidCertificateError("a page lacks its footer, or is out of its place")


def _read_page(html: str) -> _Page:
    reader = _Page()
    reader.feed(html)
    reader.close()
    return reader


class _Page(HTMLParser):
    """Text that is drawn: everything outside of elements that are never shown, and the footer."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.figure: list[str] = []
        self.foot = ""
        self.between = ""
        self._silent = 0
        self._drawing = 0

    def text(self, parts: list[str]) -> str:
        return _squeezed("".join(parts))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in _SILENT
        self._drawing += tag == "svg"
        if tag == "body":
            given = dict(attrs)
            self.foot, self.between = given["data-foot"] or "", given["data-of"] or ""

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in _SILENT
        self._drawing -= tag == "svg"

    def handle_data(self, data: str) -> None:
        if not self._silent:
            (self.figure if self._drawing else self.words).append(data)


def _squeezed(text: str) -> str:
    """Without white space, which a PDF doesn't keep; ligatures taken apart."""
    return "".join(unicodedata.normalize("NFKC", text).split())
