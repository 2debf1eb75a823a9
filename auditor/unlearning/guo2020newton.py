"""One damped Newton step away from the forgotten images.

    theta' = theta + (H + lambda I)^-1  sum over F of grad l_i(theta)

after Guo et al. 2020, "Certified Data Removal from Machine Learning Models", section 3; with H
the generalised Gauss-Newton matrix of the *summed* loss over the retained images, estimated on a
seeded, stratified subset of m and scaled by retained / m. Lambda therefore has the unit of a
summed loss's curvature: it is compared with eigenvalues of a sum over the retained set.

H = A^T A with few rows in A (one per image for two classes), so by Woodbury the solve is m x m:

    (A^T A + lambda I)^-1 g = (g - A^T (A A^T + lambda I)^-1 A g) / lambda

and A A^T is summed up layer by layer (`curvature`). The passes run where the task's module lies;
only the CPU was tested. No (epsilon, delta) guarantee is claimed: no noise mechanism runs, and the
loss isn't convex. What the step achieved is for the laboratory to say.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from auditor.errors import UnlearningError
from auditor.unlearning.curvature import Rows
from auditor.unlearning.layers import named, units
from auditor.unlearning.passes import BATCH, PRECISIONS, SOFTMAX, Loss, Passes, steady
from auditor.unlearning.selection import most_telling
from auditor.unlearning.task import Cost, Need, Task

DEFAULT_SUBSET = 512
DEFAULT_MEMORY = 2.0
AUTO = ("auto",)
_AUTO_IMAGES = 32  # retained images that the automatic choice of layers looks at
_READ: Mapping[str, Callable[[str], Any]] = {
    "damping": float,
    "subset": int,
    "layers": str.split,
    "precision": str,
    "memory": float,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewtonParameters:
    """How the step is taken.

    Attributes:
        damping: lambda.
        subset: retained images in H.
        layers: names of layers, or of what holds them; none means all, ``auto`` alone those that
            `most_telling` chooses.
        precision: of the passes through the network; the m x m system is always float64, and with
            bfloat16 the passes that make no m x m matrix are float32.
        memory: GiB for the activations of a pass and what is kept of them; the network, its
            gradient and the m x m system come on top.
    """

    damping: float
    subset: int = DEFAULT_SUBSET
    layers: Sequence[str] = ()
    precision: str = "float64"
    memory: float = DEFAULT_MEMORY

    def __post_init__(self) -> None:
        if not 0 < self.damping < float("inf") or self.subset < 2:
            raise UnlearningError("newton: damping is above 0 and subset at least 2")
        if self.precision not in PRECISIONS:
            raise UnlearningError(f"newton: precision is one of {', '.join(PRECISIONS)}")
        if not 0 < self.memory < float("inf"):
            raise UnlearningError("newton: memory is a number of GiB above 0")

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> NewtonParameters:
        """Read parameters as they stand in a plan.

        Raises:
            UnlearningError: unknown, missing or out of range.
        """
        if unknown := sorted(set(texts) - set(_READ)):
            raise UnlearningError(f"newton: unknown parameter {unknown[0]}")
        if "damping" not in texts:
            raise UnlearningError("newton needs damping, a number")
        try:
            found = {name: _READ[name](text) for name, text in texts.items()}
        except ValueError:
            raise UnlearningError(
                "newton: damping and memory are numbers, subset is a count"
            ) from None
        return cls(**found)


class NewtonStep:
    """The method as the table knows it."""

    name = "newton"
    exact = False
    cost = Cost.STEP
    needs: frozenset[Need] = frozenset()

    def run(self, task: Task, parameters: Mapping[str, str]) -> nn.Module:
        """Take one step; raises UnlearningError where it leads to NaN or infinite weights."""
        parsed = NewtonParameters.parse(parameters)
        steps = candidates(
            task,
            [parsed.damping],
            subset=parsed.subset,
            layers=parsed.layers,
            precision=parsed.precision,
            memory=parsed.memory,
        )
        _, module = next(steps)
        return module


def settled(task: Task, parameters: Mapping[str, str]) -> dict[str, str]:
    """The parameters with the automatic choice of layers written out, for a plan to pin."""
    parsed = NewtonParameters.parse(parameters)
    if tuple(parsed.layers) != AUTO:
        return dict(parameters)
    chosen = _automatic(task, parsed.precision, int(parsed.memory * 2**30))
    return {**parameters, "layers": " ".join(chosen)}


def candidates(
    task: Task,
    dampings: Sequence[float],
    *,
    subset: int = DEFAULT_SUBSET,
    layers: Sequence[str] = (),
    precision: str = "float64",
    memory: float = DEFAULT_MEMORY,
    loss: Loss = SOFTMAX,
) -> Iterator[tuple[float, nn.Module]]:
    """One candidate per damping; the curvature is computed once for all of them."""
    budget = int(memory * 2**30)
    device = next(task.module.parameters()).device
    prefixes = _automatic(task, precision, budget) if tuple(layers) == AUTO else layers
    with steady(device):
        rows = _rows(task, prefixes, subset, precision, budget, loss)
        gradient = rows.exact.gradient(task.forget)
        gram, along = rows.gram_and_product(gradient)
    for damping in dampings:
        with steady(device):
            dual = torch.linalg.solve(gram + damping * torch.eye(len(gram)).to(gram), along)
            back = rows.transpose_product(dual)
            step = {name: (gradient[name] - back[name]) / damping for name in gradient}
            result = _stepped(task, step)
        yield damping, result


def curvature_subset(task: Task, size: int) -> tuple[int, ...]:
    """Seeded draw of retained images, stratified by label; all of them where ``size`` allows."""
    if len(task.retain) <= size:
        return task.retain
    draw = random.Random(task.seed)
    groups: dict[int, list[int]] = {}
    for index in task.retain:
        groups.setdefault(int(task.images.labels[index]), []).append(index)
    chosen: list[int] = []
    for label in sorted(groups):
        share = max(1, round(size * len(groups[label]) / len(task.retain)))
        chosen += draw.sample(groups[label], min(share, len(groups[label])))
    return tuple(sorted(chosen))


def _automatic(task: Task, precision: str, budget: int) -> tuple[str, ...]:
    with steady(next(task.module.parameters()).device):
        rows = _rows(task, (), _AUTO_IMAGES, precision, budget, SOFTMAX)
        return most_telling(rows, rows.exact.gradient(task.forget))


def _rows(
    task: Task, prefixes: Sequence[str], subset: int, precision: str, budget: int, loss: Loss
) -> Rows:
    """Half of the budget is for the activations of a pass, half for what is kept of them."""
    if not task.forget or not task.retain:
        raise UnlearningError("newton needs forgotten images and retained ones; name some of each")
    chosen = named(task.module, prefixes)

    def passes_in(bits: str) -> Passes:
        return Passes(
            task.module, chosen, task.images, precision=bits, memory=budget // 2, loss=loss
        )

    passes = passes_in(precision)
    exact = passes if precision != "bfloat16" else passes_in("float32")
    sample = curvature_subset(task, subset)
    return Rows(
        passes,
        exact,
        units(passes.module, chosen),
        sample,
        scale=len(task.retain) / len(sample),
        memory=budget // 2,
    )


def _stepped(task: Task, step: Mapping[str, Tensor]) -> nn.Module:
    result = copy.deepcopy(task.module)
    with torch.no_grad():
        for name, value in result.named_parameters():
            if name in step:
                value.add_(step[name].to(value))
    _reestimate_norms(result, task)
    if not all(bool(torch.isfinite(value).all()) for value in result.state_dict().values()):
        raise UnlearningError("the Newton step led to NaN or infinite weights; raise the damping")
    return result.eval()


def _reestimate_norms(module: nn.Module, task: Task) -> None:
    """BatchNorm's running statistics carry the patient too: take them anew on retained images."""
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    module.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
        norm.train()
    parts = list(torch.split(torch.tensor(task.retain), BATCH))
    if len(parts) > 1 and len(parts[-1]) == 1:  # one image alone may have no variance
        parts[-2:] = [torch.cat(parts[-2:])]
    like = next(module.parameters())
    with torch.no_grad():
        for part in parts:
            module(task.images.images[part].to(like))
