"""Small PDFs made by hand, each with one thing that ours never have; both readers refuse it."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from auditor.certificates.pdf_form import (
    _FILTER,
    LARGEST_STREAM,
    MOST_REVISIONS,
    require_our_form,
)
from auditor.certificates.sealed_pdf import _names
from auditor.errors import InvalidCertificateError
from tests.browser import Browser, browsing
from tests.certificates.checking import PAGE

HEADER = b"%PDF-1.7\n%\xf0\x9f\x96\xa4\n"
CATALOG = b"<</Type /Catalog/Pages 2 0 R>>"
WIDTHS = (1, 3, 2)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as opened:
        yield opened


def packed(content: bytes, entries: bytes = b"", length: int | None = None) -> bytes:
    """A stream under Flate."""
    data = zlib.compress(content)
    size = len(data) if length is None else length
    return b"<<%s/Filter /FlateDecode/Length %d>>\nstream\n%s\nendstream" % (entries, size, data)


def row(kind: int, place: int, which: int = 0) -> bytes:
    fields = zip((kind, place, which), WIDTHS, strict=True)
    return b"".join(value.to_bytes(width, "big") for value, width in fields)


def made(
    *bodies: bytes,
    before: bytes = HEADER,
    numbers: Sequence[int] = (),
    between: bytes = b"\n",
    index: bytes = b"",
    shift: int = 0,
    rows: bytes = b"",
    entries: bytes = b"",
    table: bytes = b"/Type /XRef",
    end: bytes = b"startxref\n%d\n%%%%EOF\n",
    more: bytes = b"",
) -> bytes:
    """A PDF whose objects are these; by default one that is as ours are."""
    pdf, listed = before, row(0, 0)
    for position, body in enumerate(bodies):
        number = numbers[position] if numbers else position + 1
        listed += row(1, len(pdf) + shift)
        pdf += b"%d 0 obj\n%s\nendobj%s" % (number, body, between)
    listed += row(1, len(pdf))
    size = len(bodies) + 2
    told = index or b"/Index [0 %d]/Size %d" % (size, size)
    header = b"%s%s/W [%d %d %d]/Root 1 0 R%s" % (table, told, *WIDTHS, entries)
    body = packed(listed + rows, header)
    return pdf + b"%d 0 obj\n%s\nendobj\n" % (size - 1, body) + end % len(pdf) + more


def revised(times: int) -> bytes:
    pdf = made(CATALOG)
    for number in range(3, 3 + times):
        here, before = len(pdf), int(pdf.split(b"startxref\n")[-1].split(b"\n")[0])
        told = b"/Type /XRef/Index [%d 1]/Size %d/W [1 3 2]/Root 1 0 R/Prev %d"
        body = packed(row(1, here), told % (number, number + 1, before))
        pdf += b"%d 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF\n" % (number, body, here)
    return pdf


def of_objects(content: bytes) -> bytes:
    """A PDF with an object stream that holds one object."""
    return made(CATALOG, packed(b"9 0 " + content, b"/Type /ObjStm/N 1/First 4"))


OURS = {
    "one object": made(CATALOG),
    "an object stream": of_objects(b"<</A (a \\) /JavaScript)>>"),
    "digits in strings": made(b"<</Type /Catalog/ID [<00fF><>]/D <</E <41>>>>>"),
    "words in strings": made(b"<</Type /Catalog/T (/JS \\(/AA\\) /OC)>>"),
    "the most revisions": revised(MOST_REVISIONS - 1),
    "a large stream": made(CATALOG, packed(bytes(LARGEST_STREAM))),
}
NOT_OURS = {
    "another version": made(CATALOG, before=HEADER.replace(b"1.7", b"1.4")),
    "something before": made(CATALOG, before=HEADER + b"% A\n"),
    "something between": made(CATALOG, CATALOG, between=b"\n% A\n"),
    "something after": made(CATALOG, more=b"% A\n"),
    "too many revisions": revised(MOST_REVISIONS),
    "an object twice": made(CATALOG, CATALOG, numbers=(1, 1)),
    "an object under another number": made(CATALOG, CATALOG, numbers=(1, 7)),
    "an object elsewhere": made(CATALOG, shift=1),
    "an object that isn't listed": made(CATALOG, CATALOG, index=b"/Index [0 3]/Size 3"),
    "more rows than objects": made(CATALOG, rows=row(1, 20)),
    "a row listed twice": made(CATALOG, index=b"/Index [0 3 1 1]/Size 3", rows=row(0, 0)),
    "too many rows": made(CATALOG, index=b"/Index [0 2000000000]/Size 2000000000"),
    "too many objects": made(*[b"<<>>"] * 20_000),
    "four widths": made(CATALOG).replace(b"/W [1 3 2]", b"/W [1 3 2 0]"),
    "an object without its end": made(CATALOG).replace(b"endobj", b"endobt"),
    "a table of another type": made(CATALOG, table=b"/Type /Table"),
    "a predictor": made(CATALOG, entries=b"/DecodeParms <</Predictor 12>>"),
    "encryption": made(CATALOG, entries=b"/Encrypt 1 0 R"),
    "a table elsewhere": made(CATALOG, end=b"startxref\n1%d\n%%%%EOF\n"),
    "no end": made(CATALOG, end=b"startxref\n%d\n"),
    "a table of the old kind": HEADER + b"xref\n0 1\ntrailer\n<<>>\nstartxref\n15\n%%EOF\n",
    "a stream cut short": made(CATALOG, packed(b"a" * 99, length=9)),
    "a length twice": made(CATALOG, packed(b"a", b"/Length 9")),
    "an action": made(b"<</Type /Catalog/OpenAction 1 0 R>>"),
    "an action, spelt otherwise": made(b"<</Type /Catalog/Open#41ction 1 0 R>>"),
    "an action between comments": made(b"<</Type /Catalog %(\n/OpenAction 1 0 R %)\n>>"),
    "an action within, between comments": of_objects(b"<<%(\n/S /Launch %)\n>>"),
    "an action between odd strings": made(b"<</A <(>/OpenAction 1 0 R/B <)>>>"),
    "an action in an open string": made(b"<</A ((b)/OpenAction 1 0 R>>"),
    "an action within": of_objects(b"<</S /Launch>>"),
    "an annotation": of_objects(b"<</Subtype /FreeText>>"),
    "an annotation, spelt otherwise": of_objects(b"<</Subtype /Free#54ext>>"),
}
BEYOND_THE_PAGE = {  # streams that it has no need to unpack
    "another filter": made(CATALOG, packed(b"a").replace(b"/FlateDecode", b"[/ASCIIHexDecode]")),
    "two filters": made(CATALOG, packed(b"a").replace(b"/F", b"/Filter [/FlateDecode]/F", 1)),
    "filters in a row": made(
        CATALOG, packed(b"a").replace(b"/FlateDecode", b"[/FlateDecode/FlateDecode]")
    ),
    "filters without an end": made(CATALOG, packed(b"a").replace(b"/Flate", b"[/A /Flate", 1)),
    "more than its due": made(CATALOG, packed(bytes(LARGEST_STREAM + 1))),
    "more in all than its due": made(CATALOG, *[packed(bytes(LARGEST_STREAM))] * 9),
    "something after a stream": made(
        CATALOG, packed(b"a", length=len(zlib.compress(b"a")) + 1).replace(b"\nends", b"\n\nends")
    ),
    "a stream without its end": made(CATALOG, packed(b"abc" * 9)).replace(
        zlib.compress(b"abc" * 9), zlib.compress(b"abc" * 9)[:-1] + b"\0", 1
    ),
}

_OPEN = """
const [pdfs, done] = arguments;
const raw = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
Promise.all(pdfs.map((pdf) => Pdf.open(raw(pdf)).then(() => "read", (problem) => problem.constructor.name))).then(done);
"""  # noqa: E501  # a line of the page's script


@pytest.mark.parametrize("name", OURS)
def test_what_is_as_ours_is_read(name: str) -> None:
    require_our_form(OURS[name])


@pytest.mark.parametrize("name", [*NOT_OURS, *BEYOND_THE_PAGE])
def test_what_ours_never_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidCertificateError):
        require_our_form((NOT_OURS | BEYOND_THE_PAGE)[name])


def test_the_page_reads_and_refuses_the_same(browser: Browser) -> None:
    browser.get(PAGE.as_uri())
    pdfs = [base64.b64encode(pdf).decode() for pdf in (OURS | NOT_OURS).values()]
    found = dict(zip(OURS | NOT_OURS, browser.execute_async_script(_OPEN, pdfs), strict=True))
    assert found == dict.fromkeys(OURS, "read") | dict.fromkeys(NOT_OURS, "Refused")


def test_a_filter_is_looked_for_no_further_than_the_next_bracket() -> None:
    """Else each of many brackets that nothing closes is looked for to the end of the file."""
    assert _FILTER.findall(b"/Filter[ /Filter[ /Filter[/FlateDecode]") == [b"[/FlateDecode]"]


def test_attachments_that_are_named_without_end_are_not_gone_through() -> None:
    leaf: dict[str, Any] = {"/Names": []}
    tree = leaf
    for _ in range(4):
        tree = {"/Kids": [tree] * 1_000}
    with pytest.raises(InvalidCertificateError, match="list of attachments is too long"):
        list(_names(tree, 0, iter(range(32))))
