"""`auditor report`: what a hospital tells about a quarter."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option
from auditor.cli.report_export import export

if TYPE_CHECKING:
    from auditor.workflow.quarter import QuarterReport, ReportLine

_COLUMNS = (
    *("case", "received", "due", "closed", "in_time", "rule"),
    *("regime", "ground", "model", "state", "verdict", "basis", "outcome"),
)


@click.group()
def report() -> None:
    """Report on a quarter's cases."""


@report.command()
@click.argument("name", metavar="QUARTER")
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the cases to this file as CSV.",
)
@home_option
@json_option
def quarter(name: str, table: Path | None, home: Path | None, as_json: bool) -> None:
    """Every case received or closed in QUARTER (as in 2026Q4), after an audit of the ledger.

    The table is not signed; each case's own document is. The ledger's size and root say which
    ledger it was read from.
    """
    from auditor.workflow.files import write_file
    from auditor.workflow.quarter import quarter_named, report_quarter

    made = report_quarter(open_home(home), quarter_named(name))
    rows = [_row(item) for item in made.lines]
    if table is not None:
        write_file(table, _csv(rows).encode())
    if as_json:
        emit({**_summary(made), "cases": rows}, as_json)
    else:
        emit(_summary(made), as_json)
        emit(rows, as_json)


def _summary(made: QuarterReport) -> dict[str, object]:
    return {
        "quarter": made.quarter.name,
        "from": str(made.quarter.first),
        "to": str(made.quarter.last),
        "as_of": str(made.as_of),
        "cases_in_all": len(made.lines),
        **{name.replace("-", "_"): count for name, count in made.outcomes.items()},
        "late": len(made.late),
        "audited": len(made.findings),
        "failed": sum(item.failed for item in made.findings),
        # the number expected if every candidate were a true retrain
        "failed_by_chance_at_most": round(sum(item.alpha for item in made.findings), 2),
        "failed_confirmed": sum(item.confirmed for item in made.findings),
        "ledger_entries": made.entries,
        "ledger_root": made.root.hex(),
    }


def _row(item: ReportLine) -> dict[str, str]:
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
    )
    return dict(zip(_COLUMNS, cells, strict=True))


def _csv(rows: list[dict[str, str]]) -> str:
    """RFC 4180, a header even without cases."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


report.add_command(export)
