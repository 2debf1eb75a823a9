"""A model's scene without a home: nothing of a benchmark is on any books."""

from __future__ import annotations

from pathlib import Path

from auditor.domain.artefact import Digest
from auditor.domain.event import ModelRegistered
from auditor.learning.datasets import ImageSet, split_by_patient
from auditor.learning.recipe import Recipe
from auditor.workflow.audit.scene import Scene

ANY = Digest.of(b"anything")


def scene_of(
    images: ImageSet, recipe: Recipe, folder: Path = Path(), *, weights: Digest = ANY, seed: int = 1
) -> Scene:
    """The images divided as the recipe says.

    Args:
        folder: where trained models are kept.
        weights: of the model in service, if there is one.
        seed: of the division.
    """
    split = split_by_patient(images, recipe, seed)
    version = ModelRegistered(
        model="benchmark",
        version=1,
        architecture=recipe.architecture,
        weights=weights,
        recipe=recipe.digest,
        data_set="benchmark",
        training_images=len(split.train),
    )
    return Scene(
        version=version,
        recipe=recipe,
        images=images,
        split=split,
        training=split.train,
        commitment=ANY,
        folder=folder,
    )
