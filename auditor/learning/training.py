"""The one training loop: AdamW under a one-cycle rate, one thread, bit for bit from its seed.

A training can be recorded and gone back to. What a step does depends on the state before it, the
seed and its number alone: minibatches come from the batch order, the rate from the schedule, and
what a network draws (dropout) from a generator that is seeded anew for each step. So a training
from a checkpoint is the training from the start, bit for bit; a network of which that isn't true
is refused.

Images can be left out of the order they were drawn up in. Their minibatches are made without them,
and a minibatch that is left empty is a step not taken: neither weights nor optimiser move, and the
rate of every later step is what it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import ModelError
from auditor.learning.datasets import ImageSet
from auditor.learning.determinism import one_thread
from auditor.learning.history import KEEP_NONE, Checkpoint, Keeping
from auditor.learning.order import BatchOrder, batch_order
from auditor.learning.progress import Progress, silent
from auditor.learning.recipe import Recipe
from auditor.learning.start import begin
from auditor.learning.weights import checkpoint_bytes, restore_checkpoint

_CPU = torch.device("cpu")


def train(
    recipe: Recipe,
    images: ImageSet,
    indices: Sequence[int],
    seed: int,
    *,
    without: Collection[int] = (),
    start: Checkpoint | None = None,
    keeping: Keeping = KEEP_NONE,
    device: torch.device = _CPU,
    progress: Progress = silent,
) -> nn.Module:
    """Train a network on some of the images; returns it in evaluation mode, on ``device``.

    The seed fixes initial weights, batch order and what the network draws; nothing else is random.

    Args:
        indices: images that the order is drawn up for.
        without: those of them that are left out, as if masked.
        start: a checkpoint of this same training; from the start without it.
        keeping: told checkpoints that come after the start.

    Raises:
        ModelError: no images, minibatches too small for the network, a checkpoint that doesn't
            fit, weights that became NaN or infinite, or a network that keeps something of its
            training outside its weights. Where there are checkpoints, or one to start from, that
            is tried: an epoch is made twice.
    """
    masked = frozenset(without)
    if masked.issuperset(indices):
        raise ModelError("there is nothing to train on: no training images are left")
    course = _Course(
        recipe=recipe,
        images=images,
        order=batch_order(recipe, images.subjects, indices, seed),
        left_out=torch.tensor(sorted(masked), dtype=torch.int64),
        seed=seed,
        device=device,
    )
    checkpoints = frozenset(course.order.checkpoint_steps(keeping.spacing))
    first = 0 if start is None else start.step
    to_go_back = bool(keeping.spacing) or start is not None
    with one_thread(), _own_draws(device):
        state = course.begin(start)
        unsaved, late = _unsaved(state.module), None
        for step in course.steps(first):
            if step in checkpoints and step > first:
                keeping.keep(state.checkpoint(step))
            if to_go_back and step == course.late(first):
                late = state.checkpoint(step)
            course.take(step, state)
            progress("training", step + 1, len(course.order.steps))
        module = state.module
        if not all(bool(torch.isfinite(value).all()) for value in module.state_dict().values()):
            raise ModelError("training diverged (NaN or infinite weights); lower the learning rate")
        _require_saved(module, unsaved)
        if late is not None:
            _require_same_end(course, late, state)
    return module.eval()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _State:
    """A training under way."""

    module: nn.Module
    optimiser: torch.optim.Optimizer

    def checkpoint(self, step: int) -> Checkpoint:
        return Checkpoint(step=step, data=checkpoint_bytes(self.module, self.optimiser))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Course:
    """The steps of a training, whoever makes them and from wherever."""

    recipe: Recipe
    images: ImageSet
    order: BatchOrder
    left_out: Tensor
    seed: int
    device: torch.device

    @cached_property
    def rates(self) -> list[tuple[float, tuple[float, float]]]:
        return one_cycle(self.recipe, len(self.order.steps))

    def begin(self, start: Checkpoint | None) -> _State:
        module = begin(self.recipe, self.seed).to(self.device).train()
        optimiser = _optimiser(module.parameters(), self.recipe)
        if start is not None:
            restore_checkpoint(start.data, module, optimiser)
        return _State(module=module, optimiser=optimiser)

    def steps(self, first: int) -> range:
        return range(first, len(self.order.steps))

    def late(self, first: int) -> int:
        """The step with an epoch left to go, or half of the steps where they are fewer than two."""
        steps = len(self.order.steps)
        return max(steps - len(self.order.fresh[-1]), (first + steps) // 2)

    def take(self, step: int, state: _State) -> None:
        batch = self.order.steps[step]
        batch = batch[~torch.isin(batch, self.left_out)] if len(self.left_out) else batch
        if len(batch):
            _seed_draws(self.device, self.seed, step)
            rate, decays = self.rates[step]
            state.optimiser.param_groups[0].update(lr=rate, betas=decays)
            _step(state, self.images.images[batch], self.images.labels[batch])


def _require_saved(module: nn.Module, before: Mapping[str, Tensor]) -> None:
    for name, value in _unsaved(module).items():
        if not torch.equal(value, before[name]):
            raise ModelError(
                f"the network keeps {name} of its training and doesn't save it with its weights; "
                "register it as a persistent buffer"
            )


def _require_same_end(course: _Course, late: Checkpoint, reached: _State) -> None:
    """Go on from a checkpoint of late in the training: a network that has only it ends the same.

    State is looked for by what it does, since it may be kept in any attribute; and late, since by
    then most of what a training leaves in a network has been left.
    """
    again = course.begin(late)
    for step in course.steps(late.step):
        course.take(step, again)
    end = len(course.order.steps)
    if again.checkpoint(end) != reached.checkpoint(end):
        raise ModelError(
            "the training can't be gone back to: from a checkpoint it ends elsewhere, so the "
            "network keeps or draws something beside its weights and torch's generator; register "
            "it as a persistent buffer"
        )


def _unsaved(module: nn.Module) -> dict[str, Tensor]:
    """What it holds and no file of weights does: no checkpoint could bring it back."""
    saved = module.state_dict().keys()
    return {name: value.clone() for name, value in module.named_buffers() if name not in saved}


def _step(state: _State, images: Tensor, labels: Tensor) -> None:
    device = next(state.module.parameters()).device
    state.optimiser.zero_grad()
    try:
        logits = state.module(images.to(device))
    except ValueError as error:  # BatchNorm has nothing to normalise one value by
        raise ModelError(
            f"a minibatch of {len(images)} is too small for this network; change batch_size"
        ) from error
    loss = functional.cross_entropy(logits, labels.to(device))
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves Tensor.backward bare
    state.optimiser.step()


def _optimiser(parameters: Iterable[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def one_cycle(recipe: Recipe, steps: int) -> list[tuple[float, tuple[float, float]]]:
    """Rate and decays (betas) of each step under a one-cycle schedule (Smith and Topin 2018)."""
    optimiser = _optimiser([nn.Parameter(torch.zeros(1))], recipe)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=steps
    )
    rates = []
    for _ in range(steps):
        group = optimiser.param_groups[0]
        rates.append((group["lr"], group["betas"]))
        optimiser.step()
        schedule.step()
    return rates


@contextmanager
def _own_draws(device: torch.device) -> Iterator[None]:
    """What the training draws leaves the caller's generators alone."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def _seed_draws(device: torch.device, seed: int, step: int) -> None:
    """A number of its own for each step; the seed itself drew the initial weights."""
    number = (seed + 1 + step) % 2**63
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(number)
