"""The signed report on a quarter, from the ledger to a stranger's verification."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from oscal_bindings.v1.models import AssessmentResultsDocument

from auditor.certificates import quarter_wording as words
from auditor.certificates.quarter import SCHEMA, STATE, parse_report
from auditor.certificates.quarter_render import render_report
from auditor.certificates.quarter_verify import verify_report
from auditor.certificates.sealed_pdf import read_sealed_pdf
from auditor.certificates.sealing import seal_pdf
from auditor.certificates.statement import ENVELOPE, PROOF
from auditor.certificates.verify import Status, VerificationReport, verify_certificate
from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.kind import Event
from auditor.domain.paper_events import WithdrawalReason
from auditor.domain.quarter import quarter_named
from auditor.domain.request import DecisionKind, DecisionReason, LetterKind, Outcome
from auditor.domain.verdict import FindingStatus
from auditor.errors import (
    CertificateError,
    InvalidCertificateError,
    LedgerError,
    MisuseError,
)
from auditor.policies.facts import CaseFacts
from auditor.policies.zone import local_day
from auditor.proof.dsse import verify_envelope
from auditor.proof.trust import parse_trust, trust_bytes
from auditor.shipped import shipped
from auditor.workflow.desk.library import case_facts
from auditor.workflow.desk.quarter import (
    LateReason,
    cases_in,
    report_on,
    report_quarter,
    why_late,
)
from auditor.workflow.documents import quarter_report
from auditor.workflow.documents.certificate_life import supersede, withdraw
from auditor.workflow.documents.quarter_check import verify_whole
from auditor.workflow.documents.quarter_report import Issued, issue_report
from auditor.workflow.documents.quarter_table import COLUMNS, counted, table_csv
from auditor.workflow.exports.cases import AssessedCase
from auditor.workflow.exports.gather import assess_facts
from auditor.workflow.exports.log import log_lines
from auditor.workflow.homes.home import Home, create_home
from tests.certificates.conftest import Issued as IssuedCertificate
from tests.certificates.conftest import issue_record
from tests.certificates.test_verify import add_an_attribute, mirror_s, rewritten
from tests.cli.conftest import Auditor, stock
from tests.policies import road
from tests.workflow import casebook

NOBODY = "MRN-0042-Doe"
TODAY = casebook.today()
QUARTER = quarter_named(f"{TODAY.year}Q{(TODAY.month + 2) // 3}")
PDF, CASES, FINDINGS = (f"{QUARTER.name}{end}" for end in (".pdf", "-cases.csv", "-findings.json"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """Two reports on one quarter, a certificate of the same home, and what a stranger has."""

    home: Home
    first: Issued
    second: Issued
    certificate: IssuedCertificate

    def verify(self, pdf: bytes | None = None, **files: bytes) -> VerificationReport:
        issued = self.second
        beside = {name: Digest.of(content) for name, content in issued.files.items()}
        beside |= {name: Digest.of(content) for name, content in files.items()}
        return verify_report(
            issued.files[PDF] if pdf is None else pdf,
            parse_trust(self.home.trust_path.read_bytes()),
            files=beside.get,
            now=datetime.now(UTC),
        )


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Papers]:
    home = create_home(
        tmp_path_factory.mktemp("quarter") / "home", controller="Klinikum", dpo="DPO office"
    )
    stock(home)
    for _ in range(6):
        casebook.filed(home, subject=NOBODY)
    casebook.filed(home, received=QUARTER.first - timedelta(days=1))
    closed = issue_record(home, casebook.refused(home, casebook.filed(home, subject=NOBODY)))
    first = issue_report(home, QUARTER, "en")
    yield Papers(
        home=home, first=first, second=issue_report(home, QUARTER, "de"), certificate=closed
    )
    home.close()


def failed(report: VerificationReport) -> str:
    assert report.status is Status.INVALID
    return next(check.name for check in report.checks if check.held is False)


def test_a_report_verifies_with_its_files(papers: Papers) -> None:
    report = papers.verify()
    assert report.status is Status.VALID, report.reason
    assert [check.number for check in report.checks] == list(range(1, 13))
    assert report.predicate is not None and report.predicate["number"] == 2
    assert report.predicate["cases"] == "8" and report.predicate["locale"] == "de"


def test_its_files_are_the_quarters_cases_and_findings(papers: Papers) -> None:
    files = papers.second.files
    assert list(files) == [CASES, FINDINGS, PDF]
    rows = list(csv.DictReader(io.StringIO(files[CASES].decode())))
    assert len(rows) == 8 and list(rows[0]) == list(COLUMNS)
    content = json.loads(files[FINDINGS])
    AssessmentResultsDocument.model_validate(content)
    told = [
        next(prop["value"] for prop in result["props"] if prop["name"] == "case")
        for result in content["assessment-results"]["results"]
    ]
    assert told == [row["case"] for row in rows]
    for content in files.values():
        assert NOBODY.encode() not in content


def test_no_cell_is_a_formula_to_a_spreadsheet(papers: Papers) -> None:
    for row in csv.reader(io.StringIO(papers.second.files[CASES].decode())):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)


def test_counts_are_partitions_of_the_cases(papers: Papers) -> None:
    made = report_quarter(papers.home, QUARTER)
    for name, counts in counted(made).items():
        assert sum(counts.values()) == (len(made.late) if name == "lateness" else len(made.lines))
    assert counted(made)["flow"] == {
        "received-and-closed": 1,
        "received": 6,
        "closed": 0,
        "carried-over": 1,
    }


def test_a_document_no_longer_vouched_for_is_counted_and_told(
    papers: Papers, tmp_path: Path
) -> None:
    """A report of after a withdrawal told its case as any other."""
    before = report_quarter(papers.home, QUARTER)
    assert counted(before)["standing"] == {"no-longer-vouched-for": 0, "standing": 8}
    with closing(create_home(tmp_path / "home", controller="Klinikum", dpo="DPO")) as home:
        stock(home)
        cases = [casebook.refused(home, casebook.filed(home, subject=f"p{n}")) for n in range(5)]
        first, second, third = (issue_record(home, case) for case in cases[:3])
        withdraw(home, first.case, WithdrawalReason.ISSUED_IN_ERROR)
        supersede(home, second.case, third.case)
        issued = issue_report(home, QUARTER, "en")
        assert counted(issued.report)["standing"] == {"no-longer-vouched-for": 2, "standing": 3}
        rows = csv.DictReader(io.StringIO(issued.files[CASES].decode()))
        told = {row["case"]: row["vouched_for"] for row in rows}
        assert told == dict(zip(cases, ("no", "no", "yes", "", ""), strict=True))
        trust = parse_trust(home.trust_path.read_bytes())
    found = verify_report(issued.files[PDF], trust, files={}.get, now=datetime.now(UTC))
    assert found.status is Status.VALID and found.predicate is not None
    assert words.SOME_NOT_VOUCHED_FOR in found.predicate["summary"]
    named = next(table for table in found.predicate["tables"] if table["name"] == "standing")
    assert [row["count"] for row in named["rows"]] == ["5"]  # two and three, told as one


def test_its_files_are_found_whatever_the_report_is_called(
    papers: Papers, auditor: Auditor, tmp_path: Path
) -> None:
    """By the names that the statement gives: a browser had put " (1)" into that of the PDF."""
    copy = tmp_path / f"{QUARTER.name} (1).pdf"
    copy.write_bytes(papers.second.files[PDF])
    (tmp_path / f"{QUARTER.name}-archive").mkdir()
    (tmp_path / f"{QUARTER.name} (1)-notes.txt").write_text("mine")
    words_ = ("report", "verify", copy, "--trust", papers.home.trust_path)
    assert auditor(*words_).code == 0
    (tmp_path / CASES).write_bytes(papers.second.files[CASES])
    ran = auditor(*words_, "--json").json
    assert (ran["checks"][-1]["held"], ran["checks"][-1]["detail"]) == (True, CASES)
    (tmp_path / CASES).write_bytes(papers.second.files[CASES] + b"forged\n")
    ran = auditor(*words_)
    assert ran.code == 3 and f"{CASES} isn't the file" in ran.out


def test_what_is_closed_is_in_no_later_report_and_what_is_open_is(papers: Papers) -> None:
    later = quarter_named(f"{QUARTER.last.year + 1}Q4")
    facts = [case_facts(papers.home, case) for case in cases_in(papers.home, later)]
    made = report_on(papers.home, later, facts, later.last)
    now = report_quarter(papers.home, QUARTER)
    still_open = [item.line.case for item in now.lines if item.closed is None]
    assert len(still_open) == len(now.lines) - 1
    assert [item.line.case for item in made.lines] == still_open
    assert counted(made)["flow"]["carried-over"] == len(still_open)
    predicate = {
        **(papers.verify().predicate or {}),
        **{"quarter": later.name, "first": str(later.first), "last": str(later.last)},
    }
    log = list(log_lines(papers.home.ledger))
    assert verify_whole(log, table_csv(made), predicate) == len(still_open)
    with pytest.raises(InvalidCertificateError, match="names 1 cases"):
        verify_whole(log, papers.second.files[CASES], predicate)


@pytest.mark.parametrize("name", [CASES, FINDINGS])
def test_another_file_beside_it_is_noticed(papers: Papers, name: str) -> None:
    assert failed(papers.verify(**{name: papers.second.files[name] + b" "})) == "files"
    assert papers.verify(**{"another.csv": b""}).status is Status.VALID


def test_without_its_files_the_report_stands_alone(papers: Papers) -> None:
    trust = parse_trust(papers.home.trust_path.read_bytes())
    pdf = papers.second.files[PDF]
    report = verify_report(pdf, trust, files={}.get, now=datetime.now(UTC))
    assert report.status is Status.VALID and report.checks[-1].held is None


@pytest.mark.parametrize("place", [200, 5_000, -2_000, -20])
def test_a_changed_byte_is_noticed(papers: Papers, place: int) -> None:
    pdf = bytearray(papers.second.files[PDF])
    pdf[place] ^= 1
    assert papers.verify(bytes(pdf)).status is Status.INVALID


@pytest.mark.parametrize("change", [mirror_s, add_an_attribute])
def test_no_other_file_is_made_under_the_same_seal(
    papers: Papers, change: Callable[[dict[str, Any]], None]
) -> None:
    """A report has no status that would name the one file that was issued."""
    assert failed(papers.verify(rewritten(papers.second.files[PDF], change))) == "seal"


def test_a_stranger_to_the_trust_file_is_noticed(papers: Papers, tmp_path: Path) -> None:
    other = create_home(tmp_path / "home", controller="Elsewhere", dpo="DPO")
    try:
        report = verify_report(
            papers.second.files[PDF], other.trust, files={}.get, now=datetime.now(UTC)
        )
    finally:
        other.close()
    assert failed(report) == "seal"


def test_neither_kind_of_paper_passes_for_the_other(papers: Papers) -> None:
    assert failed(papers.verify(papers.certificate.pdf)) == "attachments"
    trust = parse_trust(papers.home.trust_path.read_bytes())
    report = verify_certificate(papers.second.files[PDF], trust, now=datetime.now(UTC))
    assert failed(report) == "attachments"


def attached(issued: Issued) -> dict[str, bytes]:
    return dict(read_sealed_pdf(issued.files[PDF]).attachments)


def said(papers: Papers, issued: Issued) -> tuple[dict[str, Any], str]:
    keys = [key.verifier() for key in papers.home.trust.statement_keys]
    payload = verify_envelope(attached(issued)[ENVELOPE], keys).payload
    return dict(parse_report(payload)), str(Digest.of(payload))


def sealed(papers: Papers, shown: dict[str, Any], digest: str, **changes: bytes) -> bytes:
    """What whoever holds the seal, but no statement key, could make of the second report."""
    parts = {**attached(papers.second), **changes}
    pdf = render_report(
        shown, digest, parts[ENVELOPE], parts[PROOF].decode(), parts[STATE].decode()
    )
    return seal_pdf(pdf, papers.home.seal)


def test_a_page_that_shows_other_counts_is_noticed(papers: Papers) -> None:
    shown, digest = said(papers, papers.second)
    assert papers.verify(sealed(papers, shown, digest)).status is Status.VALID
    changed = {**shown, "predicate": {**shown["predicate"], "cases": "70", "late": "no"}}
    changed["predicate"]["tables"] = []
    assert failed(papers.verify(sealed(papers, changed, digest))) == "pages"


def test_parts_of_another_report_are_noticed(papers: Papers) -> None:
    (shown, digest), first = said(papers, papers.second), attached(papers.first)
    for part, name in ((ENVELOPE, "ledger"), (PROOF, "ledger"), (STATE, "state")):
        assert failed(papers.verify(sealed(papers, shown, digest, **{part: first[part]}))) == name


def test_a_statement_of_later_than_its_entry_is_noticed(papers: Papers) -> None:
    shown, digest = said(papers, papers.second)
    newest = (papers.home.root / "checkpoint.txt").read_bytes()
    assert failed(papers.verify(sealed(papers, shown, digest, **{STATE: newest}))) == "state"


def test_the_log_shows_that_the_list_is_whole(papers: Papers) -> None:
    predicate, log = papers.verify().predicate, list(log_lines(papers.home.ledger))
    assert predicate is not None
    listed = papers.second.files[CASES]
    assert verify_whole(log, listed, predicate) == 8
    lines = listed.decode().splitlines(keepends=True)
    other = lines[1].replace(lines[1].split(",")[0], "0" * 16)
    forged = {
        "leaves out 1": "".join(lines[:-1]),
        "names 1 cases": "".join([*lines, other]),
        "twice": "".join([*lines, lines[1]]),
        "can't be read": "id\n1\n",
    }
    for told, text in forged.items():
        with pytest.raises(InvalidCertificateError, match=told):
            verify_whole(log, text.encode(), predicate)


def test_a_log_of_another_ledger_shows_nothing(papers: Papers) -> None:
    predicate, log = papers.verify().predicate, list(log_lines(papers.home.ledger))
    assert predicate is not None
    size, listed = predicate["ledger"]["size"], papers.second.files[CASES]
    fields = json.loads(log[5])
    later = canonical_bytes({**fields, "recorded_at": "2027-01-01T00:00:00Z"}) + b"\n"
    for told, changed in (
        ("not that of the ledger", log[: size - 1]),
        ("not that of the ledger", [*log[:5], later, *log[6:]]),
        ("not that of the ledger", []),
        ("line 4 of the log is entry 4", [*log[:3], log[4], log[3], *log[5:]]),
        ("line 1 of the log can't be read", [b"{}", *log[1:]]),
        ("line 1 of the log can't be read", [b"\xff", *log[1:]]),
    ):
        with pytest.raises(InvalidCertificateError, match=told):
            verify_whole(changed, listed, predicate)


@pytest.mark.parametrize(
    ("zone", "moment"),
    [("No/Where", "2026-12-01T10:00:00Z"), ("America/Lima", "0001-01-01T00:00:00Z")],
)
def test_what_a_strangers_log_says_of_days_is_read_with_care(
    papers: Papers, zone: str, moment: str
) -> None:
    predicate, log = papers.verify().predicate, list(log_lines(papers.home.ledger))
    assert predicate is not None

    def changed(line: bytes) -> bytes:
        fields = json.loads(line)
        if fields["kind"].startswith("erasure-requested"):
            fields["data"]["time_zone"] = zone
        if fields["kind"].startswith("certificate-issued"):
            fields["recorded_at"] = moment
        return canonical_bytes(fields) + b"\n"

    with pytest.raises(InvalidCertificateError, match="an entry that can't be read"):
        verify_whole(map(changed, log), papers.second.files[CASES], predicate)


@pytest.mark.parametrize("zone", ["Pacific/Niue", "Pacific/Kiritimati"])
def test_a_report_is_valid_from_its_first_hour_in_every_zone(tmp_path: Path, zone: str) -> None:
    """One of these has another day than UTC, in which keys are counted, at any hour."""
    home = create_home(tmp_path / "home", controller="Klinikum", dpo="DPO", time_zone=zone)
    stock(home)
    now = datetime.now(UTC)
    local = local_day(now, zone)
    quarter = quarter_named(f"{local.year}Q{(local.month + 2) // 3}")
    issued = issue_report(home, quarter, "en")
    digests = {name: Digest.of(content) for name, content in issued.files.items()}
    *_, pdf = issued.files.values()
    found = verify_report(pdf, home.trust, files=digests.get, now=datetime.now(UTC))
    assert found.status is Status.VALID, found.reason
    assert found.predicate is not None
    assert found.predicate["issued"] in (str(now.date()), str(datetime.now(UTC).date()))
    assert found.predicate["asOf"] == str(issued.report.as_of)
    assert issued.report.as_of in (local, local_day(datetime.now(UTC), zone))
    home.close()


def test_a_report_that_would_not_be_valid_is_not_made(tmp_path: Path) -> None:
    home = create_home(tmp_path / "home", controller="Klinikum", dpo="DPO")
    stock(home)
    home.trust_path.write_bytes(trust_bytes(replace(home.trust, minimum_seal_level="B-T")))
    with pytest.raises(CertificateError, match="so none is made: the trust file asks for a seal"):
        issue_report(home, QUARTER, "en")
    home.close()


def test_reports_are_numbered_on_the_books(papers: Papers) -> None:
    events = [item.event for item in papers.home.ledger.replay(f"quarter:{QUARTER.name}")]
    assert [event.number for event in events if isinstance(event, ev.QuarterReported)] == [1, 2]
    assert (papers.first.number, papers.second.number) == (1, 2)
    assert table_csv(papers.first.report) == papers.second.files[CASES]


def test_what_is_written_meanwhile_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(home: Home, facts: CaseFacts) -> AssessedCase:
        casebook.filed(home)
        return assess_facts(home, facts)

    monkeypatch.setattr(quarter_report, "assess_facts", meanwhile)
    with closing(create_home(tmp_path / "home", controller="Klinikum", dpo="DPO office")) as home:
        stock(home)
        casebook.filed(home)
        with pytest.raises(LedgerError, match="meanwhile"):
            issue_report(home, QUARTER, "en")


def test_the_schema_is_printed(auditor: Auditor) -> None:
    shown = auditor("certificate", "schema", "--of", "report").json
    assert shown == json.loads((shipped("templates") / SCHEMA).read_text(encoding="utf-8"))


def test_a_quarter_yet_to_come_is_not_reported(papers: Papers) -> None:
    size, later = papers.home.ledger.size, quarter_named(f"{TODAY.year + 1}Q4")
    with pytest.raises(MisuseError, match="begins on"):
        issue_report(papers.home, later, "en")
    with pytest.raises(MisuseError, match="begins on"):
        report_quarter(papers.home, later)
    assert papers.home.ledger.size == size


def test_the_command_writes_and_verifies_it(
    papers: Papers, auditor: Auditor, tmp_path: Path
) -> None:
    home = papers.home.root
    to = ("report", "quarter", QUARTER.name, "--to", tmp_path, "--language", "fr", "--home", home)
    ran = auditor(*to, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["files"] == [CASES, FINDINGS, PDF] and ran.json["report"] == 3
    before = (home / "ledger.db").read_bytes()
    ran = auditor(*to)
    assert ran.code == 2 and f"holds {CASES} already" in ran.err
    assert (home / "ledger.db").read_bytes() == before
    log = tmp_path / "log.jsonl"
    auditor("report", "export", "--format", "jsonl", "--to", log, "--home", home)
    verify = ("report", "verify", tmp_path / PDF, "--trust", home / "trust.json")
    ran = auditor(*verify, "--log", log, "--json")
    assert (ran.code, ran.json["status"]) == (0, "VALID"), ran.err
    assert ran.json["whole"] == "the list names all 8 of its cases"
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-6]))
    ran = auditor(*verify, "--log", cut, "--json")
    assert (ran.code, ran.json["status"]) == (3, "INVALID") and "not that of" in ran.json["reason"]
    assert ran.json["predicate"] is None
    lines = (tmp_path / CASES).read_bytes().splitlines(keepends=True)
    (tmp_path / CASES).write_bytes(b"".join(lines[:-1]))
    ran = auditor(*verify, "--log", log)
    assert ran.code == 3 and "isn't the file" in ran.out
    (tmp_path / CASES).unlink()
    assert auditor(*verify).code == 0
    assert auditor(*verify, "--log", log).code == 2
    os.mkfifo(tmp_path / CASES)
    ran = auditor(*verify)
    assert (ran.code, "a named pipe" in ran.err) == (1, True)
    assert (
        auditor("report", "quarter", QUARTER.name, "--to", tmp_path / "no", "--home", home).code
        == 2
    )
    assert auditor("report", "quarter", QUARTER.name, "--language", "de", "--home", home).code == 2


DUE = date(2027, 3, 1)  # of a request received on `road.RECEIVED`


def case_of(*events: Event) -> CaseFacts:
    """A request and what came after it, a day each."""
    stream = f"case:{road.CASE}"
    entries = [road.road()[1], *((stream, road.RECEIVED, event) for event in events)]
    return road.facts(entries, as_of=DUE + timedelta(days=9))


def decision(kind: DecisionKind, reason: DecisionReason = DecisionReason.NONE) -> Event:
    return ev.RequestDecided(case=road.CASE, decision=kind, reason=reason, actor="dpo")


def letter(kind: LetterKind, on: date) -> Event:
    return ev.LetterSent(
        case=road.CASE, letter=kind, language="de", document=Digest.of(b""), on=on, actor="dpo"
    )


PREPARED = ev.CertificatePrepared(
    case=road.CASE, outcome=Outcome.CERTIFIED, envelope=Digest.of(b"")
)
DRAFTED = ev.ApprovalRequested(case=road.CASE, outcome=Outcome.CERTIFIED, envelope=Digest.of(b""))
HOLD, GRANT = DecisionKind.HELD, decision(DecisionKind.GRANTED)


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ((), LateReason.UNDECIDED),
        ((decision(HOLD, DecisionReason.LEGAL_HOLD),), LateReason.LEGAL_HOLD),
        ((decision(HOLD, DecisionReason.IDENTITY_DOUBTED),), LateReason.IDENTITY),
        ((decision(HOLD),), LateReason.HELD),
        ((GRANT,), LateReason.RUN),
        ((GRANT, DRAFTED), LateReason.APPROVAL),
        ((GRANT, PREPARED), LateReason.NOT_TOLD),
        ((GRANT, PREPARED, letter(LetterKind.CLOSED, DUE)), LateReason.NOT_ERASED),
        ((GRANT, PREPARED, letter(LetterKind.GRANTED, DUE)), LateReason.NOT_TOLD),
        (
            (GRANT, PREPARED, letter(LetterKind.CLOSED, DUE + timedelta(days=1))),
            LateReason.NOT_TOLD,
        ),
        ((decision(DecisionKind.REFUSED, DecisionReason.NO_GROUND),), LateReason.NOT_TOLD),
    ],
)
def test_why_an_answer_is_late(events: tuple[Event, ...], reason: LateReason) -> None:
    assert why_late(case_of(*events), DUE) is reason


def test_only_what_was_so_on_the_last_day_counts() -> None:
    stream = f"case:{road.CASE}"
    entries = [road.road()[1], (stream, DUE + timedelta(days=1), GRANT)]
    late = road.facts(entries, as_of=DUE + timedelta(days=9))
    assert why_late(late, DUE) is LateReason.UNDECIDED
    assert why_late(late, DUE + timedelta(days=1)) is LateReason.RUN


def test_a_letter_that_was_entered_after_the_last_day_told_nobody_by_then() -> None:
    stream, sent = f"case:{road.CASE}", letter(LetterKind.CLOSED, DUE)
    entries = [road.road()[1], (stream, road.RECEIVED, GRANT), (stream, road.RECEIVED, PREPARED)]
    later = [*entries, (stream, DUE + timedelta(days=1), sent)]
    facts = road.facts(later, as_of=DUE + timedelta(days=9))
    assert why_late(facts, DUE) is LateReason.NOT_TOLD


def test_a_refusal_of_which_nobody_was_told_is_no_running_time_limit(tmp_path: Path) -> None:
    home = create_home(tmp_path / "home", controller="Klinikum", dpo="DPO")
    try:
        stock(home)
        last = TODAY - timedelta(days=2)
        casebook.refused(home, casebook.filed(home, received=last))
        made = report_quarter(home, quarter_named(f"{last.year}Q{(last.month + 2) // 3}"))
    finally:
        home.close()
    (line,) = made.lines
    assert line.answer is not None
    due = line.answer.due  # by the case's own calendar, whatever day it is for UTC
    for days, told in ((0, "running"), (1, "unanswered")):
        judged = replace(line, judged=due + timedelta(days=days))
        answers = counted(replace(made, as_of=due + timedelta(days=1), lines=(judged,)))["answers"]
        assert {name: count for name, count in answers.items() if count} == {told: 1}


def test_a_late_case_is_told_with_its_reason(tmp_path: Path) -> None:
    home = create_home(tmp_path / "home", controller="Klinikum", dpo="DPO")
    try:
        stock(home)
        received = TODAY - timedelta(days=70)
        casebook.filed(home, received=received)
        name = f"{received.year}Q{(received.month + 2) // 3}"
        made = report_quarter(home, quarter_named(name))
    finally:
        home.close()
    (line,) = made.late
    assert line.late is LateReason.UNDECIDED
    assert line.answer is not None and line.answer.finding.status is FindingStatus.NOT_MET
    assert counted(made)["lateness"]["undecided"] == counted(made)["answers"]["late"] == 1
