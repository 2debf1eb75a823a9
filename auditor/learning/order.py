"""The batch order: which images make up each step of a training, drawn from its seed.

With one slice, every epoch is a fresh shuffle of all images. With more, patients are dealt into
slices and stage j trains on slices 1 to j (slicing of Bourtoule et al. 2021, "Machine Unlearning",
section IV), so that a model of before somebody's slice can be gone back to. Each stage has
2 e / (slices + 1) epochs, rounded, so that about as many images are shown as in e epochs on all.

The order depends on how many patients and images there are and which images belong together, never
on an image, a label or a name.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from auditor.errors import ModelError
from auditor.learning.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BatchOrder:
    """The steps of a training, before anyone is left out of it.

    Attributes:
        steps: image indices of each step's minibatch.
        fresh: for each slice the steps of its stage's first epoch, in which its patients are first
            seen; by the end of it all of them have been.
    """

    steps: tuple[Tensor, ...]
    fresh: tuple[range, ...]

    def first_step(self, images: Collection[int]) -> int:
        """The first step that holds any of these images; the number of steps where none does."""
        wanted = torch.tensor(sorted(images), dtype=torch.int64)
        for number, batch in enumerate(self.steps):
            if bool(torch.isin(batch, wanted).any()):
                return number
        return len(self.steps)

    def checkpoint_steps(self, spacing: int) -> tuple[int, ...]:
        """Steps before which a checkpoint is worth its place: somebody hasn't been seen yet.

        Args:
            spacing: in steps, from the start of each slice's stage; 0 for none at all. Where the
                whole training starts the seed is enough.
        """
        if spacing == 0:
            return ()
        return tuple(step for fresh in self.fresh for step in fresh[::spacing] if step > 0)


def batch_order(
    recipe: Recipe, subjects: Sequence[str], indices: Sequence[int], seed: int
) -> BatchOrder:
    """Draw the batch order of a training.

    Args:
        subjects: of every image of the data set.
        indices: images to train on; their sequence counts.

    Raises:
        ModelError: fewer patients than slices.
    """
    draw = torch.Generator().manual_seed(seed)
    slices = _deal(recipe, subjects, indices, draw)
    epochs = max(1, round(2 * recipe.epochs / (recipe.slices + 1)))
    steps: list[Tensor] = []
    fresh: list[range] = []
    seen = torch.empty(0, dtype=torch.int64)
    for arriving in slices:
        seen = torch.cat([seen, arriving])
        start = len(steps)
        for _ in range(epochs):
            shuffled = seen[torch.randperm(len(seen), generator=draw)]
            steps += torch.split(shuffled, recipe.batch_size)
        fresh.append(range(start, start + -(-len(seen) // recipe.batch_size)))
    return BatchOrder(steps=tuple(steps), fresh=tuple(fresh))


def _deal(
    recipe: Recipe, subjects: Sequence[str], indices: Sequence[int], draw: torch.Generator
) -> list[Tensor]:
    """Image indices of each slice; patients are told apart by where they first occur."""
    images = torch.tensor(indices, dtype=torch.int64)
    if recipe.slices == 1:
        return [images]
    place: dict[str, int] = {}
    owner = torch.tensor([place.setdefault(subjects[index], len(place)) for index in indices])
    if len(place) < recipe.slices:
        raise ModelError(f"{recipe.slices} slices need as many patients; there are {len(place)}")
    rank = torch.empty(len(place), dtype=torch.int64)
    rank[torch.randperm(len(place), generator=draw)] = torch.arange(len(place))
    slice_of = rank[owner] * recipe.slices // len(place)
    return [images[slice_of == number] for number in range(recipe.slices)]
