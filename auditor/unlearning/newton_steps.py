"""Newton steps at any damping: the solve and the passes behind `guo2020newton`."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import UnlearningError
from auditor.unlearning.curvature import Rows
from auditor.unlearning.fine_tuning import logits_of
from auditor.unlearning.kept_curvature import Curvature, curvature_of
from auditor.unlearning.layers import named, units
from auditor.unlearning.norms import reestimate_norms
from auditor.unlearning.passes import SOFTMAX, Loss, Passes, steady
from auditor.unlearning.sampling import curvature_sample, draw
from auditor.unlearning.selection import most_telling
from auditor.unlearning.task import Task

DEFAULT_SUBSET = 512
_LEAST_ROOM = 2**28  # bytes; where a training step takes less, nobody is short of memory
DAMPINGS = (100.0, 30.0, 10.0, 5.0, 3.0, 2.0, 1.0, 0.5, 0.3)
AUTO = ("auto",)
_AUTO_IMAGES = 32  # retained images that the automatic choice of layers looks at
_ASTRAY = "the Newton step led to NaN or infinite weights; raise the damping"


class Steps:
    """Steps away from a task's forgotten images; one curvature serves every damping.

    Where the task's module is a known version, all its tasks share one curvature and its shelf
    keeps it (`kept_curvature`).
    """

    def __init__(
        self,
        task: Task,
        *,
        subset: int = DEFAULT_SUBSET,
        layers: Sequence[str] = (),
        precision: str = "float64",
        memory: float | None = None,
        loss: Loss = SOFTMAX,
    ) -> None:
        """Take the gradient of the forgotten images and the curvature of the sample."""
        named_layers = chosen_layers(task, layers, precision, memory)
        how = Passing(task=task, layers=named_layers, precision=precision, memory=memory, loss=loss)
        self._task, self._device = task, how.device
        with steady(how.device):
            self._passes = how.exact()
            task.progress("gradient", 0, 1)
            self._gradient = self._passes.gradient(task.forget)
            task.progress("gradient", 1, 1)
            self._curvature = _curvature(how, self._passes, subset)
            self._along = self._curvature.product(self._passes, self._gradient)

    def at(self, damping: float) -> nn.Module:
        """The candidate; raises UnlearningError where weights are NaN or infinite."""
        curvature, gradient = self._curvature, self._gradient
        scale = len(self._task.retain) / len(curvature.sample)
        self._task.progress("step", 0, 1)
        with steady(self._device):
            dual = scale * solved(scale * curvature.gram, damping, self._along)
            back = curvature.transpose_product(self._passes, dual)
            for name in gradient:  # one by one: all together are as large as the network
                back[name] = (gradient[name] - back[name]) / damping
            result = stepped(self._task, back)
        self._task.progress("step", 1, 1)
        return result

    def walk(self) -> Iterator[tuple[float, nn.Module, float]]:
        """Damping, candidate and rise of the loss on the sample, as a multiple of the model's own.

        From the mildest step on; ends where one leads to NaN or infinite weights.
        """
        own = self._loss(self._task.module)
        for damping in DAMPINGS:
            try:
                module = self.at(damping)
                loss = self._loss(module)
            except UnlearningError:
                return
            yield damping, module, loss / own if own > 0 else float("inf")

    def within(self, rise: float) -> nn.Module:
        """The last candidate of the walk before one that lifts the loss any further.

        Raises:
            UnlearningError: even the first one does.
        """
        best: nn.Module | None = None
        for _, module, reached in self.walk():
            if reached > rise:
                break
            best = module
        if best is None:
            raise UnlearningError(
                "even the mildest Newton step costs more loss than the rise; raise it, or give a "
                "damping or guided steps in its place"
            )
        return best

    def _loss(self, module: nn.Module) -> float:
        """Mean over the sample."""
        sample = torch.tensor(self._curvature.sample)
        found = logits_of(self._task, module, sample)
        return float(functional.cross_entropy(found, self._task.images.labels[sample].cpu()))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Passing:
    """How passes over a task's network are made.

    Half of the memory is for the activations of a pass, half for what is kept of them. Where none
    is given, it is what a training step of the recipe keeps alive.
    """

    task: Task
    layers: Sequence[str]
    precision: str
    memory: float | None
    loss: Loss

    def __post_init__(self) -> None:
        if not self.task.forget or not self.task.retain:
            raise UnlearningError(
                "newton needs forgotten images and retained ones; name some of each"
            )

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        return next(self.task.module.parameters()).device

    @property
    def chosen(self) -> tuple[str, ...]:
        """Names of the parameters that step."""
        return named(self.task.module, self.layers)

    def passes(self, precision: str) -> Passes:
        """Passes in a precision, which may take half of the memory."""
        memory, batch = self._half
        return Passes(
            self.task.module,
            self.chosen,
            self.task.images,
            precision=precision,
            memory=memory,
            batch=batch,
            loss=self.loss,
        )

    def exact(self) -> Passes:
        """In bfloat16 the step, a small difference between two vectors, would be too coarse."""
        return self.passes("float32" if self.precision == "bfloat16" else self.precision)

    def rows(self, exact: Passes, images: Sequence[int]) -> Rows:
        """A of these images, of the layers that step."""
        passes = exact if self.precision != "bfloat16" else self.passes(self.precision)
        of_layers = units(passes.module, self.chosen)
        return Rows(passes, exact, of_layers, images, memory=passes.memory)

    @property
    def _half(self) -> tuple[int, int]:
        """In bytes, and in images whose activations may take more than that."""
        if self.memory is not None:
            return int(self.memory * 2**29), 0
        return _LEAST_ROOM // 2, -(-self.task.recipe.batch_size // 2)


def _curvature(how: Passing, exact: Passes, subset: int) -> Curvature:
    def tell(done: int, total: int) -> None:
        how.task.progress("curvature", done, total)

    return curvature_of(
        curvature_sample(how.task, subset),
        how.task.known if how.loss is SOFTMAX else None,
        {
            "parameters": how.chosen,
            "precision": how.precision,
            "memory": str(exact.memory),
            "subset": str(subset),
        },
        how.device,
        lambda images: Curvature.of_rows(how.rows(exact, images), tell),
    )


def chosen_layers(
    task: Task, layers: Sequence[str], precision: str, memory: float | None
) -> Sequence[str]:
    """The layers named, or those of the automatic choice where that is what is named."""
    return automatic(task, precision, memory) if tuple(layers) == AUTO else layers


def automatic(task: Task, precision: str, memory: float | None) -> tuple[str, ...]:
    """The layers that `most_telling` chooses for a task."""
    how = Passing(task=task, layers=(), precision=precision, memory=memory, loss=SOFTMAX)
    with steady(how.device):
        exact = how.exact()
        some = draw(task.retain, task.images.labels, _AUTO_IMAGES, task.seed)
        return most_telling(how.rows(exact, some), exact.gradient(task.forget))


def solved(gram: Tensor, damping: float | Tensor, right: Tensor) -> Tensor:
    """(gram + damping)^-1 right, damping on the diagonal, by Cholesky's factors.

    The matrix is positive definite; it is changed in place.

    Raises:
        UnlearningError: numbers too large or NaN.
    """
    gram.diagonal().add_(damping)
    root, failed = torch.linalg.cholesky_ex(gram)
    if int(failed):
        raise UnlearningError(_ASTRAY)
    return torch.cholesky_solve(right[:, None], root)[:, 0]


def stepped(task: Task, step: Mapping[str, Tensor]) -> nn.Module:
    """The task's module a step further, BatchNorm's running statistics taken anew.

    Raises:
        UnlearningError: weights became NaN or infinite.
    """
    result = copy.deepcopy(task.module)
    with torch.no_grad():
        for name, value in result.named_parameters():
            if name in step:
                value.add_(step[name].to(value))
    reestimate_norms(result, task.images.images, task.retain)
    if not all(bool(torch.isfinite(value).all()) for value in result.state_dict().values()):
        raise UnlearningError(_ASTRAY)
    return result.eval()
