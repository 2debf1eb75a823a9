"""`auditor request batch`: cases that are run together."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import click

from auditor.cli.opening import open_home
from auditor.cli.output import GivenText, emit, home_option, json_option, read_lines


@click.group()
def batch() -> None:
    """Name cases that are run together (auditor run --batch)."""


@batch.command("file")
@click.argument("cases", nargs=-1, metavar="[CASE]...")
@click.option(
    "--cases-from",
    type=GivenText(encoding="utf-8-sig"),
    help="File of case ids, one a line; - for standard input.",
)
@home_option
@json_option
def file_(
    cases: tuple[str, ...], cases_from: TextIO | None, home: Path | None, as_json: bool
) -> None:
    """Put cases on the books as one batch; prints its name."""
    from auditor.workflow.erasure.batch import file_batch

    listed = () if cases_from is None else tuple(line.strip() for line in read_lines(cases_from))
    named = (*cases, *(line for line in listed if line))
    filed = file_batch(open_home(home), named)
    emit({"batch": filed, "cases": len(named)}, as_json)


@batch.command("list")
@home_option
@json_option
def list_(home: Path | None, as_json: bool) -> None:
    """List every batch, oldest first, and how many of its cases are closed."""
    from auditor.workflow.erasure.batch import list_batches
    from auditor.workflow.homes.record import load_case

    opened = open_home(home)
    rows = [
        {
            "batch": item.batch,
            "filed": item.recorded_at[:10],
            "cases": len(item.cases),
            "closed": sum(load_case(opened, case).issued is not None for case in item.cases),
        }
        for item in list_batches(opened)
    ]
    emit(rows, as_json)
