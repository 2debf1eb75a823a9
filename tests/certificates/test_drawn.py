"""The text of our pages: read as another reader reads it, and never guessed."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO

import pikepdf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from auditor.certificates.drawn import _LOUD, _SILENT, drawn_pages
from auditor.errors import InvalidCertificateError
from tests.certificates import examples
from tests.certificates.test_languages import made

PAGE = made(examples.refused())[1]
FIGURED = made(examples.in_language(examples.failed(), "de"))[1]


def squeezed(text: str) -> str:
    return "".join(text.split())


def test_pages_read_as_another_reader_reads_them() -> None:
    ours, theirs = drawn_pages(PAGE, 6), PdfReader(BytesIO(PAGE)).pages
    assert len(ours) == len(theirs) > 1
    for text, page in zip(ours, theirs, strict=True):
        assert squeezed(text) == squeezed(page.extract_text()) != ""
    # it reads a figure's labels before all other text; ours come where they are drawn
    for text, page in zip(drawn_pages(FIGURED, 6), PdfReader(BytesIO(FIGURED)).pages, strict=True):
        assert sorted(squeezed(text)) == sorted(squeezed(page.extract_text()))


def test_more_pages_than_are_ever_issued_are_refused() -> None:
    count = len(drawn_pages(PAGE, 6))
    assert len(drawn_pages(PAGE, count)) == count
    with pytest.raises(InvalidCertificateError, match="more than"):
        drawn_pages(PAGE, count - 1)


def changed(change: Callable[[pikepdf.Pdf], object], pdf: bytes = PAGE) -> bytes:
    with pikepdf.open(BytesIO(pdf)) as document:
        change(document)
        written = BytesIO()
        document.save(written)
    return written.getvalue()


def drawing(old: bytes, new: bytes) -> Callable[[pikepdf.Pdf], None]:
    """Exchange the first such piece of the first page's content; {} is what stood there."""

    def change(document: pikepdf.Pdf) -> None:
        content = document.pages[0].Contents
        before = content.read_bytes()
        after = re.sub(old, lambda found: new.replace(b"{}", found[0]), before, count=1)
        assert after != before
        content.write(after)

    return change


def font_of(document: pikepdf.Pdf) -> pikepdf.Object:
    fonts = document.pages[0].Resources.Font
    return fonts[next(iter(fonts.keys()))]


def table(old: bytes, new: bytes) -> Callable[[pikepdf.Pdf], None]:
    def change(document: pikepdf.Pdf) -> None:
        characters = font_of(document).ToUnicode
        before = characters.read_bytes()
        after = re.sub(old, new, before, count=1)
        assert after != before
        characters.write(after)

    return change


def picture(document: pikepdf.Pdf) -> None:
    image = pikepdf.Stream(document, b"", Subtype=pikepdf.Name.Image, Width=0, Height=0)
    image.Resources = pikepdf.Dictionary()
    document.pages[0].Resources.XObject = pikepdf.Dictionary(i0=image)
    drawing(rb"BT\n", b"/i0 Do\n{}")(document)


def drawing_in_itself(document: pikepdf.Pdf) -> None:
    form = pikepdf.Stream(document, b"/x9 Do", Subtype=pikepdf.Name.Form)
    place = document.make_indirect(form)
    form.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(x9=place))
    document.pages[0].Resources.XObject = pikepdf.Dictionary(x9=place)
    drawing(rb"BT\n", b"/x9 Do\n{}")(document)


FORGERIES: dict[str, Callable[[pikepdf.Pdf], object]] = {
    "text that isn't seen": drawing(rb"BT\n", b"{} 3 Tr\n"),
    "text of another operator": drawing(rb"ET\n", b"(PASSED) Tj\n{}"),
    "text on a new line": drawing(rb"ET\n", b"<0041> '\n{}"),
    "text among numbers": drawing(rb" l\n", b" [<0041>] TJ 0 0 l\n"),
    "a string in an array": drawing(rb"\[<", b"[(P)<"),
    "half a glyph": drawing(rb"\[<", b"[<00"),
    "a glyph of no character": drawing(rb"\[<....", b"[<ffff"),
    "a picture in the text": drawing(rb"BT\n", b"BI /W 1 /H 1 /BPC 8 ID x EI\n{}"),
    "another text for those who can't see": drawing(
        rb"<</MCID 0>>", b"<</MCID 0/ActualText (PASSED)>>"
    ),
    "a shading": drawing(rb"BT\n", b"/s0 sh\n{}"),
    "a comment": drawing(rb"BT\n", b"% x\n{}"),
    "something left over": drawing(rb"(?s)\Z", b"\n[<0041>"),
    "a picture": picture,
    "a drawing in itself": drawing_in_itself,
    "a drawing that isn't there": drawing(rb"BT\n", b"/x9 Do\n{}"),
    "a font that isn't there": drawing(rb"/\w+ [\d.]+ Tf", b"/None 9 Tf"),
    "text before any font": drawing(rb"/\w+ [\d.]+ Tf\n", b""),
    "another encoding": lambda document: font_of(document).__setattr__(
        "Encoding", pikepdf.Name("/WinAnsiEncoding")
    ),
    "a font of another kind": lambda document: font_of(document).__setattr__(
        "Subtype", pikepdf.Name("/Type3")
    ),
    "no characters": lambda document: font_of(document).__delattr__("ToUnicode"),
    "a glyph of two characters": table(rb"(beginbfchar\n)(.*\n)", rb"\1\2\2"),
    "a range of characters": table(rb"endcmap", rb"1 beginbfrange\n<00> <ff> <41>\nendbfrange\n"),
    "a table beside the table": table(rb"endcmap", rb"/Other usecmap\nendcmap"),
    "a row that is none": table(rb"beginbfchar\n", b"beginbfchar\n<00> <0041>\n"),
    "half a character": table(rb"(beginbfchar\n<\w{4}>) <\w{4}>", rb"\1 <d800>"),
    "no page": lambda document: document.Root.__setattr__(
        "Pages", pikepdf.Dictionary(Type=pikepdf.Name.Pages)
    ),
    "a tree without end": lambda document: document.Root.Pages.Kids.append(document.Root.Pages),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_what_we_never_draw_is_refused(name: str) -> None:
    with pytest.raises(InvalidCertificateError, match="can't be read"):
        drawn_pages(changed(FORGERIES[name]), 6)


def test_what_only_looks_other_is_read() -> None:
    """Other white space, operators on one line, a table in two parts: all of it means the same."""
    wider = changed(drawing(rb"\] TJ\n", b"]\r\n TJ  "))
    parted = changed(table(rb"(beginbfchar\n.*\n)", rb"\1endbfchar\n1 beginbfchar\n"))
    assert drawn_pages(wider, 6) == drawn_pages(parted, 6) == drawn_pages(PAGE, 6)


@given(
    st.sampled_from([b"1", b"1.5 ", b"0 0 l ", b"[", b"<0041>", b" ", b"/a ", b"m ", b"-", b"."]),
    st.sampled_from([b"", b"x", b"] TJ", b" Tr", b"]"]),
)
def test_nothing_makes_the_reader_go_back_and_forth(piece: bytes, end: bytes) -> None:
    content = piece * 20_000 + end
    silent = _SILENT.match(content)
    _LOUD.match(content, silent.end() if silent else 0)
