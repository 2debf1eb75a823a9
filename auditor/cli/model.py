"""`auditor model`: train or register a model, and look at those on the books, by digest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.model_copy import copy
from auditor.cli.model_start import start
from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option, progress_reporter, read_input
from auditor.cli.request_desk import key_option, role_option, signers_in
from auditor.domain.scope_events import Readmission
from auditor.errors import MisuseError

if TYPE_CHECKING:
    from auditor.domain.event import ModelRegistered
    from auditor.learning.recipe import Recipe
    from auditor.workflow.homes.home import Home


@click.group()
def model() -> None:
    """Train, register, deploy and look at models."""


_FILE = click.Path(path_type=Path)


@model.command()
@click.argument("name")
@click.option("--data", required=True, type=_FILE, help="Manifest of the training images.")
@click.option("--recipe", "recipe_path", type=_FILE, help="Recipe (TOML).  [the quick recipe]")
@click.option(
    "--leave-out-excluded",
    is_flag=True,
    help="Go on without the images of patients who must not be trained on.",
)
@click.option("--seed", type=int, help="To make the same training again.  [drawn by chance]")
@home_option
@json_option
def train(
    name: str,
    data: Path,
    recipe_path: Path | None,
    leave_out_excluded: bool,
    seed: int | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Train a model by a recipe, register it and put it into service.

    Its training can be gone back to: checkpoints are kept as auditor.toml says under [models].
    Refused where the data show a patient who was erased, or whose data are restricted.
    """
    _require_engine()
    from auditor.workflow.audit.scene import train_and_register

    opened = open_home(home)
    with progress_reporter() as (progress, notice):
        version = train_and_register(
            opened,
            model=name,
            manifest=data,
            recipe=_recipe(recipe_path, opened),
            notice=notice,
            progress=progress,
            leave_out_excluded=leave_out_excluded,
            seed=seed,
        )
    emit(_row(version), as_json)


@model.command()
@click.argument("name")
@click.option("--weights", required=True, type=_FILE, help="safetensors, or a state_dict.")
@click.option(
    "--data",
    required=True,
    type=_FILE,
    help="Manifest whose column split says which images trained it (train), and which it never "
    "saw (validation, test).",
)
@click.option("--recipe", "recipe_path", type=_FILE, help="Recipe (TOML).  [the quick recipe]")
@home_option
@json_option
def register(
    name: str,
    weights: Path,
    data: Path,
    recipe_path: Path | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Register a model that was trained elsewhere by a recipe, and put it into service.

    Whether the recipe describes the model is measured at its first audit. Refused where it was
    trained on a patient who was erased, or whose data are restricted: train it without.
    """
    _require_engine()
    from auditor.workflow.audit.scene import register_trained

    opened = open_home(home)
    version = register_trained(
        opened,
        model=name,
        manifest=data,
        recipe=_recipe(recipe_path, opened),
        weights=weights,
        notice=_notice,
    )
    emit(_row(version), as_json)


@model.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1), required=False)
@click.option("--weights", type=_FILE, help="File of a registered version's weights.")
@home_option
@json_option
def deploy(
    name: str, version: int | None, weights: Path | None, home: Path | None, as_json: bool
) -> None:
    """Put a registered version into service, by its number or by a file of its weights.

    Refused for a version that an erasure has replaced: it would bring the patient back.
    """
    from auditor.workflow.models.deployment import put_into_service, put_weights_into_service

    if (version is None) == (weights is None):
        raise MisuseError("say what goes into service: a version's number, or --weights FILE")
    opened = open_home(home)
    if version is not None:
        found = put_into_service(opened, name, version)
    elif weights is not None:
        _require_engine()
        from auditor.learning.weights import convert_checkpoint

        found = put_weights_into_service(opened, name, convert_checkpoint(weights))
    emit(_row(found), as_json)


@model.command()
@click.argument("name")
@home_option
@json_option
def retire(name: str, home: Path | None, as_json: bool) -> None:
    """Take a model out of service."""
    from auditor.workflow.models.deployment import take_out_of_service

    emit(_row(take_out_of_service(open_home(home), name)), as_json)


@model.command()
@click.argument("case")
@click.option(
    "--reason",
    required=True,
    type=click.Choice([reason.value for reason in Readmission]),
    help="Why the patients' data may be trained on again.",
)
@role_option
@key_option
@home_option
@json_option
def readmit(
    case: str, reason: str, role: str, key: Path | None, home: Path | None, as_json: bool
) -> None:
    """Let the patients of an erasure be trained on again; their entries are destroyed."""
    _require_engine()
    from auditor.workflow.desk.signing import Hand
    from auditor.workflow.models.exclusion import readmit as take_off

    by = Hand(role=role, signers=tuple(signers_in(key)))
    take_off(open_home(home), case, Readmission(reason), by)
    emit({"case": case, "readmitted": reason}, as_json)


@model.command()
@click.argument("name")
@click.argument("challenge")
@click.option("--weights", required=True, type=_FILE, help="The file that is served.")
@click.option("--key", required=True, type=_FILE, help="File of the endpoint's keys.")
def answer(name: str, challenge: str, weights: Path, key: Path) -> None:
    """Answer, where a model is served, which weights are: print a signed answer to a challenge.

    Needs no home. Make the keys with `auditor keys new`; see `challenge` in auditor.toml.
    """
    from auditor.domain.artefact import Digest
    from auditor.workflow.documents.serving import answer_for
    from auditor.workflow.log.statement_keys import read_pair

    digest = Digest.of(read_input(weights, most=None))
    click.echo(answer_for(name, challenge, digest, read_pair(key)).decode("utf-8"))


model.add_command(copy)
model.add_command(start)


@model.command("list")
@home_option
@json_option
def list_(home: Path | None, as_json: bool) -> None:
    """List every model with the version in service."""
    from auditor.workflow.homes.registry import list_models

    rows = [
        {
            "model": view.name,
            "architecture": view.current.architecture,
            "versions": len(view.versions),
            "in_service": "" if view.in_service is None else view.current.version,
            "weights": "" if view.in_service is None else str(view.in_service),
        }
        for view in list_models(open_home(home))
    ]
    emit(rows, as_json)


@model.command()
@click.argument("name")
@home_option
@json_option
def show(name: str, home: Path | None, as_json: bool) -> None:
    """Show every version of one model, and what is tuned for the one in service."""
    from auditor.workflow.homes.registry import require_model

    opened = open_home(home)
    view = require_model(opened, name)
    rows = [
        _row(version)
        | {"starts_from": _start(opened, version)}
        | (
            {
                "in_service": "yes",
                "calibrated": _calibrated(opened, version),
                **_since_exact(opened, name),
            }
            if version.weights == view.in_service
            else {"in_service": "no", "calibrated": [], "since_exact": "", "exact_due": []}
        )
        for version in view.versions
    ]
    emit(rows, as_json)


def _since_exact(home: Home, model: str) -> dict[str, object]:
    """Approximate erasures since the last exact training, out of the budget for them."""
    from auditor.workflow.models.lineage import standing

    stands = standing(home, model)
    return {
        "since_exact": f"{len(stands.behind)} of {stands.limits.steps}",
        "exact_due": [reason.value for reason in stands.due],
    }


def _calibrated(home: Home, version: ModelRegistered) -> list[str]:
    """Each method's last calibration: the influence it left of surrogate patients, and when."""
    from auditor.workflow.audit.calibration_book import latest_calibrations

    lines = []
    for known in latest_calibrations(home, version.weights):
        residual = known.findings.residual
        if known.findings.parameters is None:
            outcome = "no variant inside the bounds"
        else:
            outcome = "rho not measurable" if residual is None else f"rho {residual:.2f}"
        lines.append(f"{known.method}: {outcome} ({known.on})")
    return lines


def _row(version: ModelRegistered) -> dict[str, object]:
    return {
        "model": version.model,
        "version": version.version,
        "architecture": version.architecture,
        "training_images": version.training_images,
        "data_set": version.data_set,
        "recipe": str(version.recipe),
        "weights": str(version.weights),
    }


def _start(home: Home, version: ModelRegistered) -> str:
    """The name of the weights that its trainings start from; "" where they are drawn."""
    from auditor.workflow.homes.starts import start_of

    start = start_of(home, version)
    return "" if start is None else start.name


def _recipe(path: Path | None, home: Home) -> Recipe:
    from auditor.learning.recipe import QUICK, read_recipe

    return QUICK if path is None else read_recipe(path, home.config.factories, home.store.root)


def _notice(text: str) -> None:
    click.echo(text, err=True)


def _require_engine() -> None:
    from auditor.learning.engine import require_engine

    require_engine()
