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

Where other models tell what a model says that never saw the forgotten images, steps can be guided
by them instead (`guided_steps`); of networks that leave nothing unlearned, in trials, only those
made it forget.

What a damping costs differs a hundredfold from patient to patient, so one that was tuned on some
doesn't suit others. Instead of a damping the step can be given a rise: of `DAMPINGS`, taken from
the mildest on, the last is used before one that lifts the loss on the sample any further.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from auditor.errors import UnlearningError
from auditor.unlearning.guided_steps import GuidedSteps
from auditor.unlearning.layers import latter
from auditor.unlearning.newton_steps import DEFAULT_SUBSET, Steps
from auditor.unlearning.norms import require_known_buffers
from auditor.unlearning.parameters import parse
from auditor.unlearning.passes import PRECISIONS
from auditor.unlearning.task import Cost, Need, Task

RISES = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
GUIDED_DAMPING, MOST_GUIDED, GUIDED_PRECISION = 0.01, 3, "float32"
"""What a calibration tries of guided steps.

On the X-rays of `benchmarks/RESULTS.md` a fourth changed next to nothing, nor did float64.
"""
_MOST_STEPS, _MOST_MEMORY = 20, 2.0**20


@dataclass(frozen=True, slots=True, kw_only=True)
class NewtonParameters:
    """How the step is taken.

    Attributes:
        damping: lambda; 0 where a rise is given. Of guided steps in means of the diagonal of A A^T.
        rise: how many times its own value the loss on the sample may reach, from 1 up; 0 where a
            damping is given.
        guided: how many steps towards what outsiders say; 0 for the one step away.
        subset: retained images in H.
        layers: names of layers, or of what holds them; none means all, ``auto`` alone those that
            `most_telling` chooses.
        precision: of the passes through the network; the m x m system is always float64, and with
            bfloat16 the passes that make no m x m matrix are float32.
        memory: GiB for the activations of a pass and what is kept of them; None means as much as a
            training step of the recipe keeps alive, a quarter GiB at least. The network, its
            gradient and the m x m system come on top.
    """

    damping: float = 0.0
    rise: float = 0.0
    guided: int = 0
    subset: int = DEFAULT_SUBSET
    layers: Sequence[str] = ()
    precision: str = "float64"
    memory: float | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.damping < float("inf") and 0 <= self.rise < float("inf")):
            raise UnlearningError("newton: damping and rise are numbers above 0")
        if (self.damping > 0) == (self.rise > 0):
            raise UnlearningError("newton needs damping or rise, one of them, above 0")
        if 0 < self.rise < 1:
            raise UnlearningError("newton: rise is at least 1")
        if not 0 <= self.guided <= _MOST_STEPS or (self.guided and self.rise):
            raise UnlearningError(
                f"newton: guided counts steps, {_MOST_STEPS} at most, and goes with a damping"
            )
        if self.subset < 2:
            raise UnlearningError("newton: subset is at least 2")
        if self.precision not in PRECISIONS:
            raise UnlearningError(f"newton: precision is one of {', '.join(PRECISIONS)}")
        if self.memory is not None and not 0 < self.memory <= _MOST_MEMORY:
            raise UnlearningError("newton: memory is a number of GiB above 0")


class NewtonStep:
    """The method as the table knows it."""

    name = "newton"
    exact = False
    cost = Cost.STEP
    needs: frozenset[Need] = frozenset()

    def run(self, task: Task, parameters: Mapping[str, str]) -> nn.Module:
        """Take one step, or the guided ones.

        Raises:
            UnlearningError: it leads to NaN or infinite weights, no damping keeps to the rise,
                nobody guides, or the model's buffers would keep something.
        """
        parsed = parse(NewtonParameters, self.name, parameters)
        require_known_buffers(task)
        if parsed.guided:
            *_, last = _guided(task, parsed).walk(parsed.guided)
            return last
        steps = Steps(
            task,
            subset=parsed.subset,
            layers=parsed.layers,
            precision=parsed.precision,
            memory=parsed.memory,
        )
        return steps.at(parsed.damping) if parsed.damping else steps.within(parsed.rise)

    def variants(self, task: Task) -> Iterator[tuple[Mapping[str, str], nn.Module]]:
        """By damping and by rise, on the latter layers, named, and then on all; then guided.

        Where some layer is of a kind that a step doesn't know, on the latter layers only.

        Raises:
            UnlearningError: not on them either, or the model's buffers would keep something.
        """
        require_known_buffers(task)
        able: list[Mapping[str, str]] = []
        for layers in (latter(task.module), ()):
            named = {"layers": " ".join(layers)} if layers else {}
            try:
                steps = Steps(task, layers=layers)
            except UnlearningError:
                if layers or able:
                    continue
                raise
            able.append(named)
            for way, value, module in _ways(steps):
                yield {way: repr(value), **named}, module
        if task.outsiders is not None:
            texts = {
                "damping": repr(GUIDED_DAMPING),
                "guided": str(MOST_GUIDED),
                "precision": GUIDED_PRECISION,
                **able[-1],
            }
            walk = _guided(task, parse(NewtonParameters, self.name, texts)).walk(MOST_GUIDED)
            for number, module in enumerate(walk, start=1):
                yield {**texts, "guided": str(number)}, module


def _ways(steps: Steps) -> Iterator[tuple[str, float, nn.Module]]:
    """Each candidate by its damping, then by the rises that it is the last to keep to."""
    before: nn.Module | None = None
    open_rises = list(RISES)
    for damping, module, reached in steps.walk():
        while open_rises and reached > open_rises[0]:
            rise = open_rises.pop(0)
            if before is not None:
                yield "rise", rise, before
        yield "damping", damping, module
        before = module
    if before is not None:
        yield from (("rise", rise, before) for rise in open_rises)


def _guided(task: Task, parsed: NewtonParameters) -> GuidedSteps:
    return GuidedSteps(
        task=task,
        damping=parsed.damping,
        subset=parsed.subset,
        layers=parsed.layers,
        precision=parsed.precision,
        memory=parsed.memory,
    )
