"""What an unlearning method is given, and what it must offer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import nn

from auditor.learning.datasets import ImageSet
from auditor.learning.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """What a method is given; it may read all of it and change none.

    Attributes:
        module: the model in service, never modified.
        forget: image indices to unlearn.
        retain: image indices the result should be as if trained on.
        seed: of whatever the method draws.
    """

    recipe: Recipe
    module: nn.Module
    images: ImageSet
    forget: tuple[int, ...]
    retain: tuple[int, ...]
    seed: int


class Method(Protocol):
    """A way to a model without the forgotten images.

    ``exact`` methods end where training without them would have; all others are approximate and
    earn nothing but by verification.
    """

    name: str
    exact: bool

    def run(self, task: Task, parameters: Mapping[str, str]) -> nn.Module:
        """Make the candidate; raises UnlearningError where it can't."""
        ...
