"""`auditor demo`: the whole road on one machine, in a home of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.output import emit, json_option, progress_reporter
from auditor.errors import MisuseError

if TYPE_CHECKING:
    from auditor.workflow.demo import DemoResult


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="Manifest of real images.")
@click.option("--size", type=click.IntRange(16, 512), help="Side of the images in pixels.")
@click.option("--profile", type=click.Choice(["quick", "full"]), default="quick")
@json_option
def demo(out: Path, data: Path | None, size: int | None, profile: str, as_json: bool) -> None:
    """Walk the whole road once: model, two requests, erasure, certificates, verification."""
    from auditor.learning.engine import require_engine

    require_engine()
    from auditor.workflow.demo import demo_profile, run_demo

    if out.exists() and any(out.iterdir()):
        raise MisuseError(f"{out} isn't empty; remove it or choose another folder with --out")
    with progress_reporter() as (progress, notice):
        result = run_demo(out, data, demo_profile(profile, size), progress=progress, notice=notice)
    if as_json:
        emit([line for case in result.cases for line in case.lines], as_json=True)
    else:
        _print_result(out, result)


def _print_result(out: Path, result: DemoResult) -> None:
    click.echo("")
    for case in result.cases:
        for line in case.lines:
            click.echo(
                f"{case.role:10} {line['candidate']:10} {line['method']:10} {line['verdict']:14}"
                f" rho {_interval(line['rho']):22} basis {line['basis']}"
            )
            click.echo(f"{'':10} {line['reasons'][0]}")
    trust = result.home / "trust.json"
    first = result.certificates[-1]
    click.echo(f"\nDone in {result.seconds:.0f} s. One flipped bit was refused: ", nl=False)
    click.echo("yes" if result.tampered_refused else "NO")
    click.echo(f"Certificates  {out / 'certificates'}")
    click.echo(f"Home          {result.home}")
    click.echo(f"Summary       {out / 'summary.json'}")
    click.echo("\nTry next:")
    click.echo(f"  auditor verify {first} --trust {trust}")
    click.echo(f"  auditor ledger audit --home {result.home}")
    click.echo(f"  auditor certificate list --home {result.home}")


def _interval(rho: Mapping[str, float | None]) -> str:
    point, lower, upper = rho["point"], rho["lower"], rho["upper"]
    if point is None or lower is None or upper is None:
        return "not established"
    return f"{point:+.2f} [{lower:+.2f}, {upper:+.2f}]"
