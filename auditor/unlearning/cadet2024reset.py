"""Re-initialise part of the weights, then heal by fine-tuning on retained images.

After masked small gradients (MSG) in Cadet et al. 2024, "Deep Unlearn: Benchmarking Machine
Unlearning", arXiv 2410.01276. Right for the memorised tail, where a Newton step fails: what is
reset has forgotten, whatever it held, and it costs a few epochs. Which weights:

    saliency             those that cost the retained images least: F_ii (w_i - w0_i)^2 / 2, with
                         F the retained loss's Gauss-Newton matrix and w0 the fresh value; optimal
                         brain damage (LeCun et al. 1990), with w0 in the place of 0
    gradient-similarity  those whose mean gradients on forgotten and on retained images differ
                         least, as in MSG

By layer, the same share of each weight; biases, the scales of normalisation layers and frozen
weights stay. Fresh values are those of the recipe's network, drawn from the task's seed.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import UnlearningError
from auditor.learning.start import begin
from auditor.unlearning.fine_tuning import check_task, fine_tune, retained_loss
from auditor.unlearning.parameters import parse
from auditor.unlearning.passes import BATCH, softmax_factors, steady
from auditor.unlearning.task import Cost, Need, Task

_SHARES = (0.3, 0.5, 0.7, 0.9)


class By(StrEnum):
    """What tells weights to reset from weights to keep."""

    SALIENCY = "saliency"
    GRADIENT_SIMILARITY = "gradient-similarity"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetParameters:
    """How much is reset, and how it is healed.

    Attributes:
        share: of each weight's numbers, above 0 and at most 1.
        epochs: over the retained images.
        learning_rate: highest of the cycle.
    """

    share: float
    epochs: int
    learning_rate: float
    by: str = By.GRADIENT_SIMILARITY

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UnlearningError("reset-and-heal: share lies above 0 and is at most 1")
        if self.epochs < 1 or not 0 < self.learning_rate < math.inf:
            raise UnlearningError("reset-and-heal: epochs is at least 1, learning_rate above 0")
        if self.by not in list(By):
            raise UnlearningError(f"reset-and-heal: by is one of {', '.join(By)}")


class ResetAndHeal:
    """The method as the table knows it."""

    name = "reset-and-heal"
    exact = False
    cost = Cost.FINE_TUNING
    needs: frozenset[Need] = frozenset()

    def run(self, task: Task, parameters: Mapping[str, str]) -> nn.Module:
        """Reset and heal; raises UnlearningError where weights become NaN or infinite."""
        parsed = parse(ResetParameters, self.name, parameters)
        check_task(self, task)
        return _healed(task, _scores(task, By(parsed.by)), parsed)

    def variants(self, task: Task) -> Iterator[tuple[Mapping[str, str], nn.Module]]:
        """By share, at half of the recipe's epochs; with fewer, what is retained isn't relearnt."""
        check_task(self, task)
        scores = _scores(task, By.GRADIENT_SIMILARITY)
        for share in _SHARES:
            texts = {
                "share": repr(share),
                "epochs": str(max(1, task.recipe.epochs // 2)),
                "learning_rate": repr(task.recipe.learning_rate),
            }
            yield texts, _healed(task, scores, parse(ResetParameters, self.name, texts))


def _healed(task: Task, scores: Mapping[str, Tensor], parameters: ResetParameters) -> nn.Module:
    result = copy.deepcopy(task.module)
    fresh = dict(begin(task.recipe, task.seed).named_parameters())
    with torch.no_grad():
        for name, value in result.named_parameters():
            if name in scores:
                count = max(1, round(parameters.share * value.numel()))
                reset = torch.zeros(value.numel(), dtype=torch.bool, device=value.device)
                reset[scores[name].flatten().argsort(stable=True)[:count]] = True
                anew = torch.where(reset.view(value.shape), fresh[name].to(value), value)
                value.copy_(anew)
    return fine_tune(
        task,
        result,
        epochs=parameters.epochs,
        learning_rate=parameters.learning_rate,
        objective_of=lambda _module: retained_loss(task),
    )


def _scores(task: Task, by: By) -> dict[str, Tensor]:
    """By weight, what a number is worth keeping for; the lowest are reset."""
    module = copy.deepcopy(task.module).eval()
    values = {n: v for n, v in module.named_parameters() if v.dim() > 1 and v.requires_grad}
    with steady(next(module.parameters()).device):
        if by is By.GRADIENT_SIMILARITY:
            forgotten = _mean_gradient(task, module, values, task.forget)
            retained = _mean_gradient(task, module, values, task.retain)
            return {name: (forgotten[name] - retained[name]).abs() for name in values}
        fresh = dict(begin(task.recipe, task.seed).named_parameters())
        curvature = _curvature(task, module, values)
        return {
            name: curvature[name] * (value.detach() - fresh[name].to(value)).square()
            for name, value in values.items()
        }


def _mean_gradient(
    task: Task, module: nn.Module, values: Mapping[str, Tensor], indices: Sequence[int]
) -> dict[str, Tensor]:
    totals = {name: torch.zeros_like(value) for name, value in values.items()}
    for part in torch.split(torch.tensor(indices), BATCH):
        logits = module(_pictures(task, module, part))
        labels = task.images.labels[part].to(logits.device)
        loss = functional.cross_entropy(logits, labels, reduction="sum") / len(indices)
        for name, found in _gradient(loss, values).items():
            totals[name] += found
    return totals


def _curvature(task: Task, module: nn.Module, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The diagonal of the Gauss-Newton matrix H = J^T B B^T J, estimated without bias.

    For random signs s, E (J^T B s)^2 is the diagonal (Hutchinson; Bekas et al. 2007).
    """
    signs = torch.Generator().manual_seed(task.seed)
    totals = {name: torch.zeros_like(value) for name, value in values.items()}
    for part in torch.split(torch.tensor(task.retain), task.recipe.batch_size):
        logits = module(_pictures(task, module, part))
        factors = softmax_factors(logits.detach())
        drawn = torch.randint(2, factors[:, 0].shape, generator=signs).to(factors) * 2 - 1
        mixing = torch.einsum("ncr,nr->nc", factors, drawn)
        for name, found in _gradient((mixing * logits).sum(), values).items():
            totals[name] += found.square()
    return totals


def _pictures(task: Task, module: nn.Module, part: Tensor) -> Tensor:
    return task.images.images[part].to(next(module.parameters()))


def _gradient(total: Tensor, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = torch.autograd.grad(
        total, list(values.values()), allow_unused=True, materialize_grads=True
    )
    return dict(zip(values, found, strict=True))
