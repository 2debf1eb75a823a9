"""`auditor request`: the desk. Subject ids go in and never come out again."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from auditor.cli.batch import batch
from auditor.cli.letter import letter
from auditor.cli.opening import open_home
from auditor.cli.output import GivenText, emit, home_option, json_option, read_input, read_lines
from auditor.cli.request_account import account
from auditor.cli.request_desk import (
    clock,
    day_of,
    decide,
    identity,
    lift,
    restrict,
    restricted,
)
from auditor.cli.request_forget import forget
from auditor.cli.request_list import list_
from auditor.cli.request_papers import document, recipient
from auditor.domain.request import Ground, Regime
from auditor.domain.subject_id import alike
from auditor.errors import MisuseError, ProofError

if TYPE_CHECKING:
    from auditor.workflow.homes.home import Home
    from auditor.workflow.homes.register import CaseLine


@click.group()
def request() -> None:
    """Take erasure requests and decide them."""


@request.command("file")
@click.option("--model", required=True, help="Model that is to forget.")
@click.option("--subject", "subjects", multiple=True, help="A subject id; may be repeated.")
@click.option(
    "--subjects-from",
    type=GivenText(encoding="utf-8-sig"),
    help="File of subject ids, one a line; - for standard input. Keeps them out of the history.",
)
@click.option("--study", "studies", multiple=True, help="A DICOM UID; stands for its patient.")
@click.option(
    "--studies-from",
    type=GivenText(encoding="utf-8-sig"),
    help="File of DICOM UIDs of studies, series or pictures, one a line; - for standard input.",
)
@click.option(
    "--regime",
    type=click.Choice([item.value for item in Regime]),
    default=Regime.GDPR.value,
    show_default=True,
)
@click.option(
    "--ground",
    type=click.Choice([item.value for item in Ground]),
    default=Ground.CONSENT_WITHDRAWN.value,
    show_default=True,
)
@click.option("--received", help="Day of receipt, YYYY-MM-DD.  [today]")
@home_option
@json_option
def file_(
    model: str,
    subjects: tuple[str, ...],
    subjects_from: TextIO | None,
    studies: tuple[str, ...],
    studies_from: TextIO | None,
    regime: str,
    ground: str,
    received: str | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """File a request; prints its opaque case id."""
    from auditor.workflow.desk.desk import file_request

    opened = open_home(home)
    named = (*subjects, *_lines(subjects_from))
    case = file_request(
        opened,
        model=model,
        subjects=(*named, *_of_studies(opened, model, (*studies, *_lines(studies_from)), named)),
        regime=Regime(regime),
        ground=Ground(ground),
        received=_day(received, opened),
    )
    emit({"case": case}, as_json)


@request.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", help="Model that is to forget; FHIR names none.")
@click.option(
    "--regime",
    type=click.Choice([item.value for item in Regime]),
    default=Regime.GDPR.value,
    show_default=True,
    help="Law that a withdrawn FHIR Consent is handled under.",
)
@click.option("--received", help="Day of receipt of everything in a FHIR file.  [as each says]")
@click.option("--check", "check_only", is_flag=True, help="Check the file, and take nothing in.")
@home_option
@json_option
@click.pass_context
def import_(
    context: click.Context,
    file: Path,
    model: str | None,
    regime: str,
    received: str | None,
    check_only: bool,
    home: Path | None,
    as_json: bool,
) -> None:
    """Take in a file of requests, all of it or nothing: a CSV table, or FHIR R4 as JSON.

    The table has the columns external_id, subject_id, model, regime, ground and received. FHIR is a
    Consent that was withdrawn, a Task, or a Bundle of them. Taking the same requests in again
    changes nothing. What a file holds is one batch (auditor run --batch).
    """
    from auditor.workflow.desk.intake import IntakeError
    from auditor.workflow.desk.intake_book import read_file_of_requests, take_in
    from auditor.workflow.erasure.batch import file_batch

    opened = open_home(home)
    day = None if received is None else _day(received, opened)
    try:
        rows = read_file_of_requests(
            opened, read_input(file), model=model, regime=Regime(regime), received=day
        )
        taken = take_in(opened, rows, check_only=check_only)
    except IntakeError as error:
        if as_json:
            emit({"taken_in": 0, "flaws": [asdict(flaw) for flaw in error.flaws]}, as_json)
        else:
            for flaw in error.flaws:
                click.echo(str(flaw), err=True)
        click.echo(f"auditor: {error}", err=True)
        context.exit(error.exit_code)
    done: dict[str, object] = {
        "taken_in": 0 if check_only else sum(not item.before for item in taken),
        "on_the_books_before": sum(item.before for item in taken),
        "checked": len(taken),
    }
    if taken and not check_only:
        done["batch"] = file_batch(opened, [item.case for item in taken])
    emit({**done, "cases": [asdict(item) for item in taken]} if as_json else done, as_json)


@request.command()
@click.argument("case")
@home_option
@json_option
def show(case: str, home: Path | None, as_json: bool) -> None:
    """Show one case and what happened to it, event by event."""
    from auditor.workflow.homes.record import case_stream, load_case
    from auditor.workflow.homes.register import case_line

    opened = open_home(home)
    row = {
        **_row(case_line(opened, case)),
        "decided_by": _decided_by(opened, case),
        "also_held_by": list(_also_held_by(opened, case)),
        "identifiers": "forgotten" if load_case(opened, case).forgotten else "in the vault",
    }
    history = [
        {"sequence": item.sequence, "recorded_at": item.recorded_at, "kind": item.event.kind}
        for item in opened.ledger.replay(case_stream(case))
    ]
    if as_json:
        emit({**row, "events": history}, as_json)
    else:
        emit(row, as_json)
        emit(history, as_json)


def _decided_by(home: Home, case: str) -> str:
    """By whose hand the decision is, or why it counts for nothing."""
    from auditor.workflow.desk.signing import decided_by, require_authentic
    from auditor.workflow.homes.record import load_case

    if load_case(home, case).decided is None:
        return ""
    try:
        require_authentic(home, case)
    except ProofError as error:
        return f"nobody: {error}"
    return decided_by(home, case).value


def _also_held_by(home: Home, case: str) -> tuple[str, ...]:
    """Other models made of these patients that no request of theirs names."""
    from auditor.workflow.homes.record import load_case
    from auditor.workflow.models.other_models import unasked_models

    requested = load_case(home, case).requested
    return () if requested is None else unasked_models(home, requested)


def _lines(file: TextIO | None) -> tuple[str, ...]:
    stripped = () if file is None else (line.strip() for line in read_lines(file))
    return tuple(line for line in stripped if line)


def _of_studies(
    home: Home, model: str, uids: tuple[str, ...], named: tuple[str, ...]
) -> tuple[str, ...]:
    """Patients that UIDs stand for, less those that were named already."""
    from auditor.workflow.models.pseudonyms import find_subjects

    found = find_subjects(home, model, uids) if uids else ()
    there = set(map(alike, named))
    return tuple(subject for subject in found if alike(subject) not in there)


def _day(text: str | None, home: Home) -> date:
    """A day of receipt by the controller's calendar; without a text today."""
    from auditor.policies.zone import local_day

    today = local_day(datetime.now(UTC), home.config.time_zone)
    if text is None:
        return today
    day = day_of(text, "--received")
    if day > today:
        raise MisuseError(f"--received {day} lies in the future")
    return day


def _row(line: CaseLine) -> dict[str, str]:
    return {
        "case": line.case,
        "received": str(line.received),
        "regime": line.regime.value,
        "ground": line.ground.value,
        "model": line.model,
        "state": line.state,
        "verdict": "" if line.verdict is None else line.verdict.value,
        "outcome": "" if line.outcome is None else line.outcome.value,
    }


for command in (
    *(list_, decide, identity, clock, restrict, lift, restricted),
    *(recipient, document, letter, batch),
    *(account, forget),
):
    request.add_command(command)
