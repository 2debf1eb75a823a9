"""A quarter's report, signed: from the ledger to the papers.

    ledger's state signed -> cases read from it -> list of cases and findings -> DSSE signed over
    both digests and the counts -> `quarter-reported` appended -> checkpoint -> tlog-proof -> PDF
    rendered with all attached -> sealed -> files written, the PDF last

Stopped before the PDF is there, the next run makes the quarter's next report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from auditor.certificates.facts import Parties
from auditor.certificates.quarter import QuarterFacts, ReportFile, parse_report, report_bytes
from auditor.certificates.quarter_render import render_report
from auditor.certificates.quarter_verify import verify_report
from auditor.certificates.sealing import seal_pdf
from auditor.certificates.statement import PAYLOAD_TYPE
from auditor.certificates.verify import Status
from auditor.domain.artefact import Digest
from auditor.domain.event import QuarterReported
from auditor.domain.quarter import Quarter
from auditor.errors import CertificateError, LedgerError
from auditor.proof.dsse import sign_envelope
from auditor.workflow.desk.library import case_facts
from auditor.workflow.desk.quarter import QuarterReport, cases_in, report_on, require_begun
from auditor.workflow.documents.notary import prove_entry
from auditor.workflow.documents.quarter_table import counted, table_csv
from auditor.workflow.exports.cases import Signed
from auditor.workflow.exports.gather import assess_facts, signed_state
from auditor.workflow.exports.oscal import assessment_results
from auditor.workflow.homes.files import write_file
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import record
from auditor.workflow.log.seals import seal_facts, trusted_time

QUARTER_PREFIX = "quarter:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A report as it was made.

    Attributes:
        number: of the report on that quarter.
        files: by name; the sealed PDF is the last.
    """

    report: QuarterReport
    number: int
    files: dict[str, bytes]


def issue_report(home: Home, quarter: Quarter, locale: str) -> Issued:
    """Read a quarter's cases out of the ledger, and sign what there is to tell of them.

    Args:
        locale: language of the report, one of `catalogue.LOCALES`.

    Raises:
        MisuseError: the quarter hasn't begun.
        TamperedError: the ledger isn't what was last signed, or was changed.
        LedgerError: somebody wrote to it meanwhile.
        CertificateError: too few witnesses answer, or the PDF can't be made, or wouldn't be valid.
    """
    read = _read(home, quarter, require_begun(home, quarter))
    stream = f"{QUARTER_PREFIX}{quarter.name}"
    number = home.ledger.version(stream) + 1
    payload = report_bytes(_facts(home, read, number=number, locale=locale))
    envelope = sign_envelope(PAYLOAD_TYPE, payload, home.statement_signers)
    event = QuarterReported(quarter=quarter.name, number=number, envelope=home.store.put(envelope))
    proof = prove_entry(home, record(home, stream, event, f"reported-{number}"))
    statement, digest = parse_report(payload), str(Digest.of(payload))
    pdf = render_report(statement, digest, envelope, proof, read.signed.note)
    sealed = seal_pdf(pdf, home.seal, trusted_time(home, home.config.seal_level))
    contents = (read.listed, read.found, sealed)
    files = dict(zip(names_of(quarter), contents, strict=True))
    _require_valid(home, sealed, files)
    return Issued(report=read.report, number=number, files=files)


def names_of(quarter: Quarter) -> tuple[str, str, str]:
    """Of a report's files: the list of cases, the findings, and the PDF."""
    return f"{quarter.name}-cases.csv", f"{quarter.name}-findings.json", f"{quarter.name}.pdf"


def _require_valid(home: Home, sealed: bytes, files: Mapping[str, bytes]) -> None:
    """See that whoever verifies the report today finds it valid."""
    beside = {name: Digest.of(content) for name, content in files.items()}
    report = verify_report(sealed, home.trust, files=beside.get, now=datetime.now(UTC))
    if report.status is Status.INVALID:
        raise CertificateError(f"the report wouldn't be valid, so none is made: {report.reason}")


def write_report(issued: Issued, folder: Path) -> None:
    """Write a report's files into a folder, the PDF last.

    Raises:
        HomeError: a file can't be written.
    """
    for name, content in issued.files.items():
        write_file(folder / name, content)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A quarter as one signed state of the ledger tells it, and the two files made of that."""

    report: QuarterReport
    signed: Signed
    listed: bytes
    found: bytes

    @property
    def cases(self) -> ReportFile:
        return ReportFile(name=names_of(self.report.quarter)[0], digest=Digest.of(self.listed))

    @property
    def findings(self) -> ReportFile:
        return ReportFile(name=names_of(self.report.quarter)[1], digest=Digest.of(self.found))


def _read(home: Home, quarter: Quarter, as_of: date) -> _Read:
    before = home.ledger.size
    facts = [case_facts(home, case) for case in cases_in(home, quarter)]
    assessed = [assess_facts(home, each) for each in facts]
    signed, made = signed_state(home, assessed), report_on(home, quarter, facts, as_of)
    if {before, made.entries, home.ledger.size} != {signed.checkpoint.size}:
        raise LedgerError("the ledger was written to meanwhile; report on the quarter again")
    title, controller = f"Erasure cases {quarter.name}", home.config.controller
    found = assessment_results(assessed, signed, title=title, controller=controller)
    return _Read(report=made, signed=signed, listed=table_csv(made), found=found)


def _facts(home: Home, read: _Read, *, number: int, locale: str) -> QuarterFacts:
    quarter = read.report.quarter
    return QuarterFacts(
        quarter=quarter.name,
        first=quarter.first,
        last=quarter.last,
        number=number,
        issued=datetime.now(UTC).date(),
        as_of=read.report.as_of,
        locale=locale,
        parties=Parties(controller=home.config.controller, dpo=home.config.dpo),
        ledger=read.signed.checkpoint,
        cases=read.cases,
        findings=read.findings,
        total=len(read.report.lines),
        tables=counted(read.report),
        seal=seal_facts(home),
    )
