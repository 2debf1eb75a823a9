"""Everything one erasure works on, loaded once: recipe, images, split, model in service."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from auditor.domain.artefact import Digest
from auditor.domain.event import ModelRegistered
from auditor.errors import DataError, MisuseError
from auditor.learning.datasets import ImageSet, Split, load_images, split_by_patient
from auditor.learning.manifest import Manifest, read_manifest
from auditor.learning.order import batch_order
from auditor.learning.progress import Progress, silent
from auditor.learning.recipe import Recipe, parse_recipe
from auditor.learning.starting import require_drawn
from auditor.learning.training import train
from auditor.learning.trial import require_trainable
from auditor.learning.weights import convert_checkpoint, load_weights, weights_bytes
from auditor.unlearning.shelf import KnownModel
from auditor.verification.repeatable import require_repeatable
from auditor.workflow.audit.auditable import lacking_in
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.guard import require_writable
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.registry import (
    DataRecord,
    data_record,
    deploy,
    find_model,
    register_data,
    register_version,
    require_model,
)
from auditor.workflow.homes.starts import require_start
from auditor.workflow.models.curvature_book import known_model
from auditor.workflow.models.deployment import require_not_replaced
from auditor.workflow.models.exclusion import excluded_rows, require_admitted
from auditor.workflow.models.left_behind import references_folder
from auditor.workflow.models.lineage import settled
from auditor.workflow.models.pseudonymising import pseudonyms_of
from auditor.workflow.models.training_book import CheckpointShelf, record_training, seal_seed

Notice = Callable[[str], None]

_SEED_BITS = 48
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One model, its data and its recipe.

    Attributes:
        version: the registered version in service.
        split: as it was drawn; whoever had a request settled is in neither validation nor test.
        training: indices of the images that version was trained on (earlier erasures left out).
        commitment: the ledger's to the data set; ``data`` is the data set's own digest.
        folder: where reference models of this scene are kept while they are needed.
        known: the version as the unlearning methods know it.
    """

    version: ModelRegistered
    recipe: Recipe
    images: ImageSet
    split: Split
    training: tuple[int, ...]
    commitment: Digest
    folder: Path
    known: KnownModel | None = None
    data: Digest | None = None

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
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[: _SEED_BITS // 8], "big")


def train_and_register(
    home: Home,
    *,
    model: str,
    manifest: Path,
    recipe: Recipe,
    notice: Notice,
    progress: Progress = silent,
    leave_out_excluded: bool = False,
    seed: int | None = None,
) -> ModelRegistered:
    """Train a model by its recipe, put data, recipe and weights on the books and deploy it.

    The training is recorded, so that it can be gone back to (`auditor.unlearning.rewind`).

    Args:
        leave_out_excluded: go on without the images of patients who must not be trained on.
        seed: of the training, and of the split where the manifest has none; by default drawn by
            chance. Never derived from the data: of a patient who is erased later nothing may be
            left in what the others' images are made into.

    Raises:
        MisuseError: a name that is no short token, or one that is taken.
        DataError, ModelError: data or recipe can't be used, or the data show a patient who must not
            be trained on, or the network starts from weights that nobody vouches for or can't be
            trained; the ledger is as it was.
        EvidenceError: a network that can't be audited, as its answers aren't an image's own.
        HomeError: another process trains or unlearns in this home.
        TamperedError: the ledger is read-only.
    """
    with alone(home):
        require_writable(home.root, home.ledger)
        _require_sound(home, recipe)
        loaded = _admitted(home, model, manifest, notice, leave_out=leave_out_excluded)
        drawn = secrets.randbits(_SEED_BITS) if seed is None else seed
        intake = _intake(home, loaded, recipe, drawn, notice)
        weights = _train(home, model, intake, recipe, drawn, progress)
        return _enter(home, model, intake, recipe, weights)


def register_trained(
    home: Home, *, model: str, manifest: Path, recipe: Recipe, weights: Path, notice: Notice
) -> ModelRegistered:
    """Put a model on the books that was trained elsewhere, by the recipe its owner declares.

    Whether the recipe describes it is measured at its first audit; until then it is a claim. Which
    images it was trained on its owner says, too: nobody else knows whom it has to forget.

    Raises:
        ModelError: weights that would need unpickling, hold NaN, or don't fit the recipe, or a
            network that starts from weights that nobody vouches for or can't be trained.
        MisuseError, DataError: as `train_and_register`, or weights that an erasure has replaced, or
            a manifest that doesn't say which images are the training's.
        EvidenceError: as `train_and_register`.
    """
    content = convert_checkpoint(weights)
    require_not_replaced(home, Digest.of(content), str(weights))
    _require_sound(home, recipe)
    module = load_weights(recipe, content)
    loaded = _admitted(home, model, manifest, notice, leave_out=False)
    _require_split(loaded.manifest)
    intake = _intake(home, loaded, recipe, 0, notice)  # nothing is drawn: it says its split itself
    require_repeatable(module, intake.images.images, intake.images.labels)
    return _enter(home, model, intake, recipe, content)


def _require_sound(home: Home, recipe: Recipe) -> None:
    """See that a recipe's network can be trained, from nothing but what is drawn or vouched for."""
    require_start(home, recipe)
    require_trainable(recipe)
    require_drawn(recipe)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Intake:
    """A data set, read and divided, not yet on the books."""

    name: str
    record: DataRecord
    images: ImageSet
    split: Split
    synthetic: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Admitted:
    """A manifest without the rows that must not be trained on."""

    manifest: Manifest
    left_out: tuple[int, ...]


def _admitted(home: Home, model: str, path: Path, notice: Notice, *, leave_out: bool) -> _Admitted:
    if not _NAME.fullmatch(model):
        raise MisuseError("a model's name is 1 to 64 letters, digits, dots, dashes or underscores")
    if find_model(home, model) is not None:
        raise MisuseError(f"a model named {model} is registered already; choose another name")
    loaded = read_manifest(path)
    for line in loaded.notices:
        notice(f"{path}: {line}")
    if not leave_out:
        require_admitted(home, loaded)
        return _Admitted(manifest=loaded, left_out=())
    rows = excluded_rows(home, loaded)
    notice(f"{path}: {len(rows)} images of patients who must not be trained on are left out")
    return _Admitted(manifest=read_manifest(path, rows), left_out=rows)


def _require_split(manifest: Manifest) -> None:
    if not any(row.split == "train" for row in manifest.rows):
        raise DataError(
            f"{manifest.path}: nothing says which images the model was trained on; give every row "
            "a split, train for those, validation or test for images it never saw"
        )


def _intake(home: Home, admitted: _Admitted, recipe: Recipe, seed: int, notice: Notice) -> _Intake:
    loaded = admitted.manifest
    images = load_images(loaded, recipe.input_size)
    if int(images.labels.max()) >= recipe.classes:
        raise DataError(f"{loaded.path}: a label beyond the recipe's {recipe.classes} classes")
    name = f"data-{loaded.digest.value[:12]}"
    known = data_record(home, name)[1] if home.ledger.version(f"data:{name}") else None
    record = DataRecord(
        manifest=loaded.path.resolve(),
        digest=loaded.digest,
        size=recipe.input_size,
        split_seed=derive_seed("split", seed) if known is None else known.split_seed,
        left_out=admitted.left_out,
        pseudonyms=pseudonyms_of(home, loaded),
    )
    split = split_by_patient(images, recipe, record.split_seed)
    if lack := lacking_in(images, split, split.train):
        notice(f"{loaded.path}: no erasure from this model can be audited: {lack}")
    return _Intake(
        name=name,
        record=record,
        images=images,
        split=split,
        synthetic=loaded.synthetic,
    )


def _train(
    home: Home, model: str, intake: _Intake, recipe: Recipe, seed: int, progress: Progress
) -> bytes:
    """Train, and say how on the books, before the weights are a version of anything."""
    images, indices = intake.images, intake.split.train
    shelf = CheckpointShelf(home)
    module = train(recipe, images, indices, seed, keeping=shelf.keeping, progress=progress)
    require_repeatable(module, images.images, images.labels)
    content = weights_bytes(module)
    record_training(
        home,
        model=model,
        weights=Digest.of(content),
        order=seal_seed(home, model, seed),
        steps=len(batch_order(recipe, images.subjects, indices, seed).steps),
        checkpoints=shelf.saved,
        step=f"trained-{Digest.of(content).value}",
    )
    return content


def _enter(
    home: Home, model: str, intake: _Intake, recipe: Recipe, weights: bytes
) -> ModelRegistered:
    if not home.ledger.replay(f"data:{intake.name}"):
        subjects = intake.images.subjects
        register_data(
            home,
            intake.name,
            intake.record,
            counts=(len(subjects), len(set(subjects))),
            synthetic=intake.synthetic,
        )
    version = register_version(
        home,
        model=model,
        architecture=recipe.architecture,
        weights=home.store.put(weights),
        recipe=home.store.put(recipe.canonical_bytes()),
        data_set=intake.name,
        training_images=len(intake.split.train),
    )
    deploy(home, version)
    return version


def load_scene(home: Home, model: str, *, asking: str = "") -> Scene:
    """Load the model in service with its data.

    Args:
        asking: a case whose own patients are there still, even where its verdict is reached.

    Raises:
        DataError: the manifest or an image changed since registration.
        MisuseError: no such model.
    """
    version = require_model(home, model).current
    registered, record = data_record(home, version.data_set)
    manifest = read_manifest(record.manifest, record.left_out)
    if manifest.digest != record.digest:
        raise DataError(
            f"{record.manifest} changed since it was registered; restore it (one with a "
            "probable_patient_group that an earlier version registered is to be registered anew)"
        )
    recipe = parse_recipe(home.store.get(version.recipe), home.config.factories, home.store.root)
    images = load_images(manifest, recipe.input_size)
    split = split_by_patient(images, recipe, record.split_seed)
    others = (item.subjects for item in settled(home, model) if item.case != asking)
    gone = images.patients_of({name for subjects in others for name in subjects})

    def left(part: Sequence[int]) -> tuple[int, ...]:
        return tuple(i for i in part if images.subjects[i] not in gone)

    training = left(split.train)
    return Scene(
        version=version,
        recipe=recipe,
        images=images,
        split=replace(split, validation=left(split.validation), test=left(split.test)),
        training=training,
        commitment=registered.commitment,
        folder=references_folder(home, version.weights),
        known=known_model(home, version, data=registered.commitment, training=training),
        data=record.digest,
    )


def load_module(home: Home, scene: Scene, weights: Digest) -> nn.Module:
    """A model of the scene's recipe from the store."""
    return load_weights(scene.recipe, home.store.get(weights))


def require_auditable(home: Home, scene: Scene) -> None:
    """See that the model in service can be audited, before references are trained for it.

    Raises:
        EvidenceError: its answers aren't an image's own.
    """
    module = load_module(home, scene, scene.version.weights)
    require_repeatable(module, scene.images.images, scene.images.labels)
