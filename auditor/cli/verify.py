"""`auditor verify`: the regulator's command. No engine, no database, no renderer, no network."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from auditor.certificates.verify import Status, VerificationReport, verify_certificate
from auditor.cli.output import emit, json_option, read_input
from auditor.proof.trust import fingerprint, parse_trust

_INVALID, _NO_STATUS = 3, 4
_MARKS = {True: "held", False: "FAILED", None: "not checked"}


@click.command()
@click.argument("document", type=click.Path(path_type=Path))
@click.option("--trust", "trust_path", required=True, type=click.Path(path_type=Path))
@click.option("--status", "status_path", type=click.Path(path_type=Path), help="Signed status.")
@click.option("--require-status", is_flag=True, help="Ask for proof that it wasn't withdrawn.")
@json_option
@click.pass_context
def verify(
    context: click.Context,
    document: Path,
    trust_path: Path,
    status_path: Path | None,
    require_status: bool,
    as_json: bool,
) -> None:
    """Verify a certificate or signed record offline, against a trust file.

    Compare the printed fingerprint of the trust file with the one the hospital told you by another
    way. A status (auditor certificate status) tells whether the document was withdrawn since.
    Exit code 0: valid; 3: invalid; 4: valid, but --require-status asked for more.
    """
    trust_content = read_input(trust_path)
    sidecar = document.with_name(f"{document.name}.tlog-proof")
    report = verify_certificate(
        read_input(document),
        parse_trust(trust_content),
        sidecar=read_input(sidecar).decode("utf-8", "replace") if sidecar.exists() else None,
        status=None if status_path is None else read_input(status_path),
        now=datetime.now(UTC),
    )
    _show(document, fingerprint(trust_content), report, as_json)
    if report.status is Status.INVALID:
        context.exit(_INVALID)
    if require_status and report.status is not Status.VALID:
        context.exit(_NO_STATUS)


def _show(document: Path, trusted: str, report: VerificationReport, as_json: bool) -> None:
    said = report.predicate
    if as_json:
        checks = [
            {"number": c.number, "name": c.name, "held": c.held, "detail": c.detail}
            for c in report.checks
        ]
        emit(
            {
                "file": str(document),
                "status": report.status.value,
                "trust": trusted,
                "reason": report.reason,
                "checks": checks,
                "predicate": said,
            },
            as_json=True,
        )
        return
    click.echo(f"trust file {trusted}")
    for check in report.checks:
        click.echo(f"{check.number:2} {check.name:11} {_MARKS[check.held]:11}  {check.detail}")
    click.echo(f"{report.status}" + (f": {report.reason}" if report.reason else ""))
    if said is not None:
        click.echo(f"  {said['documentType']} of case {said['request']['case']}, {said['outcome']}")
        for line in said["summary"]:
            click.echo(f"  {line}")
