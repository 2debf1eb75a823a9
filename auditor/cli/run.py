"""`auditor run`: unlearn, verify, decide and certify; goes on from wherever a case stands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option, progress_reporter
from auditor.domain.verdict import Verdict
from auditor.errors import MisuseError

if TYPE_CHECKING:
    from auditor.domain.case import ErasureCase
    from auditor.workflow.home import Home

_EXIT_CODES = {Verdict.FAILED: 3, Verdict.INDETERMINATE: 4, Verdict.PASSED: 0}


@click.command()
@click.option("--case", "cases", multiple=True, metavar="ID", help="A case; may be repeated.")
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
    pending: bool,
    shared_bank: bool,
    keep_scores: int,
    until_verdict: bool,
    workers: int | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Run granted cases to their certificate or record.

    Exit code 3 if any verdict is FAILED, else 4 if any is INDETERMINATE, else 0.
    """
    from auditor.learning.engine import require_engine

    require_engine()
    import os

    from auditor.workflow.casework import RunSettings
    from auditor.workflow.notary import certificate_path
    from auditor.workflow.running import pending_cases, run_case

    if bool(cases) == pending:
        raise MisuseError("name cases with --case, or take all with --pending")
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
    lines, codes = [], [0]
    with progress_reporter() as (progress, notice):
        for case in cases or pending_cases(opened):
            state = run_case(
                opened,
                case,
                settings,
                progress=progress,
                notice=notice,
                until_verdict=until_verdict,
            )
            reached = state.reached
            lines.append(
                {
                    "case": case,
                    "verdict": reached.verdict.value if reached else "",
                    "basis": reached.basis.value if reached else "",
                    "outcome": state.issued.outcome.value if state.issued else "",
                    "waits_for": _waits_for(opened, case, state),
                    "document": str(certificate_path(opened, case)),
                }
            )
            if reached is not None:
                codes.append(_EXIT_CODES[reached.verdict])
    emit(lines, as_json)
    context.exit(3 if 3 in codes else max(codes))


def _waits_for(home: Home, case: str, state: ErasureCase) -> str:
    from auditor.workflow.inventory import left_open
    from auditor.workflow.steps import Step, next_step, waits_for_approval

    if waits_for_approval(state):
        return "approval"
    if not state.stopped and next_step(state) is Step.PREPARE and left_open(home, case, state):
        return "copies"
    return ""
