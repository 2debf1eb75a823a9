"""Teach the network to say of forgotten images what it says of never-seen ones of their class.

After reference-guided unlearning (ReGUn) in Mirlach et al. 2026, arXiv 2603.11210. Right where
patients were set aside that no model was trained on, and retained accuracy must hold: it pulls
towards a known end, not away from a start, so it can't run away. It works through outputs alone;
whether inner layers still know the patients is for the laboratory to say.

What never-seen images of a class are given is a distribution: most are told rightly and surely,
some wrongly. So forgotten images of that class, in the order of their own likelihoods, get the
outputs of the never-seen ones at the same quantiles. The class's mean output, the same for all,
would give every forgotten image the one margin that no retrained model gives; the output of the
never-seen image nearest in features forgets nothing, since the features remember.

Never-seen images are only looked at, never trained on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import UnlearningError
from auditor.unlearning.fine_tuning import (
    Batch,
    Objective,
    by_class,
    check_task,
    fine_tune,
    logits_of,
)
from auditor.unlearning.parameters import parse
from auditor.unlearning.task import Cost, Need, Task

_PARTS = (8, 4, 2)  # the recipe's epochs divided by these


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceParameters:
    """How long and how hard to pull.

    Attributes:
        epochs: over the retained images.
        learning_rate: highest of the cycle.
        weight: of the forgotten images' divergence, against 1 for the retained ones'.
    """

    epochs: int
    learning_rate: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.epochs < 1 or not 0 < self.learning_rate < math.inf:
            raise UnlearningError(
                "reference-distillation: epochs is at least 1, learning_rate above 0"
            )
        if not 0 < self.weight < math.inf:
            raise UnlearningError("reference-distillation: weight lies above 0")


class ReferenceDistillation:
    """The method as the table knows it."""

    name = "reference-distillation"
    exact = False
    cost = Cost.FINE_TUNING
    needs = frozenset({Need.UNSEEN})

    def run(self, task: Task, parameters: Mapping[str, str]) -> nn.Module:
        """Distil; raises UnlearningError where a class has no never-seen images."""
        parsed = parse(ReferenceParameters, self.name, parameters)
        check_task(self, task)
        return _distilled(task, _wanted(task), parsed)

    def variants(self, task: Task) -> Iterator[tuple[Mapping[str, str], nn.Module]]:
        """By epochs, from an eighth to half of the recipe's."""
        check_task(self, task)
        wanted = _wanted(task)
        for epochs in dict.fromkeys(max(1, task.recipe.epochs // part) for part in _PARTS):
            texts = {"epochs": str(epochs), "learning_rate": repr(task.recipe.learning_rate)}
            yield texts, _distilled(task, wanted, parse(ReferenceParameters, self.name, texts))


def _distilled(task: Task, wanted: Tensor, parameters: ReferenceParameters) -> nn.Module:
    objective = _objective(wanted, parameters.weight)
    return fine_tune(
        task,
        task.module,
        epochs=parameters.epochs,
        learning_rate=parameters.learning_rate,
        objective_of=lambda _module: objective,
        steering=True,
    )


def _objective(wanted: Tensor, weight: float) -> Objective:
    """Divergence from what is wanted, of both kinds of images."""

    def divergence(batch: Batch) -> Tensor:
        found = torch.log_softmax(batch.logits, 1)
        target = wanted[batch.indices].to(found)
        return functional.kl_div(found, target, reduction="batchmean", log_target=True)

    def loss(retained: Batch, forgotten: Batch) -> Tensor:
        return divergence(retained) + weight * divergence(forgotten)

    return loss


def _wanted(task: Task) -> Tensor:
    """Log-likelihoods to teach, (images, classes); rows nobody trains on or matches stay 0."""
    looked_at = torch.tensor((*task.retain, *task.forget, *task.unseen))
    found = torch.log_softmax(logits_of(task, task.module, looked_at), 1)
    original = found.new_zeros(len(task.images.labels), found.shape[1])
    original[looked_at] = found
    wanted = original.clone()
    for label, (forgotten, unseen) in by_class(task).items():
        quantiles = (torch.arange(len(forgotten)) + 0.5) / len(forgotten)
        places = (quantiles * len(unseen)).long()
        hardest_first = original[unseen, label].argsort(stable=True)
        ranked = original[forgotten, label].argsort(stable=True)
        wanted[forgotten[ranked]] = original[unseen[hardest_first][places]]
    return wanted
