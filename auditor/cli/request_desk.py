"""The desk's acts under `auditor request`: decisions, and what may come before and after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option, read_lines
from auditor.domain.day import parse_day
from auditor.domain.event import DecisionProposed
from auditor.domain.request import DecisionKind, DecisionReason, IdentityResult, PauseReason
from auditor.domain.role import require_role
from auditor.domain.subject_id import alike
from auditor.errors import ConcurrencyError, MisuseError

if TYPE_CHECKING:
    from auditor.proof.signing import Signer
    from auditor.workflow.desk.rules import Choice
    from auditor.workflow.desk.signing import Hand
    from auditor.workflow.homes.home import Home

_DECISIONS = {
    "grant": DecisionKind.GRANTED,
    "refuse": DecisionKind.REFUSED,
    "extend": DecisionKind.EXTENDED,
    "hold": DecisionKind.HELD,
    "withdraw": DecisionKind.WITHDRAWN,
}

key_option = click.option(
    "--key",
    type=click.Path(path_type=Path),
    help="Your key file (auditor keys new); needed once the trust file lists keys of the desk.",
)
role_option = click.option(
    "--by",
    "role",
    default="dpo",
    show_default=True,
    callback=lambda _, __, role: require_role(role),
    help="Role, never a name.",
)
on_option = click.option("--on", help="Day, YYYY-MM-DD.  [today]")


@click.command()
@click.argument("cases", nargs=-1, metavar="CASE...")
@click.option("--batch", help="Every case of this batch (auditor request batch list).")
@click.option("--grant", "decision", flag_value="grant", help="Erase.")
@click.option("--refuse", "decision", flag_value="refuse", help="Close with a signed record.")
@click.option("--extend", "decision", flag_value="extend", help="Take the extension of time.")
@click.option("--hold", "decision", flag_value="hold", help="Stop until something is resolved.")
@click.option("--withdraw", "decision", flag_value="withdraw", help="The subject took it back.")
@click.option(
    "--because",
    "reason",
    type=click.Choice([reason.value for reason in DecisionReason]),
    default=DecisionReason.NONE.value,
    help="Reason, where the law asks for one.",
)
@click.option("--review", help="Day by which an exemption is looked at again, YYYY-MM-DD.")
@role_option
@key_option
@home_option
@json_option
@click.pass_context
def decide(
    context: click.Context,
    cases: tuple[str, ...],
    batch: str | None,
    decision: str | None,
    reason: str,
    review: str | None,
    role: str,
    key: Path | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Record the desk's decision on a case, or the same on several.

    Of several, those that can't be decided so are told, and don't hinder the others.

    Where four eyes are asked for ([desk] of auditor.toml), the first person proposes to grant or
    refuse, and the case moves when another person's key says the same.
    """
    from auditor.workflow.desk.rules import NO_REVIEW, Choice
    from auditor.workflow.erasure.batch import find_batch

    if decision is None:
        raise MisuseError("say what was decided: --grant, --refuse, --extend, --hold, --withdraw")
    if bool(cases) is (batch is not None):
        raise MisuseError("name cases, or one batch with --batch")
    opened = open_home(home)
    choice = Choice(
        decision=_DECISIONS[decision],
        reason=DecisionReason(reason),
        review=NO_REVIEW if review is None else day_of(review, "--review"),
    )
    by = hand(role, key)
    if len(cases) == 1:
        emit(_decided(opened, cases[0], choice, by), as_json)
        return
    named = cases if batch is None else find_batch(opened, batch).cases
    rows = [_tried(opened, case, choice, by) for case in dict.fromkeys(named)]
    emit(rows, as_json)
    context.exit(MisuseError.exit_code if any(row["hindered"] for row in rows) else 0)


def _tried(home: Home, case: str, choice: Choice, by: Hand) -> Mapping[str, object]:
    """One case of several: decided, or what hindered that."""
    from auditor.workflow.homes.guard import require_writable

    require_writable(home.root, home.ledger)  # what hinders all is told once
    try:
        return {**_decided(home, case, choice, by), "hindered": ""}
    except (MisuseError, ConcurrencyError) as error:
        row = {"case": case, "decision": "", "waits_for": "", "sequence": ""}
        return {**row, "hindered": str(error)}


def _decided(home: Home, case: str, choice: Choice, by: Hand) -> Mapping[str, object]:
    from auditor.workflow.desk.desk import decide as record_decision

    recorded = record_decision(
        home,
        case,
        choice.decision,
        by.role,
        reason=choice.reason,
        review=choice.review,
        signers=by.signers,
    )
    proposed = isinstance(recorded.event, DecisionProposed)
    return {
        "case": case,
        "decision": choice.decision.value,
        "waits_for": "second pair of eyes" if proposed else "",
        "sequence": recorded.sequence,
    }


@click.command()
@click.argument("case")
@click.option("--confirmed", "result", flag_value="confirmed", help="They are who they say.")
@click.option("--doubted", "result", flag_value="doubted", help="There is reasonable doubt.")
@click.option(
    "--not-identifiable",
    "result",
    flag_value="not-identifiable",
    help="The data can't be told to be anybody's (Art. 11(2) GDPR).",
)
@on_option
@role_option
@key_option
@home_option
@json_option
def identity(
    case: str,
    result: str | None,
    on: str | None,
    role: str,
    key: Path | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Record what is known of the identity of whoever asked."""
    from auditor.workflow.desk.acts import check_identity

    if result is None:
        raise MisuseError("say what was found: --confirmed, --doubted, --not-identifiable")
    done = check_identity(open_home(home), case, IdentityResult(result), hand(role, key), _on(on))
    emit({"case": case, "identity": result, "sequence": done.sequence}, as_json)


@click.command()
@click.argument("case")
@click.option(
    "--stop-for",
    "reason",
    type=click.Choice([reason.value for reason in PauseReason]),
    help="What is asked of the requester.",
)
@click.option("--resume", is_flag=True, help="It came in.")
@on_option
@role_option
@key_option
@home_option
@json_option
def clock(
    case: str,
    reason: str | None,
    resume: bool,
    on: str | None,
    role: str,
    key: Path | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Stop the time limit while something is asked of the requester, or let it run on (UK GDPR)."""
    from auditor.workflow.desk.acts import resume_clock, stop_clock

    if (reason is None) is not resume:
        raise MisuseError("either --stop-for something, or --resume")
    opened, by = open_home(home), hand(role, key)
    if reason is None:
        done = resume_clock(opened, case, by, _on(on))
    else:
        done = stop_clock(opened, case, PauseReason(reason), by, _on(on))
    emit({"case": case, "clock": reason or "runs", "sequence": done.sequence}, as_json)


@click.command()
@click.argument("case")
@on_option
@role_option
@key_option
@home_option
@json_option
def restrict(
    case: str, on: str | None, role: str, key: Path | None, home: Path | None, as_json: bool
) -> None:
    """Hold training on the subjects' data and inference from it (restriction, Art. 18 GDPR)."""
    from auditor.workflow.desk import acts as desk_acts

    done = desk_acts.restrict(open_home(home), case, hand(role, key), _on(on))
    emit({"case": case, "restricted": "yes", "sequence": done.sequence}, as_json)


@click.command()
@click.argument("case")
@on_option
@role_option
@key_option
@home_option
@json_option
def lift(
    case: str, on: str | None, role: str, key: Path | None, home: Path | None, as_json: bool
) -> None:
    """Lift the restriction; the data subject is told before (Art. 18(3) GDPR)."""
    from auditor.workflow.desk import acts as desk_acts

    done = desk_acts.lift(open_home(home), case, hand(role, key), _on(on))
    emit({"case": case, "restricted": "no", "sequence": done.sequence}, as_json)


@click.command()
@click.option("--check", is_flag=True, help="Ask about the ids on standard input, one a line.")
@home_option
@json_option
def restricted(check: bool, home: Path | None, as_json: bool) -> None:
    """List the cases that restrict processing; or say of subject ids whether it is restricted.

    --check answers yes or no, line by line, and repeats no id: ask before a model is used on
    somebody's images.
    """
    from auditor.workflow.models.restrictions import restricted_cases, restricted_subjects

    opened = open_home(home)
    if not check:
        emit([{"case": case} for case in restricted_cases(opened)], as_json)
        return
    held = restricted_subjects(opened)
    with click.open_file("-", encoding="utf-8-sig") as asked:
        answers = ["yes" if alike(line) in held else "no" for line in read_lines(asked)]
    if as_json:
        emit([{"restricted": answer} for answer in answers], as_json)
    else:
        for answer in answers:
            click.echo(answer)


def hand(role: str, key: Path | None) -> Hand:
    """Who acts, as named on the command line."""
    from auditor.workflow.desk.signing import Hand

    return Hand(role=role, signers=tuple(signers_in(key)))


def signers_in(key: Path | None) -> Sequence[Signer]:
    """The keys in the file named on the command line; none without one."""
    from auditor.workflow.log.statement_keys import read_pair

    return () if key is None else read_pair(key)


def _on(text: str | None) -> date | None:
    return None if text is None else day_of(text, "--on")


def day_of(text: str, option: str) -> date:
    """A day named on the command line.

    Raises:
        MisuseError: no such day.
    """
    try:
        day = parse_day(text)
    except ValueError:
        raise MisuseError(f"{option} {text!r} is no day; write it as YYYY-MM-DD") from None
    if day is None:
        raise MisuseError(f"{option} {text}: there is no such day")
    return day
