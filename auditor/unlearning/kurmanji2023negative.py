"""Descent on retained images and, held in check, ascent on forgotten ones: a baseline.

NegGrad+ in Kurmanji et al. 2023, "Towards Unbounded Machine Unlearning", arXiv 2302.09880, with a
clamp. Right where nothing better is to be had, and to measure others by: away from a start is no
direction, so what stops it decides where it ends. An image is no longer pushed once its loss is
what never-seen images of its class show on average, and nobody is once the network has moved too
far on retained images, by the divergence from the original's outputs. There is no ascent alone.
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
    retained_loss,
)
from auditor.unlearning.parameters import parse
from auditor.unlearning.task import Cost, Need, Task

_BETAS = (0.1, 0.3, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NegativeParameters:
    """How hard to push, and when to stop.

    Attributes:
        epochs: over the retained images.
        learning_rate: highest of the cycle.
        beta: weight of the forgotten images' loss, against 1 for the retained ones'.
        bound: on the mean divergence KL(original, now) of retained images' outputs, in nats; seen
            to before each epoch.
    """

    epochs: int
    learning_rate: float
    beta: float
    bound: float = 0.1

    def __post_init__(self) -> None:
        if self.epochs < 1 or not 0 < self.learning_rate < math.inf:
            raise UnlearningError("negative-gradient: epochs is at least 1, learning_rate above 0")
        if not (0 < self.beta < math.inf and 0 < self.bound < math.inf):
            raise UnlearningError("negative-gradient: beta and bound lie above 0")


class NegativeGradient:
    """The method as the table knows it."""

    name = "negative-gradient"
    exact = False
    cost = Cost.FINE_TUNING
    needs = frozenset({Need.UNSEEN})

    def run(self, task: Task, parameters: Mapping[str, str]) -> nn.Module:
        """Push; raises UnlearningError where a class has no never-seen images."""
        parsed = parse(NegativeParameters, self.name, parameters)
        check_task(self, task)
        return _pushed(task, parsed)

    def variants(self, task: Task) -> Iterator[tuple[Mapping[str, str], nn.Module]]:
        """By beta, at a quarter of the recipe's epochs."""
        check_task(self, task)
        for beta in _BETAS:
            texts = {
                "epochs": str(max(1, task.recipe.epochs // 4)),
                "learning_rate": repr(task.recipe.learning_rate),
                "beta": repr(beta),
            }
            yield texts, _pushed(task, parse(NegativeParameters, self.name, texts))


def _pushed(task: Task, parameters: NegativeParameters) -> nn.Module:
    retained = torch.tensor(task.retain)
    original = torch.log_softmax(logits_of(task, task.module, retained), 1)
    ceilings = _ceilings(task)
    descent = retained_loss(task)
    pushing = True

    def objective_of(module: nn.Module) -> Objective:
        nonlocal pushing
        found = torch.log_softmax(logits_of(task, module, retained), 1)
        divergence = functional.kl_div(found, original, reduction="batchmean", log_target=True)
        pushing = pushing and float(divergence) <= parameters.bound
        return both if pushing else descent

    def both(kept: Batch, forgotten: Batch) -> Tensor:
        labels = task.images.labels[forgotten.indices].to(forgotten.logits.device)
        losses = functional.cross_entropy(forgotten.logits, labels, reduction="none")
        ceiling = ceilings[forgotten.indices].to(losses)
        pushed = torch.where(losses < ceiling, losses, ceiling)
        return descent(kept, forgotten) - parameters.beta * pushed.mean()

    return fine_tune(
        task,
        task.module,
        epochs=parameters.epochs,
        learning_rate=parameters.learning_rate,
        objective_of=objective_of,
        steering=True,
    )


def _ceilings(task: Task) -> Tensor:
    """By image, the mean loss of never-seen images of its class; 0 where nothing is forgotten."""
    ceilings = torch.zeros(len(task.images.labels))
    for label, (forgotten, unseen) in by_class(task).items():
        logits = logits_of(task, task.module, unseen)
        alike = torch.full_like(unseen, label)
        ceilings[forgotten] = functional.cross_entropy(logits, alike).float()
    return ceilings
