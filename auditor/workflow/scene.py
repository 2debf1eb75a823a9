"""Everything one erasure works on, loaded once: recipe, images, split, model in service."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from auditor.domain.artefact import Digest
from auditor.domain.event import ModelRegistered
from auditor.errors import DataError
from auditor.learning.datasets import ImageSet, Split, load_images, read_manifest, split_by_patient
from auditor.learning.recipe import Recipe, parse_recipe
from auditor.learning.training import train
from auditor.learning.weights import load_weights, weights_bytes
from auditor.workflow.accounting import references_folder
from auditor.workflow.home import Home
from auditor.workflow.registry import (
    DataRecord,
    data_record,
    deploy,
    erased_payloads,
    register_data,
    register_version,
    require_model,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One model, its data and its recipe.

    Attributes:
        version: the registered version in service.
        training: indices of the images that version was trained on (earlier erasures left out).
        folder: where reference models of this scene are kept while they are needed.
    """

    version: ModelRegistered
    recipe: Recipe
    images: ImageSet
    split: Split
    training: tuple[int, ...]
    commitment: Digest
    folder: Path

    def of_subjects(self, subjects: Sequence[str]) -> tuple[int, ...]:
        """Training images of these subjects."""
        wanted = frozenset(subjects)
        return tuple(i for i in self.training if self.images.subjects[i] in wanted)

    def without(self, *groups: Sequence[int]) -> tuple[int, ...]:
        """Training images less the given ones, in order."""
        gone = frozenset(index for group in groups for index in group)
        return tuple(i for i in self.training if i not in gone)


def derive_seed(*parts: object) -> int:
    """A 48-bit seed out of named parts, so that no seed is ever chosen by hand."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def train_and_register(
    home: Home, *, model: str, manifest: Path, recipe: Recipe
) -> ModelRegistered:
    """Train a model by its recipe, put data, recipe and weights on the books and deploy it."""
    loaded = read_manifest(manifest)
    images = load_images(loaded, recipe.input_size)
    data_set = f"data-{loaded.digest.value[:12]}"
    record = DataRecord(
        manifest=manifest.resolve(),
        digest=loaded.digest,
        size=recipe.input_size,
        split_seed=derive_seed("split", loaded.digest),
    )
    patients = len(set(images.subjects))
    if not home.ledger.replay(f"data:{data_set}"):
        register_data(
            home,
            data_set,
            record,
            counts=(len(images.subjects), patients),
            synthetic=loaded.synthetic,
        )
    split = split_by_patient(images, recipe, record.split_seed)
    seed = derive_seed("model", model, recipe.digest, loaded.digest)
    module = train(recipe, images, split.train, seed)
    version = register_version(
        home,
        model=model,
        architecture=recipe.architecture,
        weights=home.store.put(weights_bytes(module)),
        recipe=home.store.put(recipe.canonical_bytes()),
        data_set=data_set,
        training_images=len(split.train),
    )
    deploy(home, version)
    return version


def load_scene(home: Home, model: str) -> Scene:
    """Load the model in service with its data.

    Raises:
        DataError: the manifest or an image changed since registration.
        MisuseError: no such model.
    """
    version = require_model(home, model).current
    registered, record = data_record(home, version.data_set)
    manifest = read_manifest(record.manifest)
    if manifest.digest != record.digest:
        raise DataError(f"{record.manifest} changed since it was registered; restore it")
    recipe = parse_recipe(home.store.get(version.recipe))
    images = load_images(manifest, recipe.input_size)
    split = split_by_patient(images, recipe, record.split_seed)
    erased = {
        subject
        for commitment in erased_payloads(home, model)
        for subject in json.loads(home.vault.open(commitment))["subjects"]
    }
    return Scene(
        version=version,
        recipe=recipe,
        images=images,
        split=split,
        training=tuple(i for i in split.train if images.subjects[i] not in erased),
        commitment=registered.commitment,
        folder=references_folder(home, version.weights),
    )


def load_module(home: Home, scene: Scene, weights: Digest) -> nn.Module:
    """A model of the scene's recipe from the store."""
    return load_weights(scene.recipe, home.store.get(weights))
