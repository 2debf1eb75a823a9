"""Image sets of seeded noise in memory, and networks of a factory, for tests of training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from auditor.learning.datasets import ImageSet
from auditor.learning.recipe import Recipe


def noise(patients: int = 16, size: int = 16, seed: int = 1) -> ImageSet:
    """One to three images for every patient, labels by turns."""
    draw = torch.Generator().manual_seed(seed)
    subjects = tuple(f"p{number}" for number in range(patients) for _ in range(1 + number % 3))
    count = len(subjects)
    nothing = ("",) * count
    return ImageSet(
        images=torch.randn(count, 1, size, size, generator=draw),
        labels=torch.tensor([int(subject[1:]) % 2 for subject in subjects]),
        subjects=subjects,
        sites=nothing,
        sexes=nothing,
        ages=nothing,
        splits=nothing,
    )


class Dropping(nn.Module):
    """BatchNorm, whose buffers training changes, and dropout, which draws while training."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten()
        )
        self.head = nn.LazyLinear(classes)
        self(torch.zeros(2, 1, 16, 16))

    def features(self, x: Tensor) -> Tensor:
        """Input of the head."""
        inner: Tensor = self.body(x)
        return inner

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.head(self.features(x))
        return logits


def dropping(recipe: Recipe) -> nn.Module:
    """A factory for recipes."""
    return Dropping(recipe.classes)


class Tied(nn.Module):
    """Two layers that are one."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(16, 16)
        self.second = nn.Linear(16, 16)
        self.second.weight = self.first.weight
        self.head = nn.Linear(16, classes)

    def features(self, x: Tensor) -> Tensor:
        """Input of the head."""
        inner: Tensor = self.second(torch.relu(self.first(x.flatten(1)[:, :16])))
        return inner

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.head(self.features(x))
        return logits


def tied(recipe: Recipe) -> nn.Module:
    """A factory for recipes."""
    return Tied(recipe.classes)


def broken(_recipe: Recipe) -> nn.Module:
    """A factory that fails."""
    raise RuntimeError("no such luck")


def nothing(_recipe: Recipe) -> object:
    """A factory that makes no network."""
    return object()


DROPPING = f"{__name__}:dropping"
TIED = f"{__name__}:tied"
