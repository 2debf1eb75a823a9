"""Reference models: scouts that find memorised patients, surrogates, and the two-block bank.

Block A is trained without the cohort F but with the surrogates S, block B without S but with F:
A is OUT for F and IN for S, B the reverse (DESIGN section 4 point 11).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.learning.parallel import TrainingJob, choose_where, train_many
from auditor.learning.progress import Progress
from auditor.learning.weights import load_weights
from auditor.verification.contrast import LEAST_PER_CLASS, contrast_with
from auditor.verification.layout import Layout, Numbers
from auditor.verification.measure import Measurements, measure
from auditor.workflow.scene import Scene, derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Reference models trained alike but for their seed, and what was measured on them."""

    weights: tuple[Digest, ...]
    measured: tuple[Measurements, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """Both blocks, the images they differ in, and the canonical list of all their digests."""

    forgotten: tuple[int, ...]
    surrogates: tuple[tuple[int, ...], ...]
    out: Block
    untouched: Block
    listing: bytes

    @property
    def digest(self) -> Digest:
        """Digest of the listing; under it the listing lies in the store."""
        return Digest.of(self.listing)


def measure_all(scene: Scene, module: nn.Module) -> Measurements:
    """Measure a model on every image of the scene."""
    return measure(module, scene.images.images, scene.images.labels)


def layout_for(
    scene: Scene, about: Sequence[int], *, apart: Sequence[int], unseen: Sequence[int]
) -> Layout:
    """Who is who when the images ``about`` are in question.

    Args:
        about: image indices whose influence is asked for.
        apart: training images that belong to neither side and are left out of the comparison.
        unseen: never-seen images.
    """
    codes = {subject: code for code, subject in enumerate(sorted(set(scene.images.subjects)))}
    return Layout(
        labels=np.asarray(scene.images.labels),
        patients=np.asarray([codes[subject] for subject in scene.images.subjects]),
        forgotten=np.asarray(about),
        retained=np.asarray(scene.without(about, apart)),
        unseen=np.asarray(unseen),
    )


def train_block(
    scene: Scene,
    name: str,
    indices: Sequence[Sequence[int]],
    seed: str,
    *,
    workers: int,
    progress: Progress,
) -> Block:
    """Train one model per index list and measure each; finished files are kept and reused."""
    jobs = [
        TrainingJob(
            name=f"{name}-{number:03d}",
            recipe=scene.recipe,
            indices=tuple(chosen),
            seed=derive_seed(seed, name, number),
        )
        for number, chosen in enumerate(indices)
    ]
    paths = train_many(
        jobs,
        scene.images,
        folder=scene.folder,
        where=choose_where(workers),
        progress=lambda done, total: progress(f"training {name} models", done, total),
    )
    contents = [path.read_bytes() for path in paths]
    return Block(
        weights=tuple(Digest.of(content) for content in contents),
        measured=tuple(
            measure_all(scene, load_weights(scene.recipe, content)) for content in contents
        ),
    )


def scout_memorisation(
    scene: Scene, count: int, *, workers: int, progress: Progress
) -> tuple[Block, Mapping[str, float]]:
    """How visibly each training patient is memorised, from models that take no part in an audit.

    Each scout is trained on a random half of the patients. A patient's memorisation is the mean
    rise of the contrast of their images from OUT to IN scouts, in standard deviations of OUT.
    """
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
    return block, _rises(scene, scores, halves)


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


def sparing(
    scene: Scene, forgotten: Sequence[int], groups: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], ...]:
    """The first of these groups of training images that leave enough images of every class.

    An audit needs some of each class among those who are neither forgotten nor surrogates.
    """
    kept: list[tuple[int, ...]] = []
    for group in groups:
        if not thin_classes(scene, scene.without(forgotten, *kept, group)):
            kept.append(tuple(group))
    return tuple(kept)


def thin_classes(scene: Scene, indices: Sequence[int]) -> frozenset[int]:
    """Classes of which these are too few images to audit by."""
    labels = np.asarray(scene.images.labels)
    left = labels[list(indices)]
    return frozenset(
        int(label) for label in np.unique(labels) if (left == label).sum() < LEAST_PER_CLASS
    )


def train_bank(
    scene: Scene,
    forgotten: Sequence[int],
    surrogates: Sequence[Sequence[int]],
    *,
    scouts: Block,
    seed: str,
    out_models: int,
    in_models: int,
    workers: int,
    progress: Progress,
) -> Bank:
    """Train both blocks of a case's bank; without surrogates no method can be tuned on it."""
    apart = tuple(index for group in surrogates for index in group)
    out = train_block(
        scene,
        "out",
        [scene.without(forgotten)] * out_models,
        seed,
        workers=workers,
        progress=progress,
    )
    untouched = train_block(
        scene, "in", [scene.without(apart)] * in_models, seed, workers=workers, progress=progress
    )
    listing = canonical_bytes(
        {
            "recipe": str(scene.recipe.digest),
            "weights": str(scene.version.weights),
            "out": [str(item) for item in out.weights],
            "in": [str(item) for item in untouched.weights],
            "scouts": [str(item) for item in scouts.weights],
        }
    )
    return Bank(
        forgotten=tuple(forgotten),
        surrogates=tuple(tuple(group) for group in surrogates),
        out=out,
        untouched=untouched,
        listing=listing,
    )
