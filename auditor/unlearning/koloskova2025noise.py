"""Cut the model short, drown it in noise, fine-tune what is left: the one method with a guarantee.

Noisy fine-tuning of Koloskova et al. 2025, "Certified Unlearning for Neural Networks", arXiv
2506.06985, with the radius around the recipe's fresh initial weights instead of zero:

    x_0     = clip(model - fresh, radius)
    x_{t+1} = x_t - rate (clip(gradient on retained images, clip) + decay x_t) + N(0, sigma^2 I)

then fine-tuning without noise. No two models are further apart than 2 radius after the cut, and
a step's map takes points at distance d to points at most (1 - rate decay) d + 2 rate clip apart,
whatever the loss; `shifted_noise` says what sigma hides that.

Right where a bound on what an attacker can learn is worth more than the model, for little of it is
left. Tried at epsilon 8 and delta 1e-5 on a net of 20,410 weights (chest X-rays at 32 px, AUC
0.75): chance after the noise, whatever the radius between 0.01 and 10, and 0.74 to 0.78 after 12
epochs more, where 12 epochs from fresh weights gave 0.80. Not tunable: to choose among results by
looking at them is a release that the guarantee doesn't count.

The noise is secret. Its key comes from the operating system, is used once and kept nowhere: who
knew it could take the noise off. So a run can't be repeated bit for bit, whatever the seed.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor, nn

from auditor.errors import UnlearningError
from auditor.learning.start import begin
from auditor.unlearning.fine_tuning import (
    Batch,
    check_task,
    drawing,
    fine_tune,
    in_turn,
    retained_loss,
)
from auditor.unlearning.parameters import parse
from auditor.unlearning.shifted_noise import Walk, mu_of
from auditor.unlearning.task import Cost, Need, Task

ASSUMPTIONS = (
    "It compares the model that was trained on the forgotten images with any model trained without "
    "them, by any training; both are cut to the same radius around the same fresh weights.",
    "Retained images, their minibatches and all parameters are the same in both cases; the "
    "parameters were not chosen by looking at results made from this model.",
    "It says nothing about retained images, which are learnt from without protection.",
    "One result is released; neither the model before nor another result made from it is.",
    "The key of the noise came from the operating system's entropy and was kept nowhere. Who knew "
    "it could take the noise off; without it nobody can repeat the run.",
    "What follows the noise, fine-tuning and the statistics of normalisation layers among it, sees "
    "noisy weights and retained images alone, which takes nothing off the guarantee.",
    "Floating-point numbers are taken for real ones; what the last digits of computed noise give "
    "away (Mironov 2012) is not covered.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseParameters:
    """What is to hold, and how the way there is gone.

    Attributes:
        epsilon, delta: whoever sees the result tells the two cases apart no better than by this.
        radius: what is left of the model's distance from fresh weights.
        steps: with noise.
        rate, clip, decay: of these steps; rate times decay is below 1.
        epochs: of fine-tuning afterwards, without noise.
        learning_rate: highest of its cycle.
    """

    epsilon: float
    delta: float
    radius: float
    steps: int
    rate: float
    clip: float
    decay: float
    epochs: int
    learning_rate: float

    def __post_init__(self) -> None:
        above = (self.epsilon, self.radius, self.rate, self.clip, self.learning_rate)
        if not all(0 < value < math.inf for value in above) or not 0 < self.delta < 1:
            raise UnlearningError(
                "noisy-fine-tuning: epsilon, radius, rate, clip and learning_rate lie above 0, "
                "delta between 0 and 1"
            )
        if min(self.steps, self.epochs) < 1:
            raise UnlearningError("noisy-fine-tuning: steps and epochs are at least 1")
        if not 0 <= self.rate * self.decay < 1:
            raise UnlearningError("noisy-fine-tuning: rate times decay lies in [0, 1)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee:
    """What a run with these parameters guarantees, and on what assumptions.

    Attributes:
        sigma: standard deviation of each step's noise, by coordinate.
    """

    epsilon: float
    delta: float
    sigma: float
    assumptions: tuple[str, ...] = ASSUMPTIONS

    @property
    def sentences(self) -> tuple[str, ...]:
        """To print; never one without the others."""
        return (
            f"Certified unlearning with epsilon {self.epsilon:g} and delta {self.delta:g}: "
            "whatever is looked for in the result has, with the forgotten images behind it, at "
            "most e^epsilon times the probability that it has without them, plus delta, and the "
            f"other way round. Each step's noise has standard deviation {self.sigma:g}.",
            *self.assumptions,
        )


def guarantee(parameters: NoiseParameters) -> Guarantee:
    """The noise that the parameters ask for, and what it is good for."""
    walk = Walk(
        start=2 * parameters.radius,
        contraction=1 - parameters.rate * parameters.decay,
        drift=2 * parameters.rate * parameters.clip,
        steps=parameters.steps,
    )
    return Guarantee(
        epsilon=parameters.epsilon,
        delta=parameters.delta,
        sigma=walk.sigma(mu_of(parameters.epsilon, parameters.delta)),
    )


def entropy() -> bytes:
    """A fresh key from the operating system."""
    return secrets.token_bytes(32)


class NoisyFineTuning:
    """The method as the table knows it.

    Args:
        draw_key: where each run's key comes from; anything but `entropy` voids the guarantee.
    """

    name = "noisy-fine-tuning"
    exact = False
    cost = Cost.FINE_TUNING
    needs: frozenset[Need] = frozenset()

    def __init__(self, draw_key: Callable[[], bytes] = entropy) -> None:
        """Take the source of keys."""
        self._draw_key = draw_key

    def run(self, task: Task, parameters: Mapping[str, str]) -> nn.Module:
        """Cut, drown and fine-tune; raises UnlearningError where weights become infinite."""
        parsed = parse(NoiseParameters, self.name, parameters)
        check_task(self, task, afresh=True)
        noisy = _drowned(task, parsed, _normals(self._draw_key()))
        return fine_tune(
            task,
            noisy,
            epochs=parsed.epochs,
            learning_rate=parsed.learning_rate,
            objective_of=lambda _module: retained_loss(task),
        )


Normals = Callable[[torch.Size], Tensor]
"""Draws standard normal numbers of a shape, never the same twice."""


def _normals(key: bytes) -> Normals:
    """From SHAKE-256 of the key and a counter: torch's own generator has 2^32 seeds to try."""
    count = itertools.count()

    def draw(shape: torch.Size) -> Tensor:
        stream = hashlib.shake_256(key + next(count).to_bytes(8, "big"))
        whole = np.frombuffer(stream.digest(8 * shape.numel()), dtype="<u8") >> np.uint64(11)
        uniform = (whole + 0.5) / 2.0**53
        return torch.from_numpy(ndtri(uniform)).reshape(shape)

    return draw


def _drowned(task: Task, parameters: NoiseParameters, normals: Normals) -> nn.Module:
    """The noisy steps. Of the model its weights go in, cut, and nothing else: no buffer."""
    like = next(task.module.parameters())
    result = begin(task.recipe, task.seed).to(like)
    values = dict(result.named_parameters())
    fresh = {name: value.detach().clone() for name, value in values.items()}
    found = dict(task.module.named_parameters())
    cut = clipped({name: found[name].detach() - fresh[name] for name in values}, parameters.radius)
    sigma = guarantee(parameters).sigma
    minibatches = in_turn(
        torch.tensor(task.retain),
        task.recipe.batch_size,
        torch.Generator().manual_seed(task.seed),
    )
    with drawing(task.seed, like.device):
        _move(values, cut)
        result.train()
        for done in range(parameters.steps):
            task.progress("noise", done, parameters.steps)
            gradient = clipped(_gradient(task, result, next(minibatches)), parameters.clip)
            _move(
                values,
                {
                    name: sigma * normals(value.shape).to(value)
                    - parameters.rate * gradient[name]
                    - parameters.rate * parameters.decay * (value.detach() - fresh[name])
                    for name, value in values.items()
                },
            )
        task.progress("noise", parameters.steps, parameters.steps)
    return result


def _gradient(task: Task, module: nn.Module, part: Tensor) -> dict[str, Tensor]:
    logits = module(task.images.images[part].to(next(module.parameters())))
    batch = Batch(indices=part, logits=logits)
    names, values = zip(*module.named_parameters(), strict=True)
    found = torch.autograd.grad(
        retained_loss(task)(batch, batch), values, allow_unused=True, materialize_grads=True
    )
    return dict(zip(names, found, strict=True))


def _move(values: Mapping[str, Tensor], ways: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in values.items():
            value.add_(ways[name])


def clipped(vector: Mapping[str, Tensor], length: float) -> dict[str, Tensor]:
    """A vector by parameter, shortened to ``length`` where it is longer."""
    found = math.sqrt(sum(float(piece.double().square().sum()) for piece in vector.values()))
    factor = min(1.0, length / found) if found else 1.0
    return {name: factor * piece for name, piece in vector.items()}
