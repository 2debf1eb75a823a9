"""One quarter's cases as a hospital reports them: how each ended, and whether in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum

from auditor.domain import event as ev
from auditor.domain.case import project
from auditor.domain.entry import Recorded
from auditor.domain.quarter import Quarter
from auditor.domain.request import DecisionReason, LetterKind
from auditor.domain.verdict import FindingStatus
from auditor.errors import MisuseError
from auditor.policies.deadlines import Answer, answer_of
from auditor.policies.facts import CaseFacts
from auditor.policies.zone import local_day
from auditor.workflow.desk.library import case_facts, packs_pinned
from auditor.workflow.desk.quarter_plans import Finding, find_finding
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import CASE_PREFIX, load_case
from auditor.workflow.homes.register import CaseLine, case_line
from auditor.workflow.homes.steps import waits_for_approval


class LateReason(StrEnum):
    """Where a case stood on the last day of its time limit, where that was missed."""

    UNDECIDED = "undecided"
    LEGAL_HOLD = "legal-hold"
    IDENTITY = "identity-doubted"
    HELD = "held"
    RUN = "run-not-finished"
    APPROVAL = "approval-awaited"
    NOT_TOLD = "not-told"
    NOT_ERASED = "told-not-erased"


_HOLDS = {
    DecisionReason.LEGAL_HOLD: LateReason.LEGAL_HOLD,
    DecisionReason.IDENTITY_DOUBTED: LateReason.IDENTITY,
}

_ENDINGS = (LetterKind.REFUSED, LetterKind.CLOSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLine:
    """One case of the quarter.

    Attributes:
        basis: of assurance, as the certificate names it; "" without a verdict.
        closed: day its document was issued, by the writer's clock.
        answer: what the law's time limit for the answer was, and whether it was held; None where
            the regime knows none.
        finding: of the last audit; None without one.
        late: where the case stood on the last day, where that was missed; else None.
        judged: the day, of the case's time zone, on which all this was so.
        vouched: its document, if any, was neither withdrawn nor superseded since.
    """

    line: CaseLine
    basis: str
    closed: date | None
    answer: Answer | None
    finding: Finding | None
    late: LateReason | None
    judged: date
    vouched: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterReport:
    """Every case received in a quarter, closed in it or left open, as told on the day ``as_of``.

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
        return tuple(item for item in self.lines if item.late is not None)


def report_quarter(home: Home, quarter: Quarter) -> QuarterReport:
    """Audit the ledger, then read the quarter's cases out of it.

    Raises:
        MisuseError: the quarter hasn't begun.
        TamperedError: the ledger doesn't hash to what it should; nothing is reported from it.
    """
    today = require_begun(home, quarter)
    facts = (case_facts(home, case) for case in cases_in(home, quarter))
    return report_on(home, quarter, facts, today)


def require_begun(home: Home, quarter: Quarter) -> date:
    """Today on the controller's calendar, which must not lie before the quarter.

    Raises:
        MisuseError: it does.
    """
    today = local_day(datetime.now(UTC), home.config.time_zone)
    if today < quarter.first:
        raise MisuseError(f"{quarter.name} begins on {quarter.first}; there is nothing to report")
    return today


def report_on(
    home: Home, quarter: Quarter, cases: Iterable[CaseFacts], as_of: date
) -> QuarterReport:
    """As `report_quarter`, where the facts of the quarter's cases are at hand."""
    audited = home.ledger.audit()
    return QuarterReport(
        quarter=quarter,
        as_of=as_of,
        entries=audited.entries,
        root=audited.root,
        lines=tuple(_line(home, facts) for facts in cases),
    )


def cases_in(home: Home, quarter: Quarter) -> tuple[str, ...]:
    """Cases that were received in a quarter, closed in it or left open all through it.

    Oldest first. What nobody has answered since an earlier quarter is in every report until it is.

    Raises:
        TamperedError: an entry was changed.
    """
    streams = home.ledger.streams(CASE_PREFIX)
    return tuple(
        stream.removeprefix(CASE_PREFIX)
        for stream in streams
        if _concerned(home.ledger.replay(stream), quarter)
    )


def _concerned(records: Sequence[Recorded], quarter: Quarter) -> bool:
    received: date | None = None
    closed: date | None = None
    zone = "UTC"
    for record in records:
        match record.event:
            case ev.ErasureRequested(received=received, time_zone=zone):
                pass
            case ev.CertificateIssued():
                closed = _day(record, zone)
    return received is not None and quarter.concerns(received, closed)


def why_late(facts: CaseFacts, due: date) -> LateReason:
    """Where a case stood at the end of the last day of its time limit."""
    case = project(item.event for item in facts.stream if _day(item, facts.zone) <= due)
    if case.doubted:
        return LateReason.IDENTITY
    if case.decided is None:
        return LateReason.UNDECIDED
    if case.held:
        return _HOLDS.get(case.decided.reason, LateReason.HELD)
    if waits_for_approval(case):
        return LateReason.APPROVAL
    if case.granted and case.prepared is None:
        return LateReason.RUN
    return LateReason.NOT_ERASED if _told(facts, due) else LateReason.NOT_TOLD


def _told(facts: CaseFacts, due: date) -> bool:
    """Whether a letter on the end of the case left by that day, and was entered by it."""
    return any(
        leaf.event.letter in _ENDINGS and max(leaf.day, leaf.event.on) <= due
        for leaf in facts.all(ev.LetterSent)
    )


def _day(record: Recorded, zone: str) -> date:
    return local_day(datetime.fromisoformat(record.recorded_at), zone)


def _line(home: Home, facts: CaseFacts) -> ReportLine:
    case = facts.case
    state, answer = load_case(home, case), answer_of(packs_pinned(home, facts), facts)
    issued = facts.find_last(ev.CertificateIssued)
    missed = answer is not None and answer.finding.status is FindingStatus.NOT_MET
    return ReportLine(
        line=case_line(home, case),
        basis="" if state.reached is None else state.reached.basis.value,
        closed=None if issued is None else issued.day,
        answer=answer,
        finding=find_finding(home, state),
        late=why_late(facts, answer.due) if answer is not None and missed else None,
        judged=facts.as_of,
        vouched=state.withdrawn is None and state.superseded is None,
    )
