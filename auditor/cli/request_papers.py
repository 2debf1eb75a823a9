"""Papers of the desk under `auditor request`: recipients to notify, documents filed."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TextIO

import click

from auditor.cli.opening import open_home
from auditor.cli.output import GivenText, emit, home_option, json_option, read_input
from auditor.cli.request_desk import day_of, on_option, role_option
from auditor.domain.request import DocumentKind, RecipientOutcome
from auditor.errors import MisuseError


@click.group()
def recipient() -> None:
    """Recipients of the data, who are to be told of its erasure (Art. 19 GDPR)."""


@recipient.command()
@click.argument("case")
@click.option(
    "--details-from",
    "details",
    type=GivenText(encoding="utf-8"),
    required=True,
    help="File with name and address; - for standard input. They go to the vault.",
)
@home_option
@json_option
def add(case: str, details: TextIO, home: Path | None, as_json: bool) -> None:
    """Record a recipient; prints the random id by which the ledger knows them."""
    from auditor.workflow.desk.papers import record_recipient

    recorded = record_recipient(open_home(home), case, details.read())
    emit({"case": case, "recipient": recorded}, as_json)


@recipient.command("list")
@click.argument("case")
@home_option
@json_option
def list_(case: str, home: Path | None, as_json: bool) -> None:
    """List a case's recipients, and what came of telling each."""
    from auditor.workflow.desk.papers import list_recipients

    rows = [
        {
            "recipient": line.recipient,
            "outcome": "" if line.outcome is None else line.outcome.value,
            "on": "" if line.on is None else str(line.on),
            "details": line.details if as_json else ", ".join(line.details.splitlines()),
        }
        for line in list_recipients(open_home(home), case)
    ]
    emit(rows, as_json)


@recipient.command()
@click.argument("case")
@click.argument("recipient_id")
@click.option("--informed", "outcome", flag_value="informed", help="They were told.")
@click.option("--impossible", "outcome", flag_value="impossible", help="They can't be reached.")
@click.option(
    "--disproportionate", "outcome", flag_value="disproportionate", help="It would take too much."
)
@click.option("--letter", type=click.Path(path_type=Path), help="What was sent, or why not.")
@on_option
@role_option
@home_option
@json_option
def mark(
    case: str,
    recipient_id: str,
    outcome: str | None,
    letter: Path | None,
    on: str | None,
    role: str,
    home: Path | None,
    as_json: bool,
) -> None:
    """Record what came of telling a recipient."""
    from auditor.workflow.desk.papers import LARGEST_DOCUMENT, mark_recipient

    if outcome is None:
        raise MisuseError("say what came of it: --informed, --impossible, --disproportionate")
    mark_recipient(
        open_home(home),
        case,
        recipient_id,
        RecipientOutcome(outcome),
        role=role,
        letter=b"" if letter is None else read_input(letter, LARGEST_DOCUMENT),
        on=None if on is None else day_of(on, "--on"),
    )
    emit({"case": case, "recipient": recipient_id, "outcome": outcome}, as_json)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--for", "case", required=True, help="A case, or all for those of the home.")
@click.option("--kind", required=True, type=click.Choice([kind.value for kind in DocumentKind]))
@click.option("--from", "first", help="First day in force, YYYY-MM-DD.  [today]")
@click.option("--until", "last", help="Last day in force.  [no end]")
@role_option
@home_option
@json_option
def document(
    file: Path,
    case: str,
    kind: str,
    first: str | None,
    last: str | None,
    role: str,
    home: Path | None,
    as_json: bool,
) -> None:
    """File a document that a rule asks for; its bytes go to the vault."""
    from datetime import UTC, datetime

    from auditor.policies.zone import local_day
    from auditor.workflow.desk.papers import LARGEST_DOCUMENT, file_document

    opened = open_home(home)
    today = local_day(datetime.now(UTC), opened.config.time_zone)
    filed = file_document(
        opened,
        case,
        DocumentKind(kind),
        read_input(file, LARGEST_DOCUMENT),
        role=role,
        in_force=(
            today if first is None else day_of(first, "--from"),
            date.max if last is None else day_of(last, "--until"),
        ),
    )
    emit({"for": case, "kind": kind, "document": str(filed)}, as_json)
