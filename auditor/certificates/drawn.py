"""The text that a PDF of ours draws, read from its pages in the order it is drawn.

Our pages draw with few operators and name each glyph's characters one by one. Only that is read;
whatever could show another text than is read here, or hide one, is refused rather than guessed:
other encodings, invisible text, replacement texts, pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from io import BytesIO
from typing import Any

from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader

from auditor.errors import InvalidCertificateError

_DEEPEST = 3  # pages lie in the page tree, and drawings in pages; neither in more than that

# ISO 32000-2 table A.1: paths, clipping, state, colour, marks, and where text stands; and of text
# rendering modes (section 9.3.6) the one that fills.
_NUMBER = rb"[-+]?(?:\d++(?:\.\d*+)?|\.\d++)"
_SILENT = re.compile(
    rb"(?:(?:"
    rb"(?:" + _NUMBER + rb"\s++)*+"
    rb"(?:[mlcvyhqQwJjMinSsfFBbWgGkK]|re|[fBbW]\*|cm|rg|RG|Tm|Td|TD|T\*|TL|Tc|Tw|Ts|BT|ET|EMC)"
    rb"|0\s++Tr"
    rb"|\[[\d\s.]*+\]\s*+" + _NUMBER + rb"\s++d"
    rb"|/[\w.]++\s++(?:gs|BMC|<<\s*+/MCID\s++\d++\s*+>>\s*+BDC)"
    rb")(?:\s++|$))*+"
)
_LOUD = re.compile(
    rb"(?:/(?P<font>[\w+-]+)\s+" + _NUMBER + rb"\s+Tf"
    rb"|\[(?P<text>(?:<(?:[0-9A-Fa-f]{4})*>|" + _NUMBER + rb"|\s)*+)\]\s*TJ"
    rb"|/(?P<form>[\w.]+)\s+Do)(?:\s+|$)"
)
_GLYPHS = re.compile(rb"<([0-9A-Fa-f]*)>")
_ROW = re.compile(rb"\s*<([0-9A-Fa-f]{4})>\s*<((?:[0-9A-Fa-f]{4})+)>\s*")

_Glyphs = Mapping[bytes, str]


def drawn_pages(pdf: bytes, most: int) -> list[str]:
    """The text of each page.

    Args:
        pdf: a file whose form has been checked (`auditor.certificates.pdf_form`).
        most: pages that are read.

    Raises:
        InvalidCertificateError: more pages, or one whose text can't be told for certain.
    """
    try:
        pages: list[str] = []
        for page in _pages(PdfFileReader(BytesIO(pdf), strict=True).root["/Pages"], _DEEPEST):
            if len(pages) == most:
                raise InvalidCertificateError(f"the document has more than {most} pages")
            pages.append("".join(_drawn(page["/Contents"].data, page["/Resources"], _DEEPEST)))
    except (PdfError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise _unreadable() from None
    return pages


def _pages(node: Mapping[str, Any], depth: int) -> Iterator[Mapping[str, Any]]:
    """Leaves of the page tree (ISO 32000-2 section 7.7.3)."""
    if depth == 0:
        raise _unreadable()
    for child in node["/Kids"]:
        item = child.get_object()
        if item["/Type"] == "/Page":
            yield item
        else:
            yield from _pages(item, depth - 1)


def _drawn(content: bytes, resources: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Text of one content stream and of the drawings that it places."""
    if depth == 0:
        raise _unreadable()
    glyphs: _Glyphs = {}
    at = _after_silence(content, 0)
    while at < len(content):
        found = _LOUD.match(content, at)
        if found is None:
            raise _unreadable()
        if found["font"]:
            glyphs = _font(resources["/Font"][f"/{found['font'].decode('ascii')}"])
        elif found["form"]:
            form = resources["/XObject"][f"/{found['form'].decode('ascii')}"]
            if form["/Subtype"] != "/Form":
                raise _unreadable()
            yield from _drawn(form.data, form["/Resources"], depth - 1)
        else:
            yield _shown(found["text"], glyphs)
        at = _after_silence(content, found.end())


def _after_silence(content: bytes, at: int) -> int:
    found = _SILENT.match(content, at)
    return at if found is None else found.end()


def _shown(text: bytes, glyphs: _Glyphs) -> str:
    codes = b"".join(_GLYPHS.findall(text)).lower()
    return "".join(glyphs[codes[start : start + 4]] for start in range(0, len(codes), 4))


def _font(font: Mapping[str, Any]) -> _Glyphs:
    if (font["/Subtype"], font["/Encoding"]) != ("/Type0", "/Identity-H"):
        raise _unreadable()
    return _characters(font["/ToUnicode"].data)


@lru_cache(maxsize=64)
def _characters(table: bytes) -> _Glyphs:
    """What each glyph stands for (ISO 32000-2 section 9.10.3)."""
    if b"bfrange" in table or b"usecmap" in table:
        raise _unreadable()
    glyphs: dict[bytes, str] = {}
    for block in table.split(b"beginbfchar")[1:]:
        rows, end, _ = block.partition(b"endbfchar")
        at = 0
        while at < len(rows) and end:
            row = _ROW.match(rows, at)
            if row is None or row[1].lower() in glyphs:
                raise _unreadable()
            glyphs[row[1].lower()] = bytes.fromhex(row[2].decode("ascii")).decode("utf-16-be")
            at = row.end()
    return glyphs


def _unreadable() -> InvalidCertificateError:
    return InvalidCertificateError("the text of the pages can't be read")
