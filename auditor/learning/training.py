"""The one training loop: AdamW under a one-cycle rate, one thread, bit for bit from its seed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from auditor.errors import ModelError
from auditor.learning.datasets import ImageSet
from auditor.learning.determinism import one_thread
from auditor.learning.models import build
from auditor.learning.recipe import Recipe


def train(recipe: Recipe, images: ImageSet, indices: Sequence[int], seed: int) -> nn.Module:
    """Train a fresh network on some of the images; returns it in evaluation mode.

    The seed fixes initial weights and batch order; nothing else is random.

    Raises:
        ModelError: no images, or the weights became NaN or infinite.
    """
    if not indices:
        raise ModelError("there is nothing to train on: no training images are left")
    with one_thread():
        module = build(recipe, seed)
        _fit(module, recipe, images, torch.tensor(indices), seed)
    if not all(bool(torch.isfinite(value).all()) for value in module.state_dict().values()):
        raise ModelError("training diverged (NaN or infinite weights); lower the learning rate")
    return module.eval()


def _fit(
    module: nn.Module, recipe: Recipe, images: ImageSet, indices: torch.Tensor, seed: int
) -> None:
    order = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(
        module.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    batches = -(-len(indices) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.epochs * batches
    )
    module.train()
    for _ in range(recipe.epochs):
        shuffled = indices[torch.randperm(len(indices), generator=order)]
        for batch in torch.split(shuffled, recipe.batch_size):
            optimiser.zero_grad()
            loss = functional.cross_entropy(module(images.images[batch]), images.labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves Tensor.backward bare
            optimiser.step()
            schedule.step()
