"""Scout models: how visibly each patient is memorised, before any audit."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.learning.progress import Progress
from auditor.unlearning.task import Outsiders
from auditor.verification.contrast import contrast_with
from auditor.verification.layout import Numbers
from auditor.workflow.audit.references import Block, train_block
from auditor.workflow.audit.scene import Scene, derive_seed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scouts:
    """Scout models and what they told.

    Attributes:
        memorised: by training patient the mean rise of the contrast of their images from OUT to IN
            scouts, in standard deviations of OUT.
        outsiders: what scouts say of training images whose patients they weren't shown.
    """

    block: Block
    memorised: Mapping[str, float]
    outsiders: Outsiders


def send_scouts(scene: Scene, count: int, *, workers: int, progress: Progress) -> Scouts:
    """Train models that take no part in an audit, each on a random half of the patients."""
    subjects = sorted({scene.images.subjects[i] for i in scene.training})
    draw = random.Random(derive_seed("scouts", scene.version.weights))
    halves = []
    for _ in range(count // 2):
        half = set(draw.sample(subjects, len(subjects) // 2))
        halves += [half, set(subjects) - half]
    indices = [[i for i in scene.training if scene.images.subjects[i] in half] for half in halves]
    block = train_block(
        scene,
        "scout",
        indices,
        f"scouts/{scene.version.weights}",
        workers=workers,
        progress=progress,
    )
    labels = np.asarray(scene.images.labels)
    about, unseen = np.asarray(scene.training), np.asarray(scene.split.validation)
    scores = np.stack(
        [contrast_with(item.margins, labels, about, (unseen,)) for item in block.measured]
    )
    margins = np.stack([item.margins[about] for item in block.measured])
    return Scouts(
        block=block,
        memorised=_rises(scene, scores, halves),
        outsiders=_outsiders(scene, margins, halves),
    )


def _outsiders(scene: Scene, margins: Numbers, halves: Sequence[set[str]]) -> Outsiders:
    subjects = [scene.images.subjects[index] for index in scene.training]
    shown = np.array([[subject in half for subject in subjects] for half in halves])
    means = np.where(shown, 0.0, margins).sum(axis=0) / (~shown).sum(axis=0)
    return Outsiders(
        margins=dict(zip(scene.training, means.tolist(), strict=True)),
        sureness=float(margins[shown].mean()),
    )


def _rises(scene: Scene, scores: Numbers, halves: Sequence[set[str]]) -> dict[str, float]:
    """Per subject the rise from OUT to IN scouts, in standard deviations.

    Few scouts make a poor standard deviation, so each is averaged with the typical one.
    """
    columns: dict[str, list[int]] = {}
    for column, index in enumerate(scene.training):
        columns.setdefault(scene.images.subjects[index], []).append(column)
    rises, variances = {}, {}
    for subject, own in columns.items():
        inside = np.array([subject in half for half in halves])
        pooled = scores[:, own].mean(axis=1)
        rises[subject] = float(pooled[inside].mean() - pooled[~inside].mean())
        variances[subject] = float(pooled[~inside].var(ddof=1))
    typical = float(np.median(list(variances.values())))
    return {
        subject: rise / float(np.sqrt((variances[subject] + typical) / 2))
        for subject, rise in rises.items()
    }
