"""Which images stand for all when the curvature is taken."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from auditor.unlearning.task import Task

_ENOUGH = 0.5  # of what could be asked for; with fewer left another sample is drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Images that the curvature is computed on, and those of them that it is used on.

    Attributes:
        drawn: image indices.
        used: those of them that are retained.
        lasting: ``drawn`` depends on the model version alone, not on who is to be forgotten.
    """

    drawn: tuple[int, ...]
    used: tuple[int, ...]
    lasting: bool


def curvature_sample(task: Task, size: int) -> Sample:
    """Draw by the model version where it is known, so that all requests share one sample.

    The images to be forgotten and those set apart are then left out of it. Where less than half
    of what was asked for is left, or none of a class, and always where the version isn't known,
    the sample is drawn from the retained images by the task's own seed.
    """
    labels = task.images.labels
    if task.known is not None:
        drawn = draw(task.known.training, labels, size, task.known.identity.value)
        retained = frozenset(task.retain)
        used = tuple(index for index in drawn if index in retained)
        enough = len(used) >= _ENOUGH * min(size, len(task.retain))
        if enough and _classes(used, labels) == _classes(task.retain, labels):
            return Sample(drawn=drawn, used=used, lasting=True)
    own = draw(task.retain, labels, size, task.seed)
    return Sample(drawn=own, used=own, lasting=False)


def draw(images: Sequence[int], labels: Tensor, size: int, seed: int | str) -> tuple[int, ...]:
    """Seeded draw of image indices, stratified by label; all of them where ``size`` allows."""
    if len(images) <= size:
        return tuple(images)
    source = random.Random(seed)
    groups: dict[int, list[int]] = {}
    for index in images:
        groups.setdefault(int(labels[index]), []).append(index)
    chosen: list[int] = []
    for label in sorted(groups):
        share = max(1, round(size * len(groups[label]) / len(images)))
        chosen += source.sample(groups[label], min(share, len(groups[label])))
    return tuple(sorted(chosen))


def _classes(images: Sequence[int], labels: Tensor) -> frozenset[int]:
    return frozenset(int(labels[index]) for index in images)
