"""A quarter's cases as a table, and as the counts that a report states.

The table names cases by their opaque ids, one a line: it stays in the house. Every cell is a token,
a day or empty, so none begins like a formula.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping

from auditor.domain.quarter import Quarter
from auditor.domain.request import Outcome, Regime
from auditor.domain.verdict import FindingStatus, Verdict
from auditor.workflow.desk.quarter import LateReason, QuarterReport, ReportLine

COLUMNS = (
    *("case", "received", "due", "closed", "in_time", "rule"),
    *("regime", "ground", "model", "state", "verdict", "basis", "outcome", "late_because"),
    "vouched_for",
)

_OPEN, _NO_VERDICT = "open", "none"
_RUNNING, _UNANSWERED = "running", "unanswered"
_ANSWERS = {
    FindingStatus.MET: "in-time",
    FindingStatus.NOT_MET: "late",
    FindingStatus.INSUFFICIENT: _RUNNING,
    FindingStatus.HUMAN_DECISION: "for-a-person",
    FindingStatus.NOT_APPLICABLE: "no-limit",
}


def table_row(item: ReportLine) -> dict[str, str]:
    """One case's cells, by column."""
    line, answer = item.line, item.answer
    cells = (
        line.case,
        str(line.received),
        "" if answer is None else str(answer.due),
        "" if item.closed is None else str(item.closed),
        "" if answer is None else answer.finding.status.value,
        "" if answer is None else answer.finding.rule_id,
        line.regime.value,
        line.ground.value,
        line.model,
        line.state,
        "" if line.verdict is None else line.verdict.value,
        item.basis,
        "" if line.outcome is None else line.outcome.value,
        "" if item.late is None else item.late.value,
        "" if item.closed is None else "yes" if item.vouched else "no",
    )
    return dict(zip(COLUMNS, cells, strict=True))


def table_csv(made: QuarterReport) -> bytes:
    """The cases as CSV (RFC 4180, UTF-8), with a header even without cases."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(map(table_row, made.lines))
    return text.getvalue().encode("utf-8")


def counted(made: QuarterReport) -> dict[str, dict[str, int]]:
    """Partitions of the cases: how many are what, in the order in which they are told."""
    lines = made.lines
    return {
        "outcomes": _tally(
            [*(outcome.value for outcome in Outcome), _OPEN],
            [_OPEN if i.line.outcome is None else i.line.outcome.value for i in lines],
        ),
        "standing": _tally(
            ["no-longer-vouched-for", "standing"],
            ["standing" if item.vouched else "no-longer-vouched-for" for item in lines],
        ),
        "flow": _tally(
            ["received-and-closed", "received", "closed", "carried-over"],
            [_flow(item, made.quarter) for item in lines],
        ),
        "answers": _tally([*_ANSWERS.values(), _UNANSWERED], list(map(_answered, lines))),
        "lateness": _tally(
            [reason.value for reason in LateReason],
            [item.late.value for item in lines if item.late is not None],
        ),
        "verdicts": _tally(
            [*(verdict.value for verdict in Verdict), _NO_VERDICT],
            [_NO_VERDICT if i.line.verdict is None else i.line.verdict.value for i in lines],
        ),
        "regimes": _tally(
            [regime.value for regime in Regime], [item.line.regime.value for item in lines]
        ),
    }


def _tally(names: list[str], found: list[str]) -> dict[str, int]:
    counts: Mapping[str, int] = Counter(found)
    return {name: counts[name] for name in names}


def _flow(item: ReportLine, quarter: Quarter) -> str:
    if item.line.received not in quarter:
        return "closed" if item.closed in quarter else "carried-over"
    return "received-and-closed" if item.closed in quarter else "received"


def _answered(item: ReportLine) -> str:
    if item.answer is None:
        return "no-limit"
    found = _ANSWERS[item.answer.finding.status]
    return _UNANSWERED if found == _RUNNING and item.judged > item.answer.due else found
