"""One damped Newton step away from the forgotten images.

    theta' = theta + (H + lambda I)^-1  sum over F of grad l_i(theta)

after Guo et al. 2020, "Certified Data Removal from Machine Learning Models", section 3; with H
the generalised Gauss-Newton matrix of the *summed* loss over the retained images, estimated on a
seeded, stratified sample of m (`sampling`) and scaled by retained / m. Lambda therefore has the
unit of a summed loss's curvature: it is compared with eigenvalues of a sum over the retained set.

H = A^T A with few rows in A (one per image for two classes), so by Woodbury the solve is m x m:

    (A^T A + lambda I)^-1 g = (g - A^T (A A^T + lambda I)^-1 A g) / lambda

A A^T is summed up layer by layer (`curvature`), and kept for the next request where the model is
a known version (`kept_curvature`). The passes run where the task's module lies; only the CPU was
tested. No (epsilon, delta) guarantee is claimed: no noise mechanism runs, and the loss isn't
convex. What the step achieved is for the laboratory to say.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from auditor.errors import UnlearningError
from auditor.unlearning.curvature import Rows
from auditor.unlearning.kept_curvature import Curvature, curvature_of
from auditor.unlearning.layers import named, units
from auditor.unlearning.norms import reestimate_norms
from auditor.unlearning.passes import PRECISIONS, SOFTMAX, Loss, Passes, steady
from auditor.unlearning.sampling import curvature_sample, draw
from auditor.unlearning.selection import most_telling
from auditor.unlearning.task import Cost, Need, Task

DEFAULT_SUBSET = 512
DEFAULT_MEMORY = 2.0
DAMPINGS = (100.0, 30.0, 10.0, 5.0, 3.0, 2.0, 1.0, 0.5, 0.3)
AUTO = ("auto",)
_AUTO_IMAGES = 32  # retained images that the automatic choice of layers looks at
_ASTRAY = "the Newton step led to NaN or infinite weights; raise the damping"
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

    def variants(self, task: Task) -> Iterator[tuple[Mapping[str, str], nn.Module]]:
        """A step on all layers for every damping, the strongest damping first."""
        for damping, module in candidates(task, DAMPINGS):
            yield {"damping": repr(damping)}, module


def settled(task: Task, parameters: Mapping[str, str]) -> dict[str, str]:
    """The parameters with the automatic choice of layers written out, for a plan to pin."""
    parsed = NewtonParameters.parse(parameters)
    if tuple(parsed.layers) != AUTO:
        return dict(parameters)
    return {**parameters, "layers": " ".join(_automatic(task, parsed.precision, parsed.memory))}


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
    """One candidate per damping; the curvature is computed once for all of them.

    Where the task's module is a known version, all its tasks share one curvature and its shelf
    keeps it (`kept_curvature`).
    """
    prefixes = _automatic(task, precision, memory) if tuple(layers) == AUTO else layers
    how = _Passing(task=task, layers=prefixes, precision=precision, memory=memory, loss=loss)
    with steady(how.device):
        exact = how.exact()
        task.progress("gradient", 0, 1)
        gradient = exact.gradient(task.forget)
        task.progress("gradient", 1, 1)
        curvature = _curvature(how, exact, subset)
        along = curvature.product(exact, gradient)
    scale = len(task.retain) / len(curvature.sample)
    for number, damping in enumerate(dampings):
        task.progress("step", number, len(dampings))
        with steady(how.device):
            dual = scale * _solved(scale * curvature.gram, damping, along)
            back = curvature.transpose_product(exact, dual)
            step = {name: (gradient[name] - back[name]) / damping for name in gradient}
            result = _stepped(task, step)
        task.progress("step", number + 1, len(dampings))
        yield damping, result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Passing:
    """How passes over a task's network are made.

    Half of the memory is for the activations of a pass, half for what is kept of them.
    """

    task: Task
    layers: Sequence[str]
    precision: str
    memory: float
    loss: Loss

    def __post_init__(self) -> None:
        if not self.task.forget or not self.task.retain:
            raise UnlearningError(
                "newton needs forgotten images and retained ones; name some of each"
            )

    @property
    def device(self) -> torch.device:
        return next(self.task.module.parameters()).device

    @property
    def chosen(self) -> tuple[str, ...]:
        return named(self.task.module, self.layers)

    def passes(self, precision: str) -> Passes:
        return Passes(
            self.task.module,
            self.chosen,
            self.task.images,
            precision=precision,
            memory=self._half,
            loss=self.loss,
        )

    def exact(self) -> Passes:
        """In bfloat16 the step, a small difference between two vectors, would be too coarse."""
        return self.passes("float32" if self.precision == "bfloat16" else self.precision)

    def rows(self, exact: Passes, images: Sequence[int]) -> Rows:
        passes = exact if self.precision != "bfloat16" else self.passes(self.precision)
        of_layers = units(passes.module, self.chosen)
        return Rows(passes, exact, of_layers, images, memory=self._half)

    @property
    def _half(self) -> int:
        return int(self.memory * 2**29)


def _curvature(how: _Passing, exact: Passes, subset: int) -> Curvature:
    def tell(done: int, total: int) -> None:
        how.task.progress("curvature", done, total)

    return curvature_of(
        curvature_sample(how.task, subset),
        how.task.known if how.loss is SOFTMAX else None,
        {
            "parameters": how.chosen,
            "precision": how.precision,
            "memory": repr(how.memory),
            "subset": str(subset),
        },
        how.device,
        lambda images: Curvature.of_rows(how.rows(exact, images), tell),
    )


def _automatic(task: Task, precision: str, memory: float) -> tuple[str, ...]:
    how = _Passing(task=task, layers=(), precision=precision, memory=memory, loss=SOFTMAX)
    with steady(how.device):
        exact = how.exact()
        some = draw(task.retain, task.images.labels, _AUTO_IMAGES, task.seed)
        return most_telling(how.rows(exact, some), exact.gradient(task.forget))


def _solved(gram: Tensor, damping: float, right: Tensor) -> Tensor:
    """(gram + damping I)^-1 right, by Cholesky's factors; the matrix is positive definite."""
    gram.diagonal().add_(damping)
    root, failed = torch.linalg.cholesky_ex(gram)
    if int(failed):
        raise UnlearningError(_ASTRAY)
    return torch.cholesky_solve(right[:, None], root)[:, 0]


def _stepped(task: Task, step: Mapping[str, Tensor]) -> nn.Module:
    result = copy.deepcopy(task.module)
    with torch.no_grad():
        for name, value in result.named_parameters():
            if name in step:
                value.add_(step[name].to(value))
    reestimate_norms(result, task.images.images, task.retain)
    if not all(bool(torch.isfinite(value).all()) for value in result.state_dict().values()):
        raise UnlearningError(_ASTRAY)
    return result.eval()
