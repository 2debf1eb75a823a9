"""The one training loop: AdamW under a one-cycle rate, one thread, bit for bit from its seed.

A training can be recorded and gone back to. What a step does depends on the state before it, the
seed and its number alone: minibatches come from the batch order, the rate from the schedule, and
what a network draws (dropout) from a generator that is seeded anew for each step. So a training
from a checkpoint is the training from the start, bit for bit.

Images can be left out of the order they were drawn up in. Their minibatches are made without them,
and a minibatch that is left empty is a step not taken: neither weights nor optimiser move, and the
rate of every later step is what it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import ModelError
from auditor.learning.datasets import ImageSet
from auditor.learning.determinism import one_thread
from auditor.learning.history import KEEP_NONE, Checkpoint, Keeping
from auditor.learning.models import build
from auditor.learning.order import batch_order
from auditor.learning.progress import Progress, silent
from auditor.learning.recipe import Recipe
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
            training outside its weights.
    """
    masked = frozenset(without)
    if masked.issuperset(indices):
        raise ModelError("there is nothing to train on: no training images are left")
    order = batch_order(recipe, images.subjects, indices, seed)
    checkpoints = frozenset(order.checkpoint_steps(keeping.spacing))
    left_out = torch.tensor(sorted(masked), dtype=torch.int64)
    first = 0 if start is None else start.step
    with one_thread(), _own_draws(device):
        module = build(recipe, seed).to(device).train()
        unsaved = _unsaved(module)
        optimiser = _optimiser(module.parameters(), recipe)
        if start is not None:
            restore_checkpoint(start.data, module, optimiser)
        rates = one_cycle(recipe, len(order.steps))
        for step in range(first, len(order.steps)):
            if step in checkpoints and step > first:
                keeping.keep(Checkpoint(step=step, data=checkpoint_bytes(module, optimiser)))
            batch = order.steps[step]
            batch = batch[~torch.isin(batch, left_out)] if masked else batch
            if len(batch):
                _seed_draws(device, seed, step)
                rate, decays = rates[step]
                optimiser.param_groups[0].update(lr=rate, betas=decays)
                _step(module, optimiser, images.images[batch], images.labels[batch])
            progress("training", step + 1, len(order.steps))
    if not all(bool(torch.isfinite(value).all()) for value in module.state_dict().values()):
        raise ModelError("training diverged (NaN or infinite weights); lower the learning rate")
    for name, value in _unsaved(module).items():
        if not torch.equal(value, unsaved[name]):
            raise ModelError(
                f"the network keeps {name} of its training and doesn't save it with its weights; "
                "register it as a persistent buffer"
            )
    return module.eval()


def _unsaved(module: nn.Module) -> dict[str, Tensor]:
    """What it holds and no file of weights does: no checkpoint could bring it back."""
    saved = module.state_dict().keys()
    return {name: value.clone() for name, value in module.named_buffers() if name not in saved}


def _step(
    module: nn.Module, optimiser: torch.optim.Optimizer, images: Tensor, labels: Tensor
) -> None:
    device = next(module.parameters()).device
    optimiser.zero_grad()
    try:
        logits = module(images.to(device))
    except ValueError as error:  # BatchNorm has nothing to normalise one value by
        raise ModelError(
            f"a minibatch of {len(images)} is too small for this network; change batch_size"
        ) from error
    loss = functional.cross_entropy(logits, labels.to(device))
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves Tensor.backward bare
    optimiser.step()


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
