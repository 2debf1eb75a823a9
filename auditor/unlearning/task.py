"""What an unlearning method is given, and what it must offer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from torch import nn

from auditor.learning.datasets import ImageSet
from auditor.learning.history import History
from auditor.learning.progress import Progress, silent
from auditor.learning.recipe import Recipe
from auditor.unlearning.shelf import KnownModel


class Cost(StrEnum):
    """What a method costs, from the least to the most."""

    STEP = "step"
    """A solve and a few passes over some of the retained images."""
    FINE_TUNING = "fine-tuning"
    """A few epochs over the retained images."""
    REPLAY = "replay"
    """The part of the training that came after the forgotten images were first seen."""
    TRAINING = "training"
    """A whole training."""


class Need(StrEnum):
    """What of the task beyond model, images and recipe a method can't do without."""

    UNSEEN = "never-seen-images"
    HISTORY = "training-history"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outsiders:
    """What models of the recipe say of images whose patients they weren't shown.

    None of them takes part in an audit.

    Attributes:
        margins: by image index the log odds of its label, the mean over those models.
        sureness: mean log odds that such models give the labels of images they *were* shown.
    """

    margins: Mapping[int, float]
    sureness: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """What a method is given; it may read all of it and change none.

    Attributes:
        module: the model in service, never modified.
        forget: image indices to unlearn.
        retain: image indices the result should be as if trained on.
        seed: of whatever the method draws.
        unseen: image indices of patients that no model was trained on, nor is ever tested on.
        history: how the model, or the one it descends from, was trained, if that was recorded.
        progress: told how far the work is.
        known: the version on the books that the module is, if it is one.
        outsiders: models that were trained on some of the patients, if there are any.
    """

    recipe: Recipe
    module: nn.Module
    images: ImageSet
    forget: tuple[int, ...]
    retain: tuple[int, ...]
    seed: int
    unseen: tuple[int, ...] = ()
    history: History | None = None
    progress: Progress = silent
    known: KnownModel | None = None
    outsiders: Outsiders | None = None


class Method(Protocol):
    """A way to a model without the forgotten images.

    ``exact`` methods end where training without them would have; all others are approximate and
    earn nothing but by verification.
    """

    name: str
    exact: bool
    cost: Cost
    needs: frozenset[Need]

    def run(self, task: Task, parameters: Mapping[str, str]) -> nn.Module:
        """Make the candidate; raises UnlearningError where it can't."""
        ...


class Tunable(Method, Protocol):
    """An approximate method with parameters that must be chosen on surrogate patients."""

    def variants(self, task: Task) -> Iterator[tuple[Mapping[str, str], nn.Module]]:
        """Candidates to choose among, mildest first, each with the parameters that `run` takes.

        Ends early where a stronger variant can't be made; what `run` makes of the parameters is
        the same candidate.
        """
        ...
