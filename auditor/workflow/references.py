"""Reference models of a scene: trained by its recipe, measured on all its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from auditor.domain.artefact import Digest
from auditor.learning.parallel import TrainingJob, choose_where, train_many
from auditor.learning.progress import Progress
from auditor.learning.relearning import relearn
from auditor.learning.weights import load_weights
from auditor.verification.contrast import LEAST_PER_CLASS
from auditor.verification.layout import Layout
from auditor.verification.measure import Measurements, measure
from auditor.verification.subgroups import age_band
from auditor.workflow.scene import Scene, derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Reference models trained alike but for their seed, and what was measured on them."""

    weights: tuple[Digest, ...]
    measured: tuple[Measurements, ...]


def measure_all(scene: Scene, module: nn.Module, relearning: Sequence[int] = ()) -> Measurements:
    """Measure a model on every image of the scene.

    Args:
        relearning: images that a copy of it is to relearn (`relearning_images`), if any.
    """
    images, labels = scene.images.images, scene.images.labels
    found = measure(module, images, labels, queries=True)
    if not len(relearning):
        return found
    chosen = torch.as_tensor(relearning)
    return replace(found, relearned=relearn(module, images[chosen], labels[chosen]).numpy())


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
        attributes={
            "site": scene.images.sites,
            "sex": scene.images.sexes,
            "age": tuple(age_band(age) for age in scene.images.ages),
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


def measure_block(scene: Scene, contents: Sequence[bytes], relearning: Sequence[int] = ()) -> Block:
    """Models of the scene's recipe, measured.

    Args:
        contents: their weights, in safetensors form.
        relearning: as in `measure_all`.
    """
    return Block(
        weights=tuple(Digest.of(content) for content in contents),
        measured=tuple(
            measure_all(scene, load_weights(scene.recipe, content), relearning)
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
