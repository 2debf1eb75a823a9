"""What we print and seal is PDF/A-3a and PDF/UA-1, as far as can be checked here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pikepdf
import pytest

from auditor.certificates.seal import load_seal, make_test_seal
from auditor.certificates.sealing import seal_pdf
from tests.certificates import examples
from tests.certificates.conformance import has_verapdf, shortcomings, verapdf
from tests.certificates.test_languages import made

PRINT = """
import sys
sys.path.insert(0, sys.argv[1])
from hashlib import sha256
from tests.certificates import examples
from tests.certificates.test_languages import made
print(sha256(made(examples.exact())[1]).hexdigest())
"""


@cache
def printed() -> bytes:
    return made(examples.exact())[1]


@cache
def sealed() -> bytes:
    seal = make_test_seal("Universitätsklinikum Lindenau", datetime.now(UTC))
    return seal_pdf(printed(), load_seal(seal.private_pem))


@pytest.mark.parametrize("make", [printed, sealed])
def test_the_lesser_check_finds_nothing(make: Callable[[], bytes]) -> None:
    assert shortcomings(make()) == []


@pytest.mark.parametrize("make", [printed, sealed])
def test_verapdf_finds_nothing(make: Callable[[], bytes], tmp_path: Path) -> None:
    if not has_verapdf():
        pytest.skip("no veraPDF on the path; the lesser check stands in for it")
    assert verapdf(make(), tmp_path) == []


def _first(document: pikepdf.Pdf, kind: str) -> pikepdf.Object:
    return next(
        item
        for item in document.objects
        if isinstance(item, pikepdf.Dictionary) and str(item.get("/S", "")) == kind
    )


def _forget_language(document: pikepdf.Pdf) -> None:
    del document.Root.Lang


def _forget_alternative(document: pikepdf.Pdf) -> None:
    del _first(document, "/Figure").Alt


def _draw_beside(document: pikepdf.Pdf) -> None:
    document.pages[0].contents_add(b"0 0 9 9 re f")


def _skip_a_level(document: pikepdf.Pdf) -> None:
    _first(document, "/H2").S = pikepdf.Name.H4


def _break_a_list(document: pikepdf.Pdf) -> None:
    _first(document, "/LI").S = pikepdf.Name.P


def _break_a_row(document: pikepdf.Pdf) -> None:
    _first(document, "/TH").S = pikepdf.Name.P


def _unmark(document: pikepdf.Pdf) -> None:
    document.Root.MarkInfo.Marked = False


def _drop_relationship(document: pikepdf.Pdf) -> None:
    del document.Root.AF[0].AFRelationship


def _name_twice(document: pikepdf.Pdf) -> None:
    document.Root.AF.append(document.Root.AF[0])


def _claim_less(document: pikepdf.Pdf) -> None:
    with document.open_metadata() as metadata:
        del metadata["pdfuaid:part"]


def _forget_a_font(document: pikepdf.Pdf) -> None:
    font = next(iter(document.pages[0].Resources.Font.values()))
    del font.DescendantFonts[0].FontDescriptor.FontFile2


def _show_a_note(document: pikepdf.Pdf) -> None:
    note = pikepdf.Dictionary(Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.Text, Rect=[0, 0, 9, 9])
    document.pages[0].Annots = [document.make_indirect(note)]


@pytest.mark.parametrize(
    "spoil",
    [
        _forget_language,
        _forget_alternative,
        _draw_beside,
        _skip_a_level,
        _break_a_list,
        _break_a_row,
        _unmark,
        _drop_relationship,
        _name_twice,
        _claim_less,
        _forget_a_font,
        _show_a_note,
    ],
)
def test_the_lesser_check_sees_what_it_is_for(spoil: Callable[[pikepdf.Pdf], None]) -> None:
    spoilt = BytesIO()
    with pikepdf.open(BytesIO(printed())) as document:
        spoil(document)
        document.save(spoilt)
    assert shortcomings(spoilt.getvalue()) != []


def test_the_lesser_check_is_not_content_with_any_rewriting() -> None:
    """The same way of saving, nothing spoilt: what it found above was found for its own sake."""
    saved = BytesIO()
    with pikepdf.open(BytesIO(printed())) as document:
        document.save(saved)
    assert shortcomings(saved.getvalue()) == []


def test_the_figure_tells_its_numbers_to_those_who_do_not_see_it() -> None:
    with pikepdf.open(BytesIO(printed())) as document:
        told = [
            str(item.Alt)
            for item in document.objects
            if isinstance(item, pikepdf.Dictionary) and str(item.get("/S", "")) == "/Figure"
        ]
        bookmarks = document.open_outline().root[0]
    assert any("The audited model lies at 0.1700, with a 90 % interval" in text for text in told)
    assert bookmarks.title == "Certificate of Unlearning"
    assert [item.title for item in bookmarks.children][:2] == [
        "Who and what",
        "Conclusion and basis of assurance",
    ]


def test_another_process_prints_the_same_bytes() -> None:
    root = str(Path(__file__).parents[2])
    made_elsewhere = subprocess.run(
        [sys.executable, "-c", PRINT, root],
        env={**os.environ, "PYTHONHASHSEED": "1", "TZ": "Pacific/Auckland"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert made_elsewhere.stdout.strip() == sha256(printed()).hexdigest()
