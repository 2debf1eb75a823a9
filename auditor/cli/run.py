"""`auditor run`: unlearn, verify, decide and certify; goes on from wherever a case stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option, progress_reporter
from auditor.domain.verdict import Verdict
from auditor.errors import AuditorError, MisuseError

if TYPE_CHECKING:
    from auditor.domain.case import ErasureCase
    from auditor.workflow.erasure.running import Ran
    from auditor.workflow.homes.home import Home

_FAILED, _INDETERMINATE = 3, 4


@click.command()
@click.option("--case", "cases", multiple=True, metavar="ID", help="A case; may be repeated.")
@click.option("--batch", metavar="ID", help="The cases of a batch (auditor request batch).")
@click.option("--pending", is_flag=True, help="Every granted case that isn't closed.")
@click.option("--shared-bank", is_flag=True, help="Audit by shared references (auditor bank).")
@click.option(
    "--keep-scores",
    type=click.IntRange(min=0),
    is_flag=False,
    flag_value=365,
    default=0,
    metavar="[DAYS]",
    help="Keep what is needed to replay each audit, for so many days [365].",
)
@click.option("--until-verdict", is_flag=True, help="Stop before any copy is destroyed.")
@click.option("--workers", type=click.IntRange(min=1), help="Training processes [cores].")
@home_option
@json_option
@click.pass_context
def run(
    context: click.Context,
    cases: tuple[str, ...],
    batch: str | None,
    pending: bool,
    shared_bank: bool,
    keep_scores: int,
    until_verdict: bool,
    workers: int | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Run granted cases to their certificate or record.

    Exit code 3 if any verdict is FAILED, else 4 if any is INDETERMINATE, else 0. In a batch, what
    hinders one case doesn't stop the others; where something did and nothing FAILED, it is 1.
    """
    from auditor.learning.engine import require_engine

    require_engine()
    import os

    from auditor.workflow.erasure.batch import find_batch
    from auditor.workflow.erasure.casework import RunSettings
    from auditor.workflow.erasure.running import pending_cases, run_batch, run_each

    if [bool(cases), batch is not None, pending].count(True) != 1:
        raise MisuseError(
            "name cases with --case, a batch with --batch, or take all with --pending"
        )
    opened = open_home(home)
    config = opened.config
    settings = RunSettings(
        out_models=config.out_models,
        in_models=config.in_models,
        required_power=config.required_power,
        workers=workers or os.cpu_count() or 1,
        shared_bank=shared_bank,
        keep_scores=keep_scores,
    )
    with progress_reporter() as (progress, notice):
        go, named = (
            (run_each, cases or pending_cases(opened))
            if batch is None
            else (run_batch, find_batch(opened, batch).cases)
        )
        ran = go(
            opened,
            named,
            settings,
            progress=progress,
            notice=notice,
            until_verdict=until_verdict,
        )
    lines = [_line(opened, item) for item in ran]
    if batch is None:
        emit(lines, as_json)
    elif as_json:
        emit({**_summary(batch, lines), "lines": lines}, as_json)
    else:
        emit(lines, as_json)
        emit(_summary(batch, lines), as_json)
    context.exit(_exit_code(ran))


def _line(home: Home, ran: Ran) -> dict[str, str]:
    from auditor.workflow.documents.notary import certificate_path

    reached, issued = ran.state.reached, ran.state.issued
    line = {
        "case": ran.case,
        "verdict": reached.verdict.value if reached else "",
        "basis": reached.basis.value if reached else "",
        "outcome": issued.outcome.value if issued else "",
        "waits_for": _waits_for(home, ran.case, ran.state),
        "document": str(certificate_path(home, ran.case)),
    }
    return {**line, "hindered": ran.hindered} if ran.hindered else line


def _summary(batch: str, lines: Sequence[Mapping[str, str]]) -> dict[str, object]:
    """How many cases ended how; those that haven't count as open."""
    ended = Counter(line["outcome"] or "open" for line in lines)
    return {
        "batch": batch,
        "cases": len(lines),
        **{name.replace("-", "_"): count for name, count in sorted(ended.items())},
        "failed": sum(line["verdict"] == Verdict.FAILED for line in lines),
        "indeterminate": sum(line["verdict"] == Verdict.INDETERMINATE for line in lines),
        "hindered": sum("hindered" in line for line in lines),
    }


def _exit_code(ran: Sequence[Ran]) -> int:
    """FAILED before what couldn't be run, and that before INDETERMINATE (DESIGN section 2)."""
    verdicts = {item.state.reached.verdict for item in ran if item.state.reached is not None}
    if Verdict.FAILED in verdicts:
        return _FAILED
    if any(item.hindered for item in ran):
        return AuditorError.exit_code
    return _INDETERMINATE if Verdict.INDETERMINATE in verdicts else 0


def _waits_for(home: Home, case: str, state: ErasureCase) -> str:
    from auditor.workflow.erasure.running import is_undecided
    from auditor.workflow.homes.steps import Step, next_step, waits_for_approval
    from auditor.workflow.models.inventory import left_open

    if waits_for_approval(state):
        return "approval"
    if is_undecided(state):
        return "desk"
    if not state.stopped and next_step(state) is Step.PREPARE and left_open(home, case, state):
        return "copies"
    return ""
