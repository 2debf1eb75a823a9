"""`auditor bank`: reference models that serve several requests, by digest."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.opening import open_home
from auditor.cli.output import emit, home_option, json_option, progress_reporter

if TYPE_CHECKING:
    from auditor.workflow.homes.home import Home


@click.group()
def bank() -> None:
    """Train, try, list and destroy reference models that serve several requests."""


_WORKERS = click.option("--workers", type=click.IntRange(min=1), help="Training processes [cores].")


@bank.command()
@click.argument("model")
@click.option("--models", type=click.IntRange(min=1), default=80, show_default=True)
@click.option(
    "--parts",
    type=click.IntRange(min=2),
    default=5,
    show_default=True,
    help="Each model leaves out one in so many patients, drawn at random.",
)
@click.option("--waiting", is_flag=True, help="Leave out exactly the patients of waiting requests.")
@_WORKERS
@home_option
@json_option
def train(
    model: str,
    models: int,
    parts: int,
    waiting: bool,
    workers: int | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Train a shared bank, or go on with one that isn't finished."""
    _require_engine()
    from auditor.domain.bank_events import BankDesign
    from auditor.workflow.audit.shared_bank import train_shared_bank

    design = BankDesign.LEAVE_COHORT_OUT if waiting else BankDesign.RANDOM_SUBSETS
    opened = open_home(home)
    with progress_reporter() as (progress, _):
        train_shared_bank(
            opened,
            model,
            design,
            models=models,
            parts=parts,
            today=_today(),
            workers=workers or os.cpu_count() or 1,
            progress=progress,
        )
    _list(opened, model, as_json)


@bank.command("try")
@click.argument("model")
@click.argument("name")
@click.option(
    "--retrains",
    type=click.IntRange(min=1),
    default=74,
    show_default=True,
    help="True retrains to audit; none of 74 FAILED shows at most 5 % false alarms.",
)
@_WORKERS
@home_option
@json_option
def try_(
    model: str, name: str, retrains: int, workers: int | None, home: Path | None, as_json: bool
) -> None:
    """Audit true retrains against a bank of random subsets, so that it may decide."""
    _require_engine()
    from auditor.workflow.audit.bank_trial import try_shared_bank

    opened = open_home(home)
    with progress_reporter() as (progress, _):
        outcomes = try_shared_bank(
            opened,
            model,
            name,
            retrains=retrains,
            today=_today(),
            workers=workers or os.cpu_count() or 1,
            progress=progress,
        )
    rows = [
        {"verdict": outcome.verdict.value, "rho": f"{outcome.influence.point:.3f}"}
        for outcome in outcomes
    ]
    emit(rows, as_json)


@bank.command("list")
@click.argument("model")
@home_option
@json_option
def list_(model: str, home: Path | None, as_json: bool) -> None:
    """List a model's shared banks, what trials of them showed, and their last day."""
    _list(open_home(home), model, as_json)


@bank.command()
@click.argument("model")
@click.argument("name")
@home_option
@json_option
def destroy(model: str, name: str, home: Path | None, as_json: bool) -> None:
    """Destroy a shared bank now; those past their last day go with the next run."""
    from auditor.workflow.homes.alone import alone
    from auditor.workflow.models.shared_bank_book import destroy_bank, require_bank

    opened = open_home(home)
    with alone(opened):
        destroy_bank(opened, require_bank(opened, model, name))
    _list(opened, model, as_json)


def _list(opened: Home, model: str, as_json: bool) -> None:
    from auditor.workflow.homes.registry import require_model
    from auditor.workflow.models.shared_bank_book import bank_store, members, shared_banks

    require_model(opened, model)
    store = bank_store(opened)
    rows = [
        {
            "bank": bank.name.value[:16],
            "design": bank.planned.design.value,
            "models": bank.planned.models,
            "here": sum(store.has(member) for member in members(opened, bank)),
            "tried": sum(item.retrains for item in bank.tried),
            "failed": sum(item.failed for item in bank.tried),
            "last_day": str(bank.planned.destroy_by),
            "destroyed": "yes" if bank.destroyed else "no",
        }
        for bank in shared_banks(opened, model)
    ]
    emit(rows, as_json)


def _today() -> date:
    return datetime.now(UTC).date()


def _require_engine() -> None:
    from auditor.learning.engine import require_engine

    require_engine()
