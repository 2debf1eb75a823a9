"""`auditor report`: what a hospital tells about a quarter."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditor.cli.opening import open_home
from auditor.cli.output import UnreadableError, emit, home_option, json_option, read_input
from auditor.cli.report_export import export
from auditor.domain.artefact import Digest
from auditor.domain.printable import shown
from auditor.errors import InvalidCertificateError, MisuseError
from auditor.given import open_given

if TYPE_CHECKING:
    from auditor.workflow.desk.quarter import QuarterReport


_MARKS = {True: "held", False: "FAILED", None: "not checked"}


@click.group()
def report() -> None:
    """Report on a quarter's cases, verify a report, and export the ledger for other software."""


@report.command()
@click.argument("name", metavar="QUARTER")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the signed report: PDF, list of cases, findings.",
)
@click.option(
    "--language", type=click.Choice(["en", "de", "fr", "es"]), help="Its language.  [settings]"
)
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the cases to this file as CSV.",
)
@home_option
@json_option
def quarter(
    name: str,
    folder: Path | None,
    language: str | None,
    table: Path | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Every case received, closed or open in QUARTER (as in 2026Q4), after an audit of the ledger.

    With --to a report is signed and put on the books: a PDF that may leave the house, as it tells
    no small numbers, and beside it the list of cases and the findings on each, whose digests it
    holds. Each report wants a folder without another on that quarter. See docs/quarter.md.
    """
    from auditor.domain.quarter import quarter_named
    from auditor.workflow.desk.quarter import report_quarter
    from auditor.workflow.documents.quarter_table import table_csv, table_row
    from auditor.workflow.homes.files import write_file

    if language is not None and folder is None:
        raise MisuseError("--language is for the signed report; name its folder: --to")
    wanted, opened = quarter_named(name), open_home(home)
    papers: dict[str, object] = {}
    if folder is None:
        made = report_quarter(opened, wanted)
    else:
        from auditor.workflow.documents.quarter_report import issue_report, names_of, write_report

        if not folder.is_dir():
            raise MisuseError(f"{folder} is no folder")
        if there := next((each for each in names_of(wanted) if (folder / each).exists()), None):
            raise MisuseError(f"{folder} holds {there} already; name another folder")
        issued = issue_report(opened, wanted, language or opened.config.locale)
        write_report(issued, folder)
        made, papers = issued.report, {"report": issued.number, "files": list(issued.files)}
    rows = [table_row(item) for item in made.lines]
    if table is not None:
        write_file(table, table_csv(made))
    if as_json:
        emit({**_summary(made), **papers, "cases": rows}, as_json)
    else:
        emit({**_summary(made), **papers}, as_json)
        emit(rows, as_json)


@report.command()
@click.argument("document", type=click.Path(path_type=Path))
@click.option("--trust", "trust_path", required=True, type=click.Path(path_type=Path))
@click.option(
    "--log",
    "log_path",
    type=click.Path(path_type=Path),
    help="The ledger's log (report export --format jsonl): is the list of cases whole?",
)
@json_option
@click.pass_context
def verify(
    context: click.Context,
    document: Path,
    trust_path: Path,
    log_path: Path | None,
    as_json: bool,
) -> None:
    """Verify a signed report offline, against a trust file.

    The list of cases and the findings are checked where they lie beside it. Exit code 3: invalid.
    """
    from auditor.certificates.quarter_verify import verify_report
    from auditor.certificates.verify import Status
    from auditor.proof.trust import fingerprint, parse_trust

    trusted, pdf = read_input(trust_path), read_input(document)
    found = verify_report(
        pdf,
        parse_trust(trusted),
        files=lambda name: _digest(document.with_name(name)),
        now=datetime.now(UTC),
    )
    status, reason, said, whole = found.status, found.reason, found.predicate, ""
    if log_path is not None and said is not None:
        listed = document.with_name(f"{said['quarter']}-cases.csv")
        if not listed.exists():
            raise MisuseError(f"{listed.name} isn't beside the report")
        try:
            whole = _whole(log_path, read_input(listed), said)
        except InvalidCertificateError as error:
            status, reason, said = Status.INVALID, str(error), None
    checks = [
        {"number": c.number, "name": c.name, "held": c.held, "detail": c.detail}
        for c in found.checks
    ]
    if as_json:
        told = {"file": str(document), "status": status.value, "reason": reason}
        told |= {"trust": fingerprint(trusted), "whole": whole}
        emit({**told, "checks": checks, "predicate": said}, as_json)
    else:
        click.echo(f"trust file {fingerprint(trusted)}")
        for check in found.checks:
            held = _MARKS[check.held]
            click.echo(f"{check.number:2} {check.name:11} {held:11}  {shown(check.detail)}")
        if whole:
            click.echo(whole)
        click.echo(f"{status}" + (f": {shown(reason)}" if reason else ""))
    if status is Status.INVALID:
        context.exit(InvalidCertificateError.exit_code)


def _digest(path: Path) -> Digest | None:
    """Of a file; None where there is none."""
    try:
        with open_given(path) as file:
            return Digest(value=hashlib.file_digest(file, "sha256").hexdigest())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableError(f"can't read {path}: {error.strerror}") from None


def _whole(log: Path, listed: bytes, predicate: Mapping[str, Any]) -> str:
    """What the log says of the list of cases.

    Raises:
        InvalidCertificateError: the list isn't whole.
    """
    from auditor.workflow.documents.quarter_check import verify_whole

    try:
        with open_given(log) as lines:
            return f"the list names all {verify_whole(lines, listed, predicate)} of its cases"
    except OSError as error:
        raise UnreadableError(f"can't read {log}: {error.strerror}") from None


def _summary(made: QuarterReport) -> dict[str, object]:
    return {
        "quarter": made.quarter.name,
        "from": str(made.quarter.first),
        "to": str(made.quarter.last),
        "as_of": str(made.as_of),
        "cases_in_all": len(made.lines),
        **{name.replace("-", "_"): count for name, count in made.outcomes.items()},
        "no_longer_vouched_for": sum(not item.vouched for item in made.lines),
        "late": len(made.late),
        "audited": len(made.findings),
        "failed": sum(item.failed for item in made.findings),
        # the number expected if every candidate were a true retrain
        "failed_by_chance_at_most": round(sum(item.alpha for item in made.findings), 2),
        "failed_confirmed": sum(item.confirmed for item in made.findings),
        "ledger_entries": made.entries,
        "ledger_root": made.root.hex(),
    }


report.add_command(export)
