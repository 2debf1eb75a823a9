"""`auditor request list`: the desk's day, as wide as the terminal is."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option

if TYPE_CHECKING:
    from auditor.workflow.desk.dashboard import DeskLine

_SOON = 7
_GAP = "  "
# In the order in which they are let go of, from the right, where the terminal is narrow.
_COLUMNS = (
    *("case", "due", "left", "waits for", "state", "restricted", "received"),
    *("regime", "ground", "model", "verdict", "outcome"),
)
_LEAST = 4


@click.command("list")
@click.option("--all", "closed", is_flag=True, help="Closed cases, too.")
@home_option
@json_option
def list_(closed: bool, home: Path | None, as_json: bool) -> None:
    """List the cases that wait for somebody: what is due, what is late, who has to act.

    The soonest due comes first.
    """
    from auditor.workflow.desk.dashboard import desk_lines

    lines = desk_lines(open_home(home), closed=closed)
    if as_json:
        emit([_fields(line) for line in lines], as_json)
    elif not lines:
        click.echo("no case waits for anybody" if not closed else "no case yet", err=True)
    else:
        _print(lines, _width())


def _fields(line: DeskLine) -> dict[str, object]:
    case = line.line
    return {
        "case": case.case,
        "due": "" if line.due is None else str(line.due),
        "days_left": line.left,
        "late": line.late,
        "clock_stopped": case.paused,
        "waits_for": case.waits_for.value,
        "state": case.state,
        "restricted": case.restricted,
        "received": str(case.received),
        "regime": case.regime.value,
        "ground": case.ground.value,
        "model": case.model,
        "verdict": "" if case.verdict is None else case.verdict.value,
        "outcome": "" if case.outcome is None else case.outcome.value,
    }


def _print(lines: Sequence[DeskLine], width: int) -> None:
    rows = [_cells(line) for line in lines]
    names = _fitting(rows, width)
    widths = _widths(rows, names)
    if _wide(widths) > width:
        _print_stacked(lines, rows)
    else:
        click.echo(_joined(names, widths))
        for line, row in zip(lines, rows, strict=True):
            click.echo(_coloured(line, _joined([row[name] for name in names], widths)))
    click.echo()
    for text in _sums(lines):
        click.echo(text)


def _cells(line: DeskLine) -> dict[str, str]:
    fields = {name.replace("_", " "): str(value) for name, value in _fields(line).items()}
    return {
        **{name: fields.get(name, "") for name in _COLUMNS},
        "left": _left(line),
        "restricted": "yes" if line.line.restricted else "",
    }


def _left(line: DeskLine) -> str:
    if line.left is None:
        return ""
    if line.late:
        return f"LATE {_days(-line.left)}"
    if line.line.paused:
        return "stands still"
    return "today" if line.left == 0 else _days(line.left)


def _days(count: int) -> str:
    return f"{count} day" if count == 1 else f"{count} days"


def _fitting(rows: Sequence[Mapping[str, str]], width: int) -> Sequence[str]:
    """The columns that hold something, as many of them as fit; never fewer than the first four."""
    names = [name for name in _COLUMNS[_LEAST:] if any(row[name] for row in rows)]
    fitting = [*_COLUMNS[:_LEAST], *names]
    while len(fitting) > _LEAST and _wide(_widths(rows, fitting)) > width:
        fitting.pop()
    return fitting


def _widths(rows: Sequence[Mapping[str, str]], names: Sequence[str]) -> Sequence[int]:
    return [max(len(name), *(len(row[name]) for row in rows)) for name in names]


def _wide(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return _GAP.join(padded).rstrip()


def _print_stacked(lines: Sequence[DeskLine], rows: Sequence[Mapping[str, str]]) -> None:
    """Two short lines for each case."""
    for line, row in zip(lines, rows, strict=True):
        click.echo(_coloured(line, f"{row['case']}{_GAP}{row['due']}".rstrip()))
        told = (row["left"], row["waits for"] and f"waits for {row['waits for']}")
        click.echo(_coloured(line, _GAP + ", ".join(filter(None, told))))


def _coloured(line: DeskLine, text: str) -> str:
    """Red where it is late, yellow where it soon will be; colours go to terminals only."""
    if line.late:
        return click.style(text, fg="red")
    return click.style(text, fg="yellow") if _soon(line) else text


def _soon(line: DeskLine) -> bool:
    """Due within a week, by a clock that runs."""
    return line.left is not None and 0 <= line.left <= _SOON and not line.line.paused


def _sums(lines: Sequence[DeskLine]) -> Sequence[str]:
    late, soon = sum(line.late for line in lines), sum(map(_soon, lines))
    waits = Counter(line.line.waits_for.value for line in lines if line.line.waits_for)
    return (
        f"{len(lines)} listed, {late} late, {soon} due within {_SOON} days",
        "waits for: " + (", ".join(f"{who} {count}" for who, count in waits.items()) or "nobody"),
    )


def _width() -> int:
    """Columns of the terminal; no limit where the output goes elsewhere."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return shutil.get_terminal_size().columns
    return sys.maxsize
