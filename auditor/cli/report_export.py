"""`auditor report export`: the ledger in forms that other software reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option
from auditor.errors import MisuseError

if TYPE_CHECKING:
    from auditor.workflow.homes.home import Home

_FORMATS = ("oscal", "fhir", "jsonl", "prometheus")
_OF_CASES = ("oscal", "fhir")


@click.command()
@click.option("--format", "form", required=True, type=click.Choice(_FORMATS), help="Form.")
@click.option("--to", "target", required=True, type=click.Path(path_type=Path), help="Its file.")
@click.option("--case", help="One case only (oscal, fhir).")
@click.option("--quarter", metavar="QUARTER", help="A quarter's cases only (oscal, fhir).")
@click.option("--from", "start", type=click.IntRange(min=0), help="First entry (jsonl).  [0]")
@home_option
@json_option
def export(
    form: str,
    target: Path,
    case: str | None,
    quarter: str | None,
    start: int | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Write what the ledger holds in a form that other software reads; see docs/exports.md.

    \b
    oscal       findings of cases beside their rules: OSCAL assessment results (JSON)
    fhir        entries of cases as FHIR R4 AuditEvent and Provenance (JSON Bundle)
    jsonl       every entry with its leaf hash, one a line; go on where the last ended with --from
    prometheus  counts for a dashboard, for node_exporter's textfile collector
    """  # noqa: D301  # click's mark of what keeps its lines
    from auditor.workflow.homes.files import write_pieces

    if case and quarter:
        raise MisuseError("name a case or a quarter, not both")
    if (case or quarter) and form not in _OF_CASES:
        raise MisuseError(f"{form} tells of the whole ledger; leave --case and --quarter out")
    if start is not None and form != "jsonl":
        raise MisuseError("--from is for jsonl alone")
    if not target.parent.is_dir():
        raise MisuseError(f"{target.parent} is no folder")
    opened = open_home(home)
    counted = _Counted(_pieces(opened, form, case, quarter, start or 0))
    write_pieces(target, counted)
    told: dict[str, object] = {"file": str(target), "format": form}
    if form == "jsonl":
        told |= {"entries": counted.pieces, "next": (start or 0) + counted.pieces}
    emit(told, as_json)


class _Counted:
    """Pieces, counted as they pass."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._of = pieces
        self.pieces = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._of:
            self.pieces += 1
            yield piece


def _pieces(
    home: Home, form: str, case: str | None, quarter: str | None, start: int
) -> Iterable[bytes]:
    if form == "jsonl":
        from auditor.workflow.exports.log import log_lines

        if start > home.ledger.size:
            raise MisuseError(f"the ledger has no entry {start}; it holds {home.ledger.size}")
        return log_lines(home.ledger, start)
    if form == "prometheus":
        from auditor.workflow.exports.metrics import measure, metrics_text

        return [metrics_text(measure(home, datetime.now(UTC))).encode("utf-8")]
    from auditor.workflow.exports.gather import cases_of, export_fhir, export_oscal

    cases = cases_of(home, case, quarter)
    if form == "fhir":
        return [export_fhir(home, cases)]
    return [export_oscal(home, cases, " ".join(filter(None, ("Erasure cases", case, quarter))))]
