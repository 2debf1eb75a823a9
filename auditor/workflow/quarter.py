"""One quarter's cases as a hospital reports them: how each ended, and whether in time."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime

from auditor.domain import event as ev
from auditor.domain.verdict import FindingStatus
from auditor.errors import MisuseError
from auditor.policies.deadlines import Answer, answer_of
from auditor.workflow.home import Home
from auditor.workflow.library import case_facts, packs_of
from auditor.workflow.quarter_plans import Finding, find_finding
from auditor.workflow.record import load_case
from auditor.workflow.register import CaseLine, case_line

_QUARTER = re.compile(r"([0-9]{4})Q([1-4])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarter:
    """A calendar quarter; both days belong to it."""

    name: str
    first: date
    last: date

    def __contains__(self, day: date | None) -> bool:
        return day is not None and self.first <= day <= self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLine:
    """One case of the quarter.

    Attributes:
        basis: of assurance, as the certificate names it; "" without a verdict.
        closed: day its document was issued, by the writer's clock.
        answer: what the law's time limit for the answer was, and whether it was held; None where
            the regime knows none.
        finding: of the last audit; None without one.
    """

    line: CaseLine
    basis: str
    closed: date | None
    answer: Answer | None
    finding: Finding | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterReport:
    """Every case received or closed in a quarter, as the ledger told it on the day ``as_of``.

    Attributes:
        entries: of the ledger, all of them audited for this report.
        root: its RFC 6962 root, which a signed checkpoint vouches for.
    """

    quarter: Quarter
    as_of: date
    entries: int
    root: bytes
    lines: tuple[ReportLine, ...]

    @property
    def outcomes(self) -> dict[str, int]:
        """Cases by how they ended; ``open`` are those that haven't."""
        ended = (
            "open" if item.line.outcome is None else item.line.outcome.value for item in self.lines
        )
        return dict(sorted(Counter(ended).items()))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the audits found, case by case."""
        return tuple(item.finding for item in self.lines if item.finding is not None)

    @property
    def late(self) -> tuple[ReportLine, ...]:
        """Cases whose answer missed its time limit."""
        return tuple(
            item
            for item in self.lines
            if item.answer is not None and item.answer.finding.status is FindingStatus.NOT_MET
        )


def quarter_named(name: str) -> Quarter:
    """The quarter called ``2026Q4``.

    Raises:
        MisuseError: no such name.

    >>> quarter_named("2026Q4").last
    datetime.date(2026, 12, 31)
    """
    found = _QUARTER.fullmatch(name)
    if found is None or found[1] in ("0000", "9999"):
        raise MisuseError(f"{name!r} names no quarter; write it as 2026Q4")
    year, number = int(found[1]), int(found[2])
    last_day = {1: 31, 2: 30, 3: 30, 4: 31}[number]
    return Quarter(
        name=name,
        first=date(year, 3 * number - 2, 1),
        last=date(year, 3 * number, last_day),
    )


def report_quarter(home: Home, quarter: Quarter) -> QuarterReport:
    """Audit the ledger, then read the quarter's cases out of it.

    Raises:
        TamperedError: the ledger doesn't hash to what it should; nothing is reported from it.
    """
    audited = home.ledger.audit()
    lines = (
        _find_line(home, stream.removeprefix("case:"), quarter)
        for stream in home.ledger.streams("case:")
    )
    return QuarterReport(
        quarter=quarter,
        as_of=datetime.now(UTC).date(),
        entries=audited.entries,
        root=audited.root,
        lines=tuple(item for item in lines if item is not None),
    )


def _find_line(home: Home, case: str, quarter: Quarter) -> ReportLine | None:
    """The line of a case that was received or closed in the quarter."""
    state, facts = load_case(home, case), case_facts(home, case)
    line, issued = case_line(home, case), facts.find_last(ev.CertificateIssued)
    closed = None if issued is None else issued.day
    if line.received not in quarter and closed not in quarter:
        return None
    return ReportLine(
        line=line,
        basis="" if state.reached is None else state.reached.basis.value,
        closed=closed,
        answer=answer_of(packs_of(home, case), facts),
        finding=find_finding(home, state),
    )
