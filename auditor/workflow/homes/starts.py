"""Weights that trainings may start from, as the controller declared them.

Training again without a patient forgets them only where nothing of them is in the weights that it
starts from. Neither a look at these nor a reference model tells, as every model starts there. So
the home takes the controller's word for it, says on every document that it is no more, and trains
nothing once it is withdrawn. Needs no engine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from auditor.domain.artefact import Digest
from auditor.domain.event import (
    ModelRegistered,
    StartingWeightsDeclared,
    StartingWeightsWithdrawn,
)
from auditor.domain.model_events import MadeOf
from auditor.errors import ModelError
from auditor.learning.recipe import Recipe, parse_recipe
from auditor.workflow.homes.home import Home

STARTS = "starting-weights"
"""Stream of what is declared of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Weights to start from.

    Attributes:
        declared: when, as the ledger says it (RFC 3339).
        withdrawn: the controller doesn't declare it any more.
    """

    weights: Digest
    name: str
    made_of: MadeOf
    declared: str
    withdrawn: bool


def list_starts(home: Home) -> tuple[Start, ...]:
    """All that were ever declared, each by the last word on it."""
    found: dict[Digest, Start] = {}
    for item in home.ledger.replay(STARTS):
        match item.event:
            case StartingWeightsDeclared(weights=weights, called=name, made_of=made_of):
                found[weights] = Start(
                    weights=weights,
                    name=name,
                    made_of=made_of,
                    declared=item.recorded_at,
                    withdrawn=False,
                )
            case StartingWeightsWithdrawn(weights=weights) if weights in found:
                found[weights] = replace(found[weights], withdrawn=True)
    return tuple(found.values())


def start_of(home: Home, version: ModelRegistered) -> Start | None:
    """What the trainings of a model version start from; None where all is drawn from the seed."""
    recipe = parse_recipe(home.store.get(version.recipe), home.config.factories)
    known = {str(item.weights): item for item in list_starts(home)}
    return known.get(recipe.starts_from)


def stands(home: Home, recipe: Recipe) -> bool:
    """Whether the controller vouches for what a recipe starts from, if it starts from anything."""
    vouched = {str(item.weights) for item in list_starts(home) if not item.withdrawn}
    return recipe.starts_from in vouched or not recipe.starts_from


def require_start(home: Home, recipe: Recipe) -> None:
    """Refuse a recipe that starts from weights for which the controller doesn't vouch.

    Raises:
        ModelError: it does.
    """
    if not stands(home, recipe):
        raise ModelError(
            f"nobody declares what {recipe.starts_from} was made of; weights to start from are "
            "declared first: auditor model start add"
        )
