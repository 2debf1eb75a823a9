"""`auditor certificate`: the documents that were issued."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option
from auditor.domain.paper_events import WithdrawalReason
from auditor.errors import MisuseError, TamperedError

if TYPE_CHECKING:
    from auditor.domain.case import ErasureCase
    from auditor.domain.event import CertificateIssued
    from auditor.workflow.homes.home import Home


@click.group()
def certificate() -> None:
    """List, show, export, approve, withdraw and verify again certificates and signed records."""


@certificate.command("list")
@home_option
@json_option
def list_(home: Path | None, as_json: bool) -> None:
    """List every issued document, oldest case first."""
    from auditor.workflow.homes.record import every_case, load_case

    opened = open_home(home)
    states = (load_case(opened, case) for case in every_case(opened))
    emit([_row(opened, state) for state in states if state.issued is not None], as_json)


@certificate.command()
@click.argument("case")
@home_option
@json_option
def show(case: str, home: Path | None, as_json: bool) -> None:
    """Show what a case's document says in short, and where it lies."""
    from auditor.workflow.desk.desk import require_case

    opened = open_home(home)
    state = require_case(opened, case)
    _issued(opened, case)
    row = _row(opened, state)
    row |= {"identifiers": "forgotten" if state.forgotten else "in the vault"}
    if state.reached is not None:
        row |= {"verdict": state.reached.verdict.value, "basis": state.reached.basis.value}
    if state.scope is not None:
        row |= {"weights_before": str(state.scope.weights)}
    if state.reached is not None:
        row |= {"weights_after": str(state.reached.weights)}
    emit(row, as_json)


@certificate.command()
@click.argument("case")
@click.option("--to", "folder", type=click.Path(path_type=Path), default=Path(), help="Folder.")
@home_option
@json_option
def export(case: str, folder: Path, home: Path | None, as_json: bool) -> None:
    """Copy a case's document, and a fresh proof of its issue, to hand them over.

    Witnesses asked since it was issued cosign the fresh proof: send it to whoever has the document.
    """
    from auditor.domain.artefact import Digest
    from auditor.workflow.documents.notary import certificate_path, proof_of_issue, sidecar_path
    from auditor.workflow.homes.files import write_file

    opened = open_home(home)
    issued = _issued(opened, case)
    document = certificate_path(opened, case)
    if not folder.is_dir():
        raise MisuseError(f"{folder} is no folder")
    content = document.read_bytes()
    if Digest.of(content) != issued.pdf:
        raise TamperedError(f"{document} is not the document that was issued; restore a backup")
    write_file(folder / document.name, content)
    sidecar = sidecar_path(document)
    # a ledger that is read-only signs nothing: the proof of then is all there is
    proof = (
        sidecar.read_text(encoding="utf-8") if opened.read_only else proof_of_issue(opened, case)
    )
    write_file(folder / sidecar.name, proof.encode("utf-8"))
    emit({"document": str(folder / document.name), "proof": str(folder / sidecar.name)}, as_json)


@certificate.command()
@click.argument("case")
@click.option(
    "--key", required=True, type=click.Path(path_type=Path), help="File of the approver's keys."
)
@home_option
@json_option
def approve(case: str, key: Path, home: Path | None, as_json: bool) -> None:
    """Sign a statement that waits for a second person; `auditor run` then issues the document.

    Read it first: auditor certificate draft CASE. Make keys with: auditor keys new
    """
    from auditor.workflow.documents.approval import approve as approve_statement
    from auditor.workflow.log.statement_keys import read_pair

    done = approve_statement(open_home(home), case, read_pair(key))
    emit({"case": case, "approved": str(done.approved), "key": done.actor}, as_json)


@certificate.command()
@click.argument("case")
@home_option
@json_option
def decline(case: str, home: Path | None, as_json: bool) -> None:
    """Send a statement that waits back; `auditor run` gathers its facts anew and signs another.

    One that waits for nobody's approval goes back only where it can't be issued any more, as a key
    that signed it is revoked.
    """
    from auditor.workflow.documents.approval import decline as decline_statement

    declined = decline_statement(open_home(home), case)
    emit({"case": case, "declined": str(declined.envelope)}, as_json)


@certificate.command()
@click.argument("case")
@home_option
def draft(case: str, home: Path | None) -> None:
    """Print the statement that waits for approval, as JSON, word by word as it would be signed."""
    from auditor.workflow.documents.approval import drafted_statement

    emit(drafted_statement(open_home(home), case), as_json=True)


@certificate.command()
@click.argument("case")
@click.option(
    "--reason",
    required=True,
    type=click.Choice([each.value for each in WithdrawalReason]),
    help="Why.",
)
@home_option
@json_option
def withdraw(case: str, reason: str, home: Path | None, as_json: bool) -> None:
    """Vouch for a document no more. It stays where it is; each later status says so."""
    from auditor.workflow.documents.certificate_life import withdraw as withdraw_document

    done = withdraw_document(open_home(home), case, WithdrawalReason(reason))
    emit({"case": case, "state": "withdrawn", "pdf": str(done.pdf)}, as_json)


@certificate.command()
@click.argument("case")
@click.option(
    "--by", "successor", required=True, metavar="CASE", help="Case of the later document."
)
@home_option
@json_option
def supersede(case: str, successor: str, home: Path | None, as_json: bool) -> None:
    """Put the document of a later case, about the same model, in the place of this one's."""
    from auditor.workflow.documents.certificate_life import supersede as supersede_document

    done = supersede_document(open_home(home), case, successor)
    row = {"case": case, "state": "superseded", "pdf": str(done.pdf), "by": str(done.by)}
    emit(row, as_json)


@certificate.command()
@click.argument("case")
@click.option("--to", "target", required=True, type=click.Path(path_type=Path), help="Its file.")
@home_option
@json_option
def status(case: str, target: Path, home: Path | None, as_json: bool) -> None:
    """Sign what is to be said of a document today: good, withdrawn or superseded.

    For whoever verifies it: auditor verify FILE.pdf --trust TRUST --status FILE
    """
    from datetime import UTC, datetime

    from auditor.workflow.documents.certificate_life import sign_status
    from auditor.workflow.homes.files import write_file

    if not target.parent.is_dir():
        raise MisuseError(f"{target.parent} is no folder")
    facts, envelope = sign_status(open_home(home), case, datetime.now(UTC))
    write_file(target, envelope)
    row = {"case": case, "state": facts.state.value, "fresh_until": facts.fresh_until.isoformat()}
    emit({**row, "status": str(target)}, as_json)


@certificate.command()
@click.argument("case")
@click.option("--to", "folder", type=click.Path(path_type=Path), default=Path(), help="Folder.")
@home_option
@json_option
@click.pass_context
def reverify(
    context: click.Context, case: str, folder: Path, home: Path | None, as_json: bool
) -> None:
    """Verify a document again, with a fresh proof of issue and status, and write both.

    Also asks whether the certified weights are still in service and intact. Exit code 3 where the
    document isn't VALID any more, or weights from before the erasure are in service again.
    """
    from datetime import UTC, datetime

    from auditor.certificates.verify import Status
    from auditor.workflow.documents.certificate_life import Service
    from auditor.workflow.documents.certificate_life import reverify as verify_again
    from auditor.workflow.homes.files import write_file

    if not folder.is_dir():
        raise MisuseError(f"{folder} is no folder")
    found = verify_again(open_home(home), case, datetime.now(UTC))
    proof, signed = folder / f"{case}.pdf.tlog-proof", folder / f"{case}.status.json"
    write_file(proof, found.proof.encode("utf-8"))
    write_file(signed, found.status)
    row = {"case": case, "result": found.report.status.value, "reason": found.report.reason}
    emit({**row, "model": found.service.value, "proof": proof, "status": signed}, as_json)
    if found.report.status is not Status.VALID or found.service is Service.ROLLED_BACK:
        context.exit(3)


_SCHEMAS = {
    "statement": "erasure-certificate-v1.schema.json",
    "status": "certificate-status-v1.schema.json",
    "report": "quarter-report-v1.schema.json",
    "trust": "trust-v2.schema.json",
}


@certificate.command()
@click.option("--of", "what", type=click.Choice(list(_SCHEMAS)), default="statement")
@click.option("--to", "target", type=click.Path(path_type=Path), help="A file, else the terminal.")
def schema(what: str, target: Path | None) -> None:
    """Print a JSON Schema: of what documents or reports state, of a status, of the trust file."""
    from auditor.shipped import shipped
    from auditor.workflow.homes.files import write_file

    content = (shipped("templates") / _SCHEMAS[what]).read_bytes()
    if target is None:
        click.echo(content.decode("utf-8"), nl=False)
    else:
        write_file(target, content)


@certificate.command()
@click.option("--to", "target", required=True, type=click.Path(path_type=Path), help="Its file.")
@json_option
def page(target: Path, as_json: bool) -> None:
    """Write the page with which a browser checks part of a certificate, without a network."""
    from auditor.domain.artefact import Digest
    from auditor.shipped import shipped
    from auditor.workflow.homes.files import write_file

    if not target.parent.is_dir():
        raise MisuseError(f"{target.parent} is no folder")
    content = (shipped("templates") / "verify.html").read_bytes()
    write_file(target, content)
    emit({"page": str(target), "digest": str(Digest.of(content))}, as_json)


def _issued(home: Home, case: str) -> CertificateIssued:
    from auditor.workflow.desk.desk import require_case

    issued = require_case(home, case).issued
    if issued is None:
        raise MisuseError(f"case {case} has no document yet; run: auditor run --case {case}")
    return issued


def _row(home: Home, case: ErasureCase) -> dict[str, str]:
    from auditor.workflow.documents.certificate_life import state_of
    from auditor.workflow.documents.notary import certificate_path

    if case.issued is None:
        return {}
    return {
        "case": case.issued.case,
        "outcome": case.issued.outcome.value,
        "state": state_of(case).value,
        "pdf": str(case.issued.pdf),
        "document": str(certificate_path(home, case.issued.case)),
    }
