"""`auditor certificate`: the documents that were issued."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option
from auditor.errors import MisuseError, TamperedError

if TYPE_CHECKING:
    from auditor.domain.event import CertificateIssued
    from auditor.workflow.home import Home


@click.group()
def certificate() -> None:
    """List, show and export certificates and signed records; the schema they follow."""


@certificate.command("list")
@home_option
@json_option
def list_(home: Path | None, as_json: bool) -> None:
    """List every issued document, oldest case first."""
    from auditor.workflow.record import load_case
    from auditor.workflow.register import list_cases

    opened = open_home(home)
    states = (load_case(opened, line.case) for line in list_cases(opened))
    emit([_row(opened, state.issued) for state in states if state.issued is not None], as_json)


@certificate.command()
@click.argument("case")
@home_option
@json_option
def show(case: str, home: Path | None, as_json: bool) -> None:
    """Show what a case's document says in short, and where it lies."""
    from auditor.workflow.desk import require_case

    opened = open_home(home)
    state = require_case(opened, case)
    row = _row(opened, _issued(opened, case))
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

    Raises:
        TamperedError: the document in the home is not the one the ledger says was issued.
    """
    from auditor.domain.artefact import Digest
    from auditor.workflow.files import write_file
    from auditor.workflow.notary import certificate_path, proof_of_issue, sidecar_path

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
@click.option("--to", "target", type=click.Path(path_type=Path), help="A file, else the terminal.")
def schema(target: Path | None) -> None:
    """Print the JSON Schema of the statement that documents carry (docs/predicate.md)."""
    from auditor.shipped import shipped
    from auditor.workflow.files import write_file

    content = (shipped("templates") / "erasure-certificate-v1.schema.json").read_bytes()
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
    from auditor.workflow.files import write_file

    if not target.parent.is_dir():
        raise MisuseError(f"{target.parent} is no folder")
    content = (shipped("templates") / "verify.html").read_bytes()
    write_file(target, content)
    emit({"page": str(target), "digest": str(Digest.of(content))}, as_json)


def _issued(home: Home, case: str) -> CertificateIssued:
    from auditor.workflow.desk import require_case

    issued = require_case(home, case).issued
    if issued is None:
        raise MisuseError(f"case {case} has no document yet; run: auditor run --case {case}")
    return issued


def _row(home: Home, issued: CertificateIssued) -> dict[str, str]:
    from auditor.workflow.notary import certificate_path

    return {
        "case": issued.case,
        "outcome": issued.outcome.value,
        "pdf": str(issued.pdf),
        "document": str(certificate_path(home, issued.case)),
    }
