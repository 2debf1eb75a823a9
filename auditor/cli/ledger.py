"""`auditor ledger`: audit the book, sign its state, prove an entry. Exit code 5: tampered with."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option, progress_reporter
from auditor.cli.witness import witness
from auditor.errors import HomeError, MisuseError, TamperedError


@click.group()
def ledger() -> None:
    """Audit the ledger, sign checkpoints and prove entries."""


@ledger.command()
@home_option
@json_option
def audit(home: Path | None, as_json: bool) -> None:
    """Re-hash every entry and compare with the newest signed checkpoint."""
    from auditor.workflow.log.book import audit_ledger

    opened = open_home(home)
    with progress_reporter() as (progress, _):
        found = audit_ledger(opened, lambda done, of: progress("entries", done, of))
    emit(found, as_json)


@ledger.command()
@home_option
@json_option
def checkpoint(home: Path | None, as_json: bool) -> None:
    """Sign the ledger's state, once it is shown to extend the last signed one."""
    from auditor.workflow.log.checkpoints import record_checkpoint
    from auditor.workflow.log.timestamping import stamp_checkpoint

    opened = open_home(home)
    published = record_checkpoint(opened)
    stamped = stamp_checkpoint(opened, published)
    for name, why in published.silent.items():
        click.echo(f"auditor: witness {name} hasn't cosigned: {why}", err=True)
    if as_json:
        emit(
            {
                "checkpoint": published.note,
                "witnesses": list(published.found.witnesses),
                "silent": published.silent,
                "quorum": published.found.quorum,
                "time_stamp": "" if stamped is None else stamped.isoformat(),
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
    from auditor.workflow.homes.files import write_file
    from auditor.workflow.log.book import prove_entry

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


@ledger.command()
@click.argument("one", type=click.Path(path_type=Path))
@click.argument("other", type=click.Path(path_type=Path), required=False)
@click.option(
    "--trust", type=click.Path(path_type=Path), help="Trust file or log policy.  [home's]"
)
@click.option(
    "--log", "logs", type=click.Path(path_type=Path), multiple=True, help="The log's export."
)
@click.option(
    "--evidence",
    type=click.Path(path_type=Path),
    default=Path("equivocation.json"),
    show_default=True,
    help="Where evidence of two histories is written.",
)
@home_option
@json_option
@click.pass_context
def compare(
    context: click.Context,
    one: Path,
    other: Path | None,
    trust: Path | None,
    logs: tuple[Path, ...],
    evidence: Path,
    home: Path | None,
    as_json: bool,
) -> None:
    """Demand a proof that two views of a ledger are one history.

    ONE and OTHER are checkpoints, or carry one: ledger proofs, trust files, certificates, exported
    folders. Where they contradict each other, evidence is written that anyone can check: ONE alone,
    as a file of evidence, is checked. Of an exported folder all entries are read and held against
    its checkpoint. Exit code 5: two histories.
    """
    from auditor.workflow.homes.files import write_file
    from auditor.workflow.homes.guard import newest_note
    from auditor.workflow.log.comparing import (
        View,
        check_evidence,
        compare,
        exported_view,
        read_policy,
    )

    views = [exported_view(folder) for folder in logs]
    if trust is None:
        opened = open_home(home)
        views.append(View(tree=opened.ledger, note=newest_note(opened.root)))
        trust = opened.trust_path
    policy = read_policy(trust)
    if other is None:
        found = check_evidence(one, policy)
    else:
        found = compare(one, other, policy, views)
        if found.evidence:
            try:
                write_file(evidence, found.evidence)
            except HomeError as error:
                raise TamperedError(
                    f"two histories under one name; {error}; name another file for the evidence "
                    "(--evidence)"
                ) from None
    emit(
        {
            "origin": found.smaller.origin,
            "smaller": found.smaller.size,
            "larger": found.larger.size,
            "verdict": "two histories" if found.evidence else "one history",
            "evidence": str(evidence if other is not None else one) if found.evidence else "",
        },
        as_json,
    )
    context.exit(TamperedError.exit_code if found.evidence else 0)


@ledger.command()
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="Exported folder, or a newer backup (unpacked), to put entries back from.",
)
@click.option(
    "--known",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A checkpoint of this ledger that somebody else kept; may be repeated.",
)
@click.option("--new-origin", is_flag=True, help="Go on under a new name, with what is here.")
@click.option("--distrust", multiple=True, help="A witness that is wrong; it isn't asked any more.")
@click.option(
    "--without-unsigned",
    is_flag=True,
    help="Go on without entries that were lost before anybody signed them.",
)
@click.option("--erase-again", is_flag=True, help="Destroy again what came back.")
@home_option
@json_option
def recover(
    source: Path | None,
    known: tuple[Path, ...],
    new_origin: bool,
    distrust: tuple[str, ...],
    without_unsigned: bool,
    erase_again: bool,
    home: Path | None,
    as_json: bool,
) -> None:
    """After a restore: put back what is missing, or go on under a new name.

    Lists the erasures that must be run again because the restore brought their data back.
    """
    from auditor.workflow.log.recovery import recover
    from auditor.workflow.models.reerasure import came_back

    opened = open_home(home)
    done = recover(
        opened,
        source=source,
        known=known,
        new_origin=new_origin,
        distrusted=distrust,
        without_unsigned=without_unsigned,
    )
    returned = came_back(opened, destroy=erase_again)
    again = [
        {
            "case": item.case,
            "what": item.what,
            "artefact": "" if item.artefact is None else str(item.artefact),
            "destroyed_again": item.destroyed,
        }
        for item in returned
    ]
    told = {
        "ledger_was": done.condition.value,
        "known_entries": done.known,
        "put_back": done.replayed,
        "left_out": done.left_out,
        "lost": done.lost,
        "origin": done.origin,
        "link": str(done.link or ""),
        "fingerprint": opened.trust_fingerprint,
    }
    if as_json:
        emit({**told, "erase_again": again}, as_json)
        return
    emit(told, as_json)
    if again:
        click.echo("\nErasures to be run again, for what they destroyed is here:")
        emit(again, as_json)


@ledger.command()
@click.argument("folder", type=click.Path(path_type=Path))
@home_option
@json_option
def export(folder: Path, home: Path | None, as_json: bool) -> None:
    """Write the ledger as C2SP tiles that any web server can serve; again, and it only grows."""
    from auditor.workflow.log.publishing import export_ledger

    opened = open_home(home)
    with progress_reporter() as (progress, _):
        made = export_ledger(opened, folder, lambda done, of: progress("entries", done, of))
    emit(
        {
            "folder": str(folder),
            "entries": made.entries,
            "files_written": made.written,
            "files_kept": made.kept,
        },
        as_json,
    )


ledger.add_command(witness)
