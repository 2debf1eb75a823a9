"""The report on a quarter: its statement, its page, its languages."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pikepdf
import pytest
from babel.messages.pofile import read_po

from auditor.certificates import quarter, quarter_page, quarter_render
from auditor.certificates import quarter_wording as words
from auditor.certificates.catalogue import LOCALES, language_of
from auditor.certificates.facts import Parties, SealFacts
from auditor.certificates.quarter import (
    CATALOGUE,
    FEWER,
    QuarterFacts,
    ReportFile,
    files_of,
    parse_report,
    report_bytes,
)
from auditor.certificates.quarter_page import report_html
from auditor.certificates.quarter_render import render_report
from auditor.certificates.visible import verify_visible
from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.language import Language
from auditor.errors import CertificateError, InvalidCertificateError
from auditor.proof.checkpoint import Checkpoint
from auditor.shipped import shipped
from auditor.workflow.desk.quarter import LateReason
from tests.certificates.conformance import shortcomings
from tests.certificates.messages import constants, in_template, said
from tests.certificates.test_languages import Marking, Said, unmarked
from tests.certificates.test_letters import places

MANY = {
    "outcomes": {"certified": 31, "refused": 3, "withdrawn": 4, "open": 7},
    "standing": {"no-longer-vouched-for": 6, "standing": 39},
    "flow": {"received-and-closed": 30, "received": 7, "closed": 8},
    "answers": {"in-time": 33, "late": 5, "running": 7},
    "lateness": {"legal-hold": 5},
    "verdicts": {"PASSED": 20, "INDETERMINATE": 11, "none": 14},
    "regimes": {"gdpr": 40, "uk-gdpr": 5},
}
NONE: dict[str, dict[str, int]] = {name: {} for name in MANY}
FEW = {**NONE, **{name: {next(iter(rows)): 3} for name, rows in MANY.items()}, "lateness": {}}


def facts(tables: dict[str, dict[str, int]] = MANY, **changes: object) -> QuarterFacts:
    made = QuarterFacts(
        quarter="2026Q4",
        first=date(2026, 10, 1),
        last=date(2026, 12, 31),
        number=2,
        issued=date(2027, 1, 10),
        as_of=date(2027, 1, 10),
        locale="en",
        parties=Parties(controller="Universitätsklinikum Lindenau", dpo="Dr. Kowalczyk"),
        ledger=Checkpoint(origin="auditor-ledger/1", size=812, root=b"r" * 32),
        cases=ReportFile(name="2026Q4-cases.csv", digest=Digest.of(b"cases")),
        findings=ReportFile(name="2026Q4-findings.json", digest=Digest.of(b"findings")),
        total=sum(tables["outcomes"].values()),
        tables=tables,
        seal=SealFacts(),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # of many types


def statement(made: QuarterFacts) -> dict[str, Any]:
    return dict(parse_report(report_bytes(made)))


def page(made: QuarterFacts) -> str:
    payload = report_bytes(made)
    return report_html(parse_report(payload), str(Digest.of(payload)))


def test_a_statement_holds_no_small_number() -> None:
    said = statement(facts())
    told = said["predicate"]
    rows = {table["name"]: table["rows"] for table in told["tables"]}
    assert rows["outcomes"] == [
        {"names": ["certified"], "count": "31"},
        {"names": ["open"], "count": "7"},
        {"names": ["refused", "withdrawn"], "count": "7"},
    ]
    assert told["cases"] == "45" and told["late"] == "yes"
    assert files_of(said) == (facts().cases, facts().findings)


def test_few_cases_are_said_to_be_few_and_none_to_be_none() -> None:
    few, none = statement(facts(FEW))["predicate"], statement(facts(NONE))["predicate"]
    assert few["cases"] == FEWER and few["late"] == "no"
    assert few["tables"] == []  # what few cases share is known of each
    assert none["cases"] == "0" and none["tables"] == []
    assert "fewer than 5" in page(facts(FEW)) and "3" not in few["summary"][1]


def test_one_late_answer_is_never_hidden() -> None:
    tables = {
        **FEW,
        "outcomes": {"certified": 50},
        "standing": {"standing": 50},
        "flow": {"received": 50},
        "answers": {"in-time": 49, "late": 1},
        "lateness": {"undecided": 1},
        "verdicts": {"PASSED": 50},
        "regimes": {"gdpr": 50},
    }
    told = statement(facts(tables))["predicate"]
    assert told["late"] == "yes"
    assert any("At least one answer was late" in line for line in told["summary"])
    rows = {table["name"]: table["rows"] for table in told["tables"]}
    assert rows["answers"] == [{"names": ["in-time", "late"], "count": "50"}]
    assert "lateness" not in rows and FEWER not in str(rows)
    assert any("why isn't told here" in line for line in told["summary"])


def test_no_small_number_follows_from_two_tables() -> None:
    """Six late of nine would leave three in time."""
    nine = {
        **NONE,
        **{name: {next(iter(rows)): 9} for name, rows in MANY.items()},
        "answers": {"in-time": 3, "late": 6},
        "lateness": {"undecided": 6},
    }
    told = statement(facts(nine))["predicate"]
    rows = {table["name"]: table["rows"] for table in told["tables"]}
    assert rows["answers"] == [{"names": ["in-time", "late"], "count": "9"}]
    assert "lateness" not in rows and told["late"] == "yes"
    assert any("why isn't told here" in line for line in told["summary"])
    both = {
        **nine,
        "outcomes": {"certified": 20, "open": 6},
        "standing": {"standing": 26},
        "flow": {"received-and-closed": 17, "received": 6, "closed": 3},
        "answers": {"in-time": 20, "no-limit": 6},
        "lateness": {},
        "verdicts": {"PASSED": 26},
        "regimes": {"gdpr": 17, "uk-gdpr": 3, "hipaa": 6},
    }
    told = statement(facts(both))["predicate"]
    rows = {table["name"]: table["rows"] for table in told["tables"]}
    for name in ("outcomes", "answers"):
        assert [row["count"] for row in rows[name]] == ["26"]


def test_that_no_answer_is_on_record_is_not_told_as_none_was_late() -> None:
    none_late = {**MANY, "answers": {"in-time": 38, "running": 7}, "lateness": {}}
    for answers, line_said in (
        ({"in-time": 38, "unanswered": 7}, "nothing on record says that the person was answered"),
        ({"in-time": 38, "running": 7}, "No answer was late."),
        ({"in-time": 38, "for-a-person": 7}, ""),  # whether it was isn't known
    ):
        told = statement(facts({**none_late, "answers": answers}))["predicate"]["summary"]
        assert sum("late" in line or "answered" in line for line in told) == bool(line_said)
        assert any(line_said in line for line in told)


def test_a_report_made_before_the_quarters_end_says_so() -> None:
    early = statement(facts(as_of=date(2026, 12, 31)))["predicate"]["summary"]
    assert any("not over" in line for line in early)
    assert not any("not over" in line for line in statement(facts())["predicate"]["summary"])


@pytest.mark.parametrize(
    "changes",
    [
        {"total": 44},
        {"as_of": date(2026, 9, 30)},
        {"tables": {**MANY, "regimes": {"gdpr": 45, "lgpd": 0}}},
        {"tables": {**MANY, "lateness": {"legal-hold": 4}}},
        {"tables": {**MANY, "flow": {"received": 44}}},
    ],
)
def test_counts_that_do_not_add_up_are_no_report(changes: dict[str, object]) -> None:
    with pytest.raises(CertificateError):
        facts(**changes)  # type: ignore[arg-type]  # of many types


def _amended(*path: str | int, value: object) -> bytes:
    said = json.loads(report_bytes(facts()))
    inner = said
    for step in path[:-1]:
        inner = inner[step]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return canonical_bytes(said)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        report_bytes(facts()) + b" ",
        _amended("predicateType", value="urn:auditor:erasure-certificate:v1"),
        _amended("predicate", "cases", value="4"),
        _amended("predicate", "cases", value="05"),
        _amended("predicate", "cases", value=None),
        _amended("predicate", "extra", value="1"),
        _amended("predicate", "tables", 0, "rows", 0, "names", value=["escaped"]),
        _amended("predicate", "tables", 0, "rows", 0, "names", value=[]),
        _amended("predicate", "tables", 0, "rows", 0, "count", value="1"),
        _amended("predicate", "number", value=0),
        _amended("predicate", "locale", value="it"),
        _amended("predicate", "summary", 0, value="two\nlines"),
        _amended("predicate", "controller", "name", value="St.\u202eelpmaxE"),
        _amended("subject", 0, "name", value="../cases.csv"),
        _amended("subject", 0, value=None),
    ],
)
def test_what_was_never_written_is_not_read(payload: bytes) -> None:
    with pytest.raises(CertificateError):
        parse_report(payload)


def test_the_schema_knows_every_word_and_no_other() -> None:
    schema = json.loads((shipped("templates") / quarter.SCHEMA).read_text(encoding="utf-8"))
    tables = schema["properties"]["predicate"]["properties"]["tables"]["items"]["properties"]
    rows = tables["rows"]["items"]["properties"]["names"]["items"]["enum"]
    assert rows == list(words.ROWS)
    assert tables["name"]["enum"] == list(words.TABLES) == list(MANY)
    assert {reason.value for reason in LateReason} <= set(words.ROWS)


def messages() -> set[str]:
    modules: tuple[ModuleType, ...] = (quarter, quarter_page, quarter_render, words)
    found = {*constants(words), *in_template("quarter.html.j2")}
    for module in modules:
        found |= {*said(Path(str(module.__file__)))}
    return {str(message) for message in found}


@pytest.mark.parametrize("locale", [each for each in LOCALES if each != "en"])
def test_every_message_has_its_translation(locale: str) -> None:
    with (shipped("templates") / "messages" / CATALOGUE / f"{locale}.po").open("rb") as file:
        own = {item.id: item.string for item in read_po(file, locale=locale) if item.id}
    language = language_of(locale, CATALOGUE)
    for message in messages() - {"CCPA", "HIPAA", "Ornament"}:
        assert message in own or language.say(message) != message, message
    assert set(own) - messages() == set()
    for message, text in own.items():
        assert text.strip() and places(text) == places(message), message
        assert text.endswith(".") == message.endswith("."), message


def test_every_word_of_the_page_comes_through_the_catalogue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    marking = Language(locale="en", translations=Marking())
    for module in (quarter, quarter_page):
        monkeypatch.setattr(module, "language_of", lambda *_: marking)
    for tables in (MANY, FEW, NONE):
        reader = Said()
        reader.feed(page(facts(tables)))
        left = unmarked(" ".join(reader.texts))
        left = re.sub(
            r"Universitätsklinikum Lindenau|Dr\. Kowalczyk|2026Q4(-cases\.csv|-findings\.json)?"
            r"|sha256|[0-9a-f]{8,16}|auditor|2026Q4",
            "",
            left,
        )
        assert re.findall(r"[^\W\d_]+", left) == []


@pytest.mark.parametrize("locale", LOCALES)
def test_the_pdf_shows_what_was_signed_and_its_bytes_stay(locale: str) -> None:
    payload = report_bytes(facts(locale=locale))
    said, digest = parse_report(payload), str(Digest.of(payload))
    pdf = render_report(said, digest, b"{}", "proof", "state")
    assert pdf == render_report(said, digest, b"{}", "proof", "state")
    verify_visible(pdf, report_html(said, digest))
    other = parse_report(report_bytes(facts(locale=locale, number=3)))
    with pytest.raises(InvalidCertificateError):
        verify_visible(pdf, report_html(other, digest))
    assert shortcomings(pdf) == []
    with pikepdf.open(BytesIO(pdf)) as document:
        assert str(document.Root.Lang) == locale
        assert len(document.pages) <= 2
        names = set(document.attachments)
    assert names == {"statement.dsse.json", "prepared.tlog-proof", "ledger.checkpoint"}


def test_what_no_verifier_could_read_is_not_printed() -> None:
    parties = Parties(controller="בית חולים", dpo="Dr. Kowalczyk")  # drawn from right to left
    payload = report_bytes(facts(parties=parties))
    with pytest.raises(CertificateError, match="no verifier could read"):
        render_report(parse_report(payload), str(Digest.of(payload)), b"{}", "proof", "state")
