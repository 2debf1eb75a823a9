"""`verify.html` and a quarter's report: what holds, and what is refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from auditor.certificates.quarter import STATE, parse_report
from auditor.certificates.quarter_render import render_report
from auditor.certificates.sealed_pdf import read_sealed_pdf
from auditor.certificates.sealing import seal_pdf
from auditor.certificates.signatures import PERFORMER, signed_by
from auditor.certificates.statement import ENVELOPE, PROOF
from auditor.domain.artefact import Digest
from auditor.domain.quarter import quarter_named
from auditor.proof.dsse import verify_envelope
from auditor.workflow.documents.quarter_report import issue_report, names_of, write_report
from auditor.workflow.homes.home import Home, create_home
from tests.browser import Browser, browsing
from tests.certificates.checking import check
from tests.certificates.conftest import refused_case
from tests.cli.conftest import stock
from tests.workflow import casebook

TODAY = casebook.today()
QUARTER = quarter_named(f"{TODAY.year}Q{(TODAY.month + 2) // 3}")
MADE = (
    "form", "bytes", "attachments", "signature", "statement", "ledger", "state", "history",
    "level", "files",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A home's report on a quarter and the next one, as files."""

    home: Home
    folder: Path
    next: Path

    @property
    def trust(self) -> Path:
        return self.home.trust_path

    def of(self, folder: Path, *places: int) -> tuple[Path, ...]:
        names = names_of(QUARTER)
        return tuple(folder / names[place] for place in places)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as opened:
        yield opened


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reported]:
    root = tmp_path_factory.mktemp("reported")
    with closing(create_home(root / "home", controller="Klinikum Lindenau", dpo="DPO")) as home:
        stock(home)
        for folder in (root / "first", root / "second"):
            refused_case(home)
            folder.mkdir()
            write_report(issue_report(home, QUARTER, "en"), folder)
        yield Reported(home=home, folder=root / "first", next=root / "second")


def test_a_true_report_holds_with_its_files_and_without(
    browser: Browser, reported: Reported
) -> None:
    for papers in (reported.of(reported.folder, 2, 0, 1), reported.of(reported.next, 0, 2)):
        seen = check(browser, (*papers, reported.trust))
        assert seen.states == dict.fromkeys(MADE, "held"), seen.details
    assert "report on a quarter" in seen.text and QUARTER.name in seen.text
    assert "Klinikum Lindenau" in seen.text and "This is not a full verification" in seen.said
    seen = check(browser, (*reported.of(reported.folder, 2), reported.trust))
    assert (seen.failed, seen.states["files"]) == ("", "open")
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_files_of_another_report_and_a_stranger_to_the_trust_file_are_refused(
    browser: Browser, reported: Reported, tmp_path: Path
) -> None:
    (pdf,) = reported.of(reported.folder, 2)
    for other in reported.of(reported.next, 0, 1):
        seen = check(browser, (pdf, other, reported.trust))
        assert seen.failed == "files" and "Don’t rely on this document" in seen.said
    with closing(create_home(tmp_path / "other", controller="K", dpo="D")) as other_home:
        assert check(browser, (pdf, other_home.trust_path)).failed == "signature"


@pytest.mark.parametrize(
    ("swapped", "failing"), [(STATE, "state"), (PROOF, "ledger"), (ENVELOPE, "ledger")]
)
def test_parts_of_another_report_are_refused(
    browser: Browser, reported: Reported, tmp_path: Path, swapped: str, failing: str
) -> None:
    first, second = (
        dict(read_sealed_pdf(path.read_bytes()).attachments)
        for folder in (reported.folder, reported.next)
        for path in reported.of(folder, 2)
    )
    parts = {**first, swapped: second[swapped]}
    keys = [key.verifier() for key in signed_by(parts[ENVELOPE], reported.home.trust, PERFORMER)]
    payload = verify_envelope(parts[ENVELOPE], keys).payload
    drawn = render_report(
        parse_report(payload),
        str(Digest.of(payload)),
        parts[ENVELOPE],
        parts[PROOF].decode(),
        parts[STATE].decode(),
    )
    forged = tmp_path / "forged.pdf"
    forged.write_bytes(seal_pdf(drawn, reported.home.seal))
    assert check(browser, (forged, reported.trust)).failed == failing


def test_a_changed_byte_is_refused(browser: Browser, reported: Reported, tmp_path: Path) -> None:
    (pdf,) = reported.of(reported.folder, 2)
    content = bytearray(pdf.read_bytes())
    content[len(content) // 3] ^= 1
    changed = tmp_path / "changed.pdf"
    changed.write_bytes(content)
    assert check(browser, (changed, reported.trust)).failed in ("form", "bytes")
