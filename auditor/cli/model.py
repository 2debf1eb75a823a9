"""`auditor model`: models on the books, by digest."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli.output import emit, home_option, json_option


@click.group()
def model() -> None:
    """Look at the models that are registered."""


@model.command("list")
@home_option
@json_option
def list_(home: Path | None, as_json: bool) -> None:
    """List every model with the version in service."""
    from auditor.workflow.home import open_home
    from auditor.workflow.registry import list_models

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
    """Show every version of one model."""
    from auditor.workflow.home import open_home
    from auditor.workflow.registry import require_model

    view = require_model(open_home(home), name)
    rows = [
        {
            "model": version.model,
            "version": version.version,
            "in_service": "yes" if version.weights == view.in_service else "no",
            "architecture": version.architecture,
            "training_images": version.training_images,
            "data_set": version.data_set,
            "recipe": str(version.recipe),
            "weights": str(version.weights),
        }
        for version in view.versions
    ]
    emit(rows, as_json)
