"""`auditor request account`: what became of a declared copy in a case."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli.model_copy import read_digest
from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option
from auditor.domain.artefact import ArtefactFate
from auditor.errors import MisuseError


@click.command()
@click.argument("case")
@click.argument("copy")
@click.option("--destroyed", "fate", flag_value="destroyed", help="It is gone.")
@click.option("--replaced", "fate", flag_value="replaced", help="The new version took its place.")
@click.option("--retained", "fate", flag_value="retained", help="It is kept, on a --ground.")
@click.option("--ground", default="", help="Why a copy is kept: a token of docs/scope.md.")
@home_option
@json_option
def account(
    case: str, copy: str, fate: str | None, ground: str, home: Path | None, as_json: bool
) -> None:
    """Say what became of a copy that lies outside the home."""
    from auditor.workflow.models.inventory import account_copy

    if fate is None:
        raise MisuseError("say what became of it: --destroyed, --replaced, --retained")
    said = account_copy(open_home(home), case, read_digest(copy), ArtefactFate(fate), ground=ground)
    emit(
        {
            "case": case,
            "copy": str(said.artefact),
            "kind": said.artefact_kind.value,
            "fate": said.fate.value,
            "ground": said.ground,
        },
        as_json,
    )
