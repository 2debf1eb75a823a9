"""`auditor qualify`: does the laboratory catch fakes, spare true retrains, and pass this method?"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option, progress_reporter

if TYPE_CHECKING:
    from auditor.domain.evidence import Estimate
    from auditor.domain.qualification import Qualification


@click.command()
@click.argument("model")
@click.option("--method", required=True, help="Of the approximate methods, such as newton.")
@click.option(
    "--profile",
    type=click.Choice(["quick", "full"]),
    default="quick",
    show_default=True,
    help="30 true retrains, or 300.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the signed report here, too.")
@click.option("--workers", type=click.IntRange(min=1), help="Training processes [cores].")
@home_option
@json_option
def qualify(
    model: str,
    method: str,
    profile: str,
    out: Path | None,
    workers: int | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Qualify an unlearning method on this model and data, with patients nobody asked to erase.

    Stopped, it goes on where it was. Exit code 0 when it ran as designed, whatever it found.
    """
    from auditor.learning.engine import require_engine

    require_engine()
    from auditor.domain.codec import plain_fields
    from auditor.domain.qualification import Profile
    from auditor.workflow.homes.files import write_file
    from auditor.workflow.qualifying.qualification import qualify as qualifying

    opened = open_home(home)
    with progress_reporter() as (progress, _):
        report, entered = qualifying(
            opened,
            model,
            method,
            Profile(profile),
            today=datetime.now(UTC).date(),
            workers=workers or os.cpu_count() or 1,
            progress=progress,
        )
    if out is not None:
        write_file(out, opened.store.get(entered.report))
    told = {"shortfalls": [item.value for item in report.shortfalls], "report": str(entered.report)}
    if as_json:
        emit({**plain_fields(report), **told}, as_json)
    else:
        _show(report, told)


def _show(report: Qualification, told: Mapping[str, object]) -> None:
    rows = [
        {
            "candidates": tally.name,
            "made": tally.candidates,
            "passed": f"{tally.passed} {_interval(tally.passed_share)}",
            "failed": f"{tally.failed} {_interval(tally.failed_share)}",
            "indeterminate": tally.indeterminate,
            "refused": tally.refused,
            "rho": _range(tally.influence),
            "reasons": [f"{code} {count}" for code, count in tally.reasons],
        }
        for tally in (report.retrains, *report.fakes, *report.unlearned)
    ]
    emit(rows, False)
    click.echo()
    lines = [
        {
            "patients": line.patients,
            "images": line.images,
            "out_models": line.out_models,
            "in_models": line.in_models,
            "detect_untouched": f"{line.power.detect_untouched:.2f}",
            "pass_retrain": f"{line.power.pass_retrain:.2f}",
        }
        for line in report.power_lines
    ]
    emit(lines, False)
    click.echo()
    summary: dict[str, object] = {
        "method": report.method,
        "qualified": "no" if report.shortfalls else "yes",
        **told,
        "tampering_refused": [item.name for item in report.tampering if item.refused],
        "u_lira_auc": [f"{item.auc.point:.2f} {_interval(item.auc)}" for item in report.u_lira],
        "seconds_per_verdict": f"{report.milliseconds / 1000:.2f}",
        "valid_until": str(report.valid_until),
    }
    emit(summary, False)


def _interval(estimate: Estimate) -> str:
    return f"[{estimate.lower:.3f}, {estimate.upper:.3f}]"


def _range(values: tuple[float, ...]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}" if values else ""
