"""One damped Newton step away from the forgotten images.

    theta' = theta + (H + lambda I)^-1  sum over F of grad l_i(theta)

after Guo et al. 2020, "Certified Data Removal from Machine Learning Models", section 3; with H
the generalised Gauss-Newton matrix of the *summed* loss over the retained images, estimated on a
seeded, stratified subset of m and scaled by retained / m. Lambda therefore has the unit of a
summed loss's curvature: it is compared with eigenvalues of a sum over the retained set.

H = A^T A with few rows in A (one per image for two classes), so by Woodbury the solve is m x m:

    (A^T A + lambda I)^-1 g = (g - A^T (A A^T + lambda I)^-1 A g) / lambda

and A A^T is summed up layer by layer. No (epsilon, delta) guarantee is claimed: no noise
mechanism runs, and the loss isn't convex. What the step achieved is for the laboratory to say.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import UnlearningError
from auditor.learning.determinism import one_thread
from auditor.unlearning.gradients import blocks, catch, chosen_layers
from auditor.unlearning.task import Task

DEFAULT_SUBSET = 512
_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class NewtonParameters:
    """``damping`` is lambda; ``subset`` the retained images in H; ``layers`` name prefixes."""

    damping: float
    subset: int = DEFAULT_SUBSET
    layers: tuple[str, ...] = ()

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> NewtonParameters:
        """Read parameters as they stand in a plan.

        Raises:
            UnlearningError: unknown, missing or out of range.
        """
        if unknown := sorted(set(texts) - {"damping", "subset", "layers"}):
            raise UnlearningError(f"newton: unknown parameter {unknown[0]}")
        try:
            damping = float(texts["damping"])
            subset = int(texts.get("subset", str(DEFAULT_SUBSET)))
        except (KeyError, ValueError):
            raise UnlearningError("newton needs damping, a number, and subset, a count") from None
        if not 0 < damping < float("inf") or subset < 2:
            raise UnlearningError("newton: damping is above 0 and subset at least 2")
        return cls(damping=damping, subset=subset, layers=tuple(texts.get("layers", "").split()))


class NewtonStep:
    """The method as the table knows it."""

    name = "newton"
    exact = False

    def run(self, task: Task, parameters: Mapping[str, str]) -> nn.Module:
        """Take one step; raises UnlearningError where it leads to NaN or infinite weights."""
        parsed = NewtonParameters.parse(parameters)
        steps = candidates(task, [parsed.damping], subset=parsed.subset, layers=parsed.layers)
        _, module = next(steps)
        return module


def candidates(
    task: Task,
    dampings: Sequence[float],
    *,
    subset: int = DEFAULT_SUBSET,
    layers: Sequence[str] = (),
) -> Iterator[tuple[float, nn.Module]]:
    """One candidate per damping; the curvature is computed once for all of them."""
    with one_thread():
        module = copy.deepcopy(task.module).double().eval()
        chosen = chosen_layers(module, layers)
        names = [name for name, _ in module.named_parameters() if name.rpartition(".")[0] in chosen]
        gradient = _forget_gradient(module, task, names)
        sample = curvature_subset(task, subset)
        rows = _Rows(module, chosen, task, sample, len(task.retain) / len(sample))
        gram, along = rows.gram_and_product(gradient)
    for damping in dampings:
        with one_thread():
            dual = torch.linalg.solve(gram + damping * torch.eye(len(gram)).double(), along)
            back = rows.transpose_product(dual, names)
            step = {name: (gradient[name] - back[name]) / damping for name in names}
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


def _forget_gradient(module: nn.Module, task: Task, names: Sequence[str]) -> dict[str, Tensor]:
    if not task.forget:
        raise UnlearningError("there is nothing to unlearn: no forgotten image was named")
    chosen = torch.tensor(task.forget)
    values = dict(module.named_parameters())
    loss = functional.cross_entropy(
        module(task.images.images[chosen].double()), task.images.labels[chosen], reduction="sum"
    )
    found = torch.autograd.grad(loss, [values[name] for name in names])
    return dict(zip(names, found, strict=True))


class _Rows:
    """The rows of A: per retained image, square roots of the softmax curvature times Jacobian."""

    def __init__(
        self,
        module: nn.Module,
        layers: dict[str, nn.Module],
        task: Task,
        sample: Sequence[int],
        scale: float,
    ) -> None:
        self.module = module
        self.layers = layers
        self.images = task.images.images[torch.tensor(sample)].double()
        with torch.no_grad():
            logits = torch.cat([module(part) for part in torch.split(self.images, _BATCH)])
        self.factors = float(scale) ** 0.5 * softmax_factors(logits)

    def gram_and_product(self, gradient: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """A A^T (m r, m r) and A g (m r,), summed layer by layer."""
        caught = [
            catch(self.module, self.layers, self.images, self.factors[:, :, rank])
            for rank in range(self.factors.shape[2])
        ]
        total = self.factors.shape[0] * self.factors.shape[2]
        gram = torch.zeros(total, total, dtype=torch.float64)
        along = torch.zeros(total, dtype=torch.float64)
        for ranks in zip(*caught, strict=True):
            for parts in zip(*(blocks(item) for item in ranks), strict=True):
                rows = torch.cat([part.gradients for part in parts])
                flat = gradient[parts[0].parameter].flatten()
                start = parts[0].start
                gram += rows @ rows.T
                along += rows @ flat[start : start + rows.shape[1]]
        return gram, along

    def transpose_product(self, dual: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """A^T u, one vector-Jacobian product."""
        count, _, ranks = self.factors.shape
        mixing = torch.einsum("ncr,rn->nc", self.factors, dual.reshape(ranks, count))
        values = dict(self.module.named_parameters())
        product = {name: torch.zeros_like(values[name]) for name in names}
        parts = zip(torch.split(mixing, _BATCH), torch.split(self.images, _BATCH), strict=True)
        for mixed, images in parts:
            total = (mixed * self.module(images)).sum()
            found = torch.autograd.grad(total, [values[name] for name in names])
            for name, value in zip(names, found, strict=True):
                product[name] += value
        return product


def softmax_factors(logits: Tensor) -> Tensor:
    """B (n, classes, r) with B B^T = diag(p) - p p^T, the softmax loss's curvature in the logits.

    Two classes need one column: sqrt(p0 p1) times (-1, 1). In general
    B = diag(sqrt p) (I - sqrt p sqrt p^T), since the projector in it is its own square.
    """
    p = torch.softmax(logits, 1)
    if p.shape[1] == 2:
        root = (p[:, 0] * p[:, 1]).sqrt()
        return torch.stack([-root, root], 1)[:, :, None]
    root = p.sqrt()
    projector = torch.eye(p.shape[1]).to(p) - root[:, :, None] * root[:, None, :]
    return root[:, :, None] * projector


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
    with torch.no_grad():
        for part in torch.split(torch.tensor(task.retain), _BATCH):
            module(task.images.images[part])
