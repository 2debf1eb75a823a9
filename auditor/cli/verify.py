"""`auditor verify`: the regulator's command. No engine, no database, no renderer, no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from auditor.certificates.verify import Status, VerificationReport, verify_certificate
from auditor.cli.output import UnreadableError, emit, json_option, read_input
from auditor.domain.printable import shown
from auditor.proof.trust import TrustFile, fingerprint, parse_trust

_UNREADABLE, _INVALID, _NO_STATUS = 1, 3, 4
_GRAVEST_FIRST = (_INVALID, _UNREADABLE, _NO_STATUS)
_MARKS = {True: "held", False: "FAILED", None: "not checked"}
_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("documents", metavar="FILE...", nargs=-1, required=True, type=_PATH)
@click.option("--trust", "trust_path", required=True, type=_PATH)
@click.option(
    "--status", "status_paths", multiple=True, type=_PATH, help="Signed status; may be repeated."
)
@click.option("--require-status", is_flag=True, help="Ask for proof that it wasn't withdrawn.")
@json_option
@click.pass_context
def verify(
    context: click.Context,
    documents: tuple[Path, ...],
    trust_path: Path,
    status_paths: tuple[Path, ...],
    require_status: bool,
    as_json: bool,
) -> None:
    """Verify certificates and signed records offline, against a trust file.

    Compare the printed fingerprint of the trust file with the one the hospital told you by another
    way. A status (auditor certificate status) tells whether the document was withdrawn since; each
    is held to the document it speaks of. What lies beside CASE.pdf is read with it: the proof of
    issue CASE.pdf.tlog-proof, and the status CASE.status.json.

    Exit code 0: valid; 3: one is invalid; 1: none is, but one can't be read; 4: valid, but
    --require-status asked for more. With --json several files give a list, one file its only item.
    """
    content = read_input(trust_path)
    trust, trusted = parse_trust(content), fingerprint(content)
    statuses = [read_input(path) for path in status_paths]
    if not as_json:
        click.echo(f"trust file {trusted}")
    rows, codes, now = [], set(), datetime.now(UTC)
    for document in documents:
        try:
            report = _verified(document, trust, statuses, now)
        except UnreadableError as error:
            click.echo(f"auditor: {shown(str(error))}", err=True)
            rows.append(_unreadable(document, trusted, error))
            codes.add(_UNREADABLE)
            continue
        rows.append(_row(document, trusted, report))
        codes.add(_code(report, require_status))
        if not as_json:
            _show(document if len(documents) > 1 else None, report)
    if as_json:
        emit(rows if len(documents) > 1 else rows[0], as_json=True)
    elif len(documents) > 1:
        found = Counter(str(row["status"]) for row in rows)
        click.echo(", ".join(f"{number} {status}" for status, number in found.items()))
    context.exit(next((code for code in _GRAVEST_FIRST if code in codes), 0))


def _verified(
    document: Path, trust: TrustFile, statuses: Sequence[bytes], now: datetime
) -> VerificationReport:
    pdf = read_input(document)
    proof = _beside(document.with_name(f"{document.name}.tlog-proof"))
    status = _beside(document.with_suffix(".status.json"))
    return verify_certificate(
        pdf,
        trust,
        sidecar=None if proof is None else proof.decode("utf-8", "replace"),
        statuses=statuses if status is None else [*statuses, status],
        now=now,
    )


def _beside(path: Path) -> bytes | None:
    """What lies beside a document, if anything does."""
    try:
        return read_input(path) if path.exists() else None
    except OSError:  # a longer name than a file can have
        return None


def _code(report: VerificationReport, require_status: bool) -> int:
    if report.status is Status.INVALID:
        return _INVALID
    return _NO_STATUS if require_status and report.status is not Status.VALID else 0


def _row(document: Path, trusted: str, report: VerificationReport) -> dict[str, object]:
    return {
        "file": str(document),
        "status": report.status.value,
        "trust": trusted,
        "reason": report.reason,
        "checks": [
            {"number": c.number, "name": c.name, "held": c.held, "detail": c.detail}
            for c in report.checks
        ],
        "predicate": report.predicate,
    }


def _unreadable(document: Path, trusted: str, error: UnreadableError) -> dict[str, object]:
    row = {"file": str(document), "status": "UNREADABLE", "trust": trusted, "reason": str(error)}
    return {**row, "checks": [], "predicate": None}


def _show(document: Path | None, report: VerificationReport) -> None:
    if document is not None:
        click.echo(f"\n{shown(str(document))}")
    for check in report.checks:
        click.echo(
            f"{check.number:2} {check.name:11} {_MARKS[check.held]:11}  {shown(check.detail)}"
        )
    click.echo(f"{report.status}" + (f": {shown(report.reason)}" if report.reason else ""))
    said = report.predicate
    if said is not None:
        click.echo(f"  {said['documentType']} of case {said['request']['case']}, {said['outcome']}")
        for line in said["summary"]:
            click.echo(f"  {line}")
