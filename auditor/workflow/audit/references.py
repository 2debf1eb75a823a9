"""Reference models of a scene: trained by its recipe, measured on all its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import nn

from auditor.domain.artefact import Digest
from auditor.errors import ModelError, UnauditableError
from auditor.learning.datasets import ImageSet
from auditor.learning.determinism import one_thread
from auditor.learning.parallel import TrainingJob, choose_where, train_many
from auditor.learning.progress import Progress
from auditor.learning.recipe import Recipe
from auditor.learning.relearning import relearn
from auditor.learning.weights import load_weights
from auditor.verification.contrast import LEAST_PER_CLASS
from auditor.verification.layout import Layout
from auditor.verification.measure import Measurements, measure
from auditor.verification.subgroups import age_band
from auditor.workflow.audit.scene import Scene, derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Reference models trained alike but for their seed, and what was measured on them."""

    weights: tuple[Digest, ...]
    measured: tuple[Measurements, ...]


class Bench(Protocol):
    """What models are measured on, such as a scene."""

    @property
    def recipe(self) -> Recipe:
        """What they were built by."""

    @property
    def images(self) -> ImageSet:
        """All images."""


def measure_all(bench: Bench, module: nn.Module, relearning: Sequence[int] = ()) -> Measurements:
    """Measure a model on every image, to the same bits whatever the number of cores.

    Args:
        relearning: images that a copy of it is to relearn (`relearning_images`), if any.

    Raises:
        UnauditableError: it answers with NaN or infinite values, or can't relearn.
    """
    images, labels = bench.images.images, bench.images.labels
    with one_thread():
        found = measure(module, images, labels, queries=True)
    if not len(relearning):
        return found
    chosen = torch.as_tensor(relearning)
    try:
        relearned = relearn(module, images[chosen], labels[chosen])
    except ModelError as error:
        raise UnauditableError(str(error)) from error
    return replace(found, relearned=relearned.numpy())


def layout_for(
    scene: Scene, about: Sequence[int], *, apart: Sequence[int], unseen: Sequence[int]
) -> Layout:
    """Who is who when the images ``about`` are in question.

    Args:
        about: image indices whose influence is asked for.
        apart: training images that belong to neither side and are left out of the comparison.
        unseen: never-seen images.
    """
    return layout_of(
        scene.images, forgotten=about, retained=scene.without(about, apart), unseen=unseen
    )


def layout_of(
    images: ImageSet,
    *,
    forgotten: Sequence[int],
    retained: Sequence[int],
    unseen: Sequence[int],
) -> Layout:
    """Images of each role, and what the manifest says of all of them."""
    codes = {subject: code for code, subject in enumerate(sorted(set(images.subjects)))}
    return Layout(
        labels=np.asarray(images.labels),
        patients=np.asarray([codes[subject] for subject in images.subjects], np.int64),
        forgotten=np.asarray(forgotten),
        retained=np.asarray(retained),
        unseen=np.asarray(unseen),
        attributes={
            "site": images.sites,
            "sex": images.sexes,
            "age": tuple(age_band(age) for age in images.ages),
        },
    )


def train_block(
    scene: Scene,
    name: str,
    indices: Sequence[Sequence[int]],
    seed: str,
    *,
    workers: int,
    progress: Progress,
    relearning: Sequence[int] = (),
) -> Block:
    """Train one model per index list and measure each; finished files are kept and reused."""
    contents = train_models(scene, name, indices, seed, workers=workers, progress=progress)
    return measure_block(scene, contents, relearning)


def train_models(
    scene: Scene,
    name: str,
    indices: Sequence[Sequence[int]],
    seed: str,
    *,
    workers: int,
    progress: Progress,
) -> tuple[bytes, ...]:
    """Train one model per index list, into files of the scene's folder; gives their contents."""
    jobs = [
        TrainingJob(
            name=f"{name}-{number:03d}",
            recipe=scene.recipe,
            indices=tuple(chosen),
            seed=derive_seed(seed, name, number),
            data=scene.data,
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
    return tuple(path.read_bytes() for path in paths)


def measure_block(bench: Bench, contents: Sequence[bytes], relearning: Sequence[int] = ()) -> Block:
    """Models of the bench's recipe, measured.

    Args:
        contents: their weights, in safetensors form.
        relearning: as in `measure_all`.
    """
    return Block(
        weights=tuple(Digest.of(content) for content in contents),
        measured=tuple(
            measure_all(bench, load_weights(bench.recipe, content), relearning)
            for content in contents
        ),
    )


def thin_classes(scene: Scene, indices: Sequence[int]) -> frozenset[int]:
    """Classes of which these are too few images to audit by."""
    labels = np.asarray(scene.images.labels)
    left = labels[list(indices)]
    return frozenset(
        int(label) for label in np.unique(labels) if (left == label).sum() < LEAST_PER_CLASS
    )
