"""A quarter's report, signed: from the ledger to the papers.

    ledger's state signed -> cases read from it -> list of cases and findings -> DSSE signed over
    both digests and the counts -> `quarter-reported` appended -> checkpoint -> tlog-proof -> PDF
    rendered with all attached -> sealed -> files written, the PDF last

Stopped before the PDF is there, the next run makes the quarter's next report.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from auditor.certificates.facts import Parties
from auditor.certificates.quarter import QuarterFacts, ReportFile, parse_report, report_bytes
from auditor.certificates.quarter_render import render_report
from auditor.certificates.sealing import seal_pdf
from auditor.certificates.statement import PAYLOAD_TYPE
from auditor.domain.artefact import Digest
from auditor.domain.event import QuarterReported
from auditor.domain.quarter import Quarter
from auditor.errors import LedgerError, MisuseError
from auditor.policies.zone import local_day
from auditor.proof.dsse import sign_envelope
from auditor.workflow.exports.gather import assess_facts, signed_state
from auditor.workflow.exports.oscal import assessment_results
from auditor.workflow.files import write_file
from auditor.workflow.home import Home
from auditor.workflow.library import case_facts
from auditor.workflow.notary import prove_entry
from auditor.workflow.quarter import QuarterReport, cases_in, report_on
from auditor.workflow.quarter_table import counted, table_csv
from auditor.workflow.record import record
from auditor.workflow.seals import seal_facts, trusted_time

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
        CertificateError: too few witnesses answer, or the PDF can't be made.
    """
    today = local_day(datetime.now(UTC), home.config.time_zone)
    if today < quarter.first:
        raise MisuseError(f"{quarter.name} begins on {quarter.first}; there is nothing to report")
    facts = [case_facts(home, case) for case in cases_in(home, quarter)]
    assessed = [assess_facts(home, each) for each in facts]
    signed, made = signed_state(home, assessed), report_on(home, quarter, facts)
    if (made.entries, made.root) != (signed.checkpoint.size, signed.checkpoint.root):
        raise LedgerError("the ledger was written to meanwhile; report on the quarter again")
    listed = table_csv(made)
    found = assessment_results(
        assessed,
        signed,
        title=f"Erasure cases {quarter.name}",
        controller=home.config.controller,
    )
    names = f"{quarter.name}-cases.csv", f"{quarter.name}-findings.json"
    stream = f"{QUARTER_PREFIX}{quarter.name}"
    number = home.ledger.version(stream) + 1
    payload = report_bytes(
        QuarterFacts(
            quarter=quarter.name,
            first=quarter.first,
            last=quarter.last,
            number=number,
            issued=today,
            locale=locale,
            parties=Parties(controller=home.config.controller, dpo=home.config.dpo),
            ledger=signed.checkpoint,
            cases=ReportFile(name=names[0], digest=Digest.of(listed)),
            findings=ReportFile(name=names[1], digest=Digest.of(found)),
            total=len(made.lines),
            tables=counted(made),
            seal=seal_facts(home),
        )
    )
    envelope = sign_envelope(PAYLOAD_TYPE, payload, home.statement_signers)
    event = QuarterReported(quarter=quarter.name, number=number, envelope=home.store.put(envelope))
    proof = prove_entry(home, record(home, stream, event, f"reported-{number}"))
    statement, digest = parse_report(payload), str(Digest.of(payload))
    pdf = render_report(statement, digest, envelope, proof, signed.note)
    sealed = seal_pdf(pdf, home.seal, trusted_time(home, home.config.seal_level))
    files = {names[0]: listed, names[1]: found, f"{quarter.name}.pdf": sealed}
    return Issued(report=made, number=number, files=files)


def write_report(issued: Issued, folder: Path) -> None:
    """Write a report's files into a folder, the PDF last.

    Raises:
        HomeError: a file can't be written.
    """
    for name, content in issued.files.items():
        write_file(folder / name, content)
