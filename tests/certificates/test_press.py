"""Many documents at once are the same documents; and the QR code is the one that was asked for."""

from __future__ import annotations

import re
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import segno
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.certificates.catalogue import LOCALES
from auditor.certificates.figure import qr_path
from auditor.certificates.predicate import predicate_of
from auditor.certificates.press import FEWEST, Sheet, render_all
from auditor.certificates.render import print_page, render_certificate
from auditor.certificates.verify import Status
from auditor.domain.artefact import Digest
from auditor.errors import CertificateError
from auditor.workflow.documents.notary import issue_all, prepare_statement, publish
from auditor.workflow.homes.home import create_home
from auditor.workflow.homes.record import load_case
from tests.certificates import examples
from tests.certificates.conftest import Issued, refused_case
from tests.cli.conftest import stock

_RUN = re.compile(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z")


@cache
def predicate_in(locale: str) -> dict[str, Any]:
    return dict(predicate_of(examples.in_language(examples.refused(), locale)))


def sheets(count: int) -> list[Sheet]:
    """Short documents, each of a language and an envelope of its own."""
    return [
        Sheet(
            predicate=predicate_in(LOCALES[number % 4]),
            statement_digest=str(Digest.of(b"%d" % number)),
            envelope=b'{"number":%d}' % number,
            proof=f"proof {number}",
        )
        for number in range(count)
    ]


def alone(sheet: Sheet) -> bytes:
    return render_certificate(sheet.predicate, sheet.statement_digest, sheet.envelope, sheet.proof)


@pytest.fixture(scope="module")
def expected() -> list[bytes]:
    return [alone(sheet) for sheet in sheets(FEWEST)]


def test_many_processes_print_what_one_prints_in_the_order_given(expected: list[bytes]) -> None:
    asked = sheets(FEWEST)
    printed = list(render_all(asked, workers=2))
    assert printed == expected
    assert len(set(printed)) == FEWEST
    assert list(render_all(asked[:2], workers=2)) == printed[:2]
    assert list(render_all((), workers=2)) == []


def test_what_was_printed_before_leaves_no_trace() -> None:
    first, second = sheets(2)
    page = "<html lang='en'><title>x</title><style>p { font: 9pt 'EB Garamond' }</style><p>Text</p>"
    other = examples.refused().issued
    before = (alone(first), print_page(page, issued=other, identifier=b"x"))
    alone(second)
    assert (alone(first), print_page(page, issued=other, identifier=b"x")) == before


def test_a_font_of_the_shipped_name_from_elsewhere_is_refused_after_the_shipped_was_read() -> None:
    alone(*sheets(1))
    for address in ("http://127.0.0.1:9/a.ttf", "shipped:other.ttf"):
        page = (
            f'<style>@font-face {{ font-family: "EB Garamond"; src: url("{address}"); }}</style>'
            '<p style="font-family: EB Garamond">Text'
        )
        with pytest.raises(CertificateError, match="may not load"):
            print_page(page, issued=examples.refused().issued, identifier=b"x")


def test_a_page_that_cannot_be_drawn_is_told_from_another_process(expected: list[bytes]) -> None:
    bad = sheets(FEWEST)
    bad[3] = Sheet(
        predicate={**bad[3].predicate, "locale": "xx"},
        statement_digest=bad[3].statement_digest,
        envelope=b"",
        proof="",
    )
    printed = render_all(bad, workers=2)
    assert [next(printed) for _ in range(3)] == expected[:3]
    with pytest.raises(CertificateError, match="documents are written in"):
        next(printed)


def test_several_cases_are_issued_as_each_is_alone(tmp_path: Path) -> None:
    with closing(create_home(tmp_path / "home", controller="St. Example", dpo="DPO")) as home:
        stock(home)
        cases = [refused_case(home) for _ in range(3)]
        with pytest.raises(CertificateError, match="no signed statement yet"):
            issue_all(home, cases, workers=1)
        for case in cases:
            prepare_statement(home, case, load_case(home, case))
        issue_all(home, cases, workers=1)
        for case in cases:
            document = publish(home, case)
            issued = Issued(
                home=home,
                case=case,
                pdf=document.read_bytes(),
                sidecar=document.with_name(f"{case}.pdf.tlog-proof").read_text(encoding="utf-8"),
                trust=home.trust_path.read_bytes(),
            )
            report = issued.verify()
            assert report.status is Status.VALID_STATUS_UNKNOWN
            assert report.predicate is not None and report.predicate["request"]["case"] == case


@settings(max_examples=25)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=200))
def test_the_qr_code_shows_every_dark_module_and_no_other(text: str) -> None:
    matrix = segno.make(text, error="m", micro=False).matrix
    side, path = qr_path(text)
    drawn = set()
    for column, row, length, back in (map(int, found) for found in _RUN.findall(path)):
        assert length == back
        drawn |= {(row, column + step) for step in range(length)}
    assert _RUN.sub("", path) == "" and side == len(matrix)
    assert drawn == {(y, x) for y, line in enumerate(matrix) for x, dark in enumerate(line) if dark}
