"""`auditor model start`: weights of before that trainings may start from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.model_copy import read_digest
from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option
from auditor.cli.request_desk import role_option
from auditor.domain.model_events import MadeOf

if TYPE_CHECKING:
    from auditor.workflow.homes.starts import Start


@click.group()
def start() -> None:
    """Declare weights that trainings may start from, such as ImageNet's."""


@start.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="What documents call them: one word.")
@click.option(
    "--made-of",
    required=True,
    type=click.Choice([item.value for item in MadeOf]),
    help="What they were trained on, as you declare it.",
)
@role_option
@home_option
@json_option
def add(file: Path, name: str, made_of: str, role: str, home: Path | None, as_json: bool) -> None:
    """Declare that weights hold nobody whose images models of this home are trained on.

    It is your word, and every certificate says so: no test can tell. FILE is safetensors or a
    state_dict of the same network; its last linear layer isn't used. A recipe takes them by the
    digest printed: starts_from = "sha256:...".
    """
    from auditor.workflow.models.declaring_starts import declare_start

    made = declare_start(open_home(home), file, name=name, made_of=MadeOf(made_of), actor=role)
    emit(_row(made), as_json)


@start.command("list")
@home_option
@json_option
def list_(home: Path | None, as_json: bool) -> None:
    """List weights that were declared, with the last word on each."""
    from auditor.workflow.homes.starts import list_starts

    emit([_row(item) for item in list_starts(open_home(home))], as_json)


@start.command()
@click.argument("weights")
@role_option
@home_option
@json_option
def withdraw(weights: str, role: str, home: Path | None, as_json: bool) -> None:
    """Take the word back: the weights are destroyed, and nothing is trained from them any more.

    Prints the models that start from them, and the certificates that rest on that.
    """
    from auditor.workflow.models.declaring_starts import withdraw_start

    found = withdraw_start(open_home(home), read_digest(weights), actor=role)
    emit({"models": list(found.models), "certificates": list(found.certificates)}, as_json)


def _row(made: Start) -> dict[str, object]:
    return {
        "weights": str(made.weights),
        "name": made.name,
        "made_of": made.made_of.value,
        "declared": made.declared,
        "stands": "no" if made.withdrawn else "yes",
    }
