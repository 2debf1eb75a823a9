"""`auditor ledger`: audit the book, sign its state, prove an entry. Exit code 5: tampered with."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option
from auditor.errors import MisuseError


@click.group()
def ledger() -> None:
    """Audit the ledger, sign checkpoints and prove entries."""


@ledger.command()
@home_option
@json_option
def audit(home: Path | None, as_json: bool) -> None:
    """Re-hash every entry and compare with the newest signed checkpoint."""
    from auditor.workflow.book import audit_ledger

    emit(audit_ledger(open_home(home)), as_json)


@ledger.command()
@home_option
@json_option
def checkpoint(home: Path | None, as_json: bool) -> None:
    """Sign the ledger's state, once it is shown to extend the last signed one."""
    from auditor.workflow.checkpoints import record_checkpoint

    published = record_checkpoint(open_home(home))
    for name, why in published.silent.items():
        click.echo(f"auditor: witness {name} hasn't cosigned: {why}", err=True)
    if as_json:
        emit(
            {
                "checkpoint": published.note,
                "witnesses": list(published.found.witnesses),
                "silent": published.silent,
                "quorum": published.found.quorum,
            },
            as_json,
        )
    else:
        click.echo(published.note, nl=False)


@ledger.command()
@click.argument("sequence", type=click.IntRange(min=0))
@click.option("--to", "target", type=click.Path(path_type=Path), help="File to write instead.")
@home_option
@json_option
def prove(sequence: int, target: Path | None, home: Path | None, as_json: bool) -> None:
    """Prove that an entry is in the ledger (C2SP tlog-proof over the newest checkpoint)."""
    from auditor.workflow.book import prove_entry
    from auditor.workflow.files import write_file

    entry, proof = prove_entry(open_home(home), sequence)
    if target is not None:
        if not target.parent.is_dir():
            raise MisuseError(f"{target.parent} is no folder")
        write_file(target, proof.encode("utf-8"))
    if as_json:
        emit({"sequence": sequence, "entry": entry.decode("utf-8"), "proof": proof}, as_json)
    elif target is None:
        click.echo(proof, nl=False)


@ledger.command()
@click.option("--owner", required=True, help="postgresql:// address under the tables' owner.")
@click.option("--role", required=True, help="The application's role, which must exist.")
def migrate(owner: str, role: str) -> None:
    """Make or update the tables on PostgreSQL; the application may then only insert and read."""
    from auditor.ledger.schema import migrate_as_owner

    migrate_as_owner(owner, role)
    click.echo(f"The ledger's tables are up to date; {role} may insert entries and read them.")
