"""Events of data sets and models; `auditor.domain.event` is where all kinds are found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.artefact import Digest
from auditor.domain.kind import Event, named


@named("data-registered/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class DataRegistered(Event):
    """A data set; `commitment` is SHA-256(nonce || manifest), the nonce stays in the vault."""

    data_set: str
    commitment: Digest
    images: int
    patients: int
    synthetic: str


@named("model-registered/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRegistered(Event):
    """A trained model by digest, with the recipe and data it was trained by."""

    model: str
    version: int
    architecture: str
    weights: Digest
    recipe: Digest
    data_set: str
    training_images: int


@named("training-recorded/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecorded(Event):
    """How weights were trained here, so that the training can be gone back to.

    `order` is SHA-256(nonce || seed) of the batch order, the nonce stays in the vault;
    `checkpoints` is the digest of the list of those kept, of a training of `steps` steps.
    """

    model: str
    weights: Digest
    order: Digest
    steps: int
    checkpoints: Digest


@named("model-deployed/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDeployed(Event):
    """These weights went into service."""

    model: str
    version: int
    weights: Digest


@named("model-retired/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRetired(Event):
    """These weights went out of service."""

    model: str
    version: int
    weights: Digest


@named("curvature-cached/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class CurvatureCached(Event):
    """A version's curvature is kept for later requests; `images` counts what it was made of.

    Written before `cache`, a digest of its bytes, is in the store. `key` is a digest over weights,
    recipe, data and settings.
    """

    model: str
    weights: Digest
    key: Digest
    cache: Digest
    images: int


class MadeOf(StrEnum):
    """What weights that a training starts from were made of, as the controller declares."""

    OTHER_THINGS = "images-of-other-things"
    """No pictures of patients, such as ImageNet."""
    OTHER_PATIENTS = "images-of-patients-elsewhere"
    """Pictures of patients, none of them the controller's own."""


@named("starting-weights-declared/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class StartingWeightsDeclared(Event):
    """The controller declares that weights to start from hold nobody whose images it trains on.

    Nobody can see that in them: it is the controller's word, and told on every document.
    """

    weights: Digest
    called: str
    made_of: MadeOf
    actor: str


@named("starting-weights-withdrawn/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class StartingWeightsWithdrawn(Event):
    """The controller doesn't declare that any more; nothing is trained from them."""

    weights: Digest
    actor: str
