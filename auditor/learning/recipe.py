"""Recipes: what a model is trained by, everything but the seed.

A recipe is a small TOML file; two models trained by the same recipe on the same images differ by
their seed alone, which is what makes reference models references.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field, fields
from pathlib import Path

from auditor.domain.artefact import Digest
from auditor.domain.canonical import Canonical, canonical_bytes
from auditor.domain.codec import plain, typed
from auditor.errors import ModelError
from auditor.given import read_given


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a model is built, trained and its data divided.

    Attributes:
        architecture: ``small-resnet``, a torchvision classification model, or one of ``factories``.
        input_size: side of the square input in pixels.
        width: channels of the small ResNet's first stage.
        train_images: about how many images to train on; patients beyond it are never seen.
        validation_share: share of the patients left over that calibrate methods; the rest test.
        slices: parts that the patients are dealt into and that the training takes in one after
            the other, so that a patient of a late part was seen late (`batch_order`); 1 for all at
            once.
        starts_from: digest of weights of before that every training starts from, all but the head
            (`auditor.learning.start`); "" where all are drawn from the seed.
        factories: what ``module:factory`` the reader's home lets its models be built by. Not part
            of what the recipe is: a recipe can't allow itself anything.
        store: folder of the store where those weights lie; no part of what the recipe is either.
    """

    architecture: str = "small-resnet"
    input_size: int = 32
    classes: int = 2
    width: int = 16
    epochs: int = 12
    batch_size: int = 5
    learning_rate: float = 0.0025
    weight_decay: float = 0.0001
    train_images: int = 150
    validation_share: float = 0.25
    slices: int = 1
    starts_from: str = ""
    factories: tuple[str, ...] = field(default=(), compare=False)
    store: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        positive = (self.input_size, self.width, self.epochs, self.batch_size, self.train_images)
        if min(*positive, self.slices) < 1 or self.classes < 2:
            raise ModelError("a recipe's sizes are at least 1, its classes at least 2")
        if self.width % 4:
            raise ModelError("width is a multiple of 4, the number of normalisation groups")
        if not (0 < self.learning_rate < 1 and 0 <= self.weight_decay < 1):
            raise ModelError("learning_rate lies in (0, 1), weight_decay in [0, 1)")
        if not 0 < self.validation_share < 1:
            raise ModelError("validation_share lies in (0, 1)")
        if self.starts_from:
            _require_digest(self.starts_from)

    def canonical_bytes(self) -> bytes:
        """Bytes the digest is taken over; `parse_recipe` reads them back."""
        plain_ones = {name for name, value in _LATER.items() if getattr(self, name) == value}
        return canonical_bytes(_table(self, leave_out=plain_ones))

    @property
    def digest(self) -> Digest:
        """Identity of the recipe."""
        return Digest.of(self.canonical_bytes())


NOWHERE = Path()
"""The store of whoever starts from no weights of before."""

_LARGEST = 1 << 20  # bytes of a recipe
_LATER: Mapping[str, object] = {"slices": 1, "starts_from": ""}
"""Keys that recipes of before lack, with what they mean; such recipes keep their bytes."""

QUICK = Recipe()
FULL = Recipe(
    architecture="resnet18",
    input_size=128,
    epochs=15,
    batch_size=32,
    learning_rate=0.001,
    train_images=10_000,
)


def parse_recipe(data: bytes, factories: Collection[str] = (), store: Path = NOWHERE) -> Recipe:
    """Read what `Recipe.canonical_bytes` wrote.

    Args:
        factories: that models may be built by here.
        store: folder of the store where weights to start from lie.

    Raises:
        ModelError: not a recipe.
    """
    try:
        return _recipe({**_LATER, **json.loads(data)}, factories, store)
    except (ValueError, TypeError) as error:
        raise ModelError(f"not a recipe: {error}") from None


def read_recipe(path: Path, factories: Collection[str] = (), store: Path = NOWHERE) -> Recipe:
    """Read a recipe file (TOML); keys left out keep the quick recipe's values.

    Args:
        factories: that models may be built by here.
        store: folder of the store where weights to start from lie.

    Raises:
        ModelError: unreadable, not TOML, an unknown key or a value of the wrong type.
    """
    try:
        table = tomllib.loads(read_given(path, _LARGEST).decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"can't read recipe {path}: {error}") from None
    known = _table(QUICK)
    if unknown := sorted(set(table) - set(known)):
        raise ModelError(f"{path}: unknown key {unknown[0]}; known are {', '.join(sorted(known))}")
    try:
        given = {key: plain(value) for key, value in table.items()}
        return _recipe({**known, **given}, factories, store)
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path}: {error}") from None


def _table(recipe: Recipe, leave_out: Set[str] = frozenset()) -> dict[str, Canonical]:
    names = {item.name for item in fields(Recipe) if item.compare} - leave_out
    return {name: plain(getattr(recipe, name)) for name in names}


def _recipe(table: Mapping[str, object], factories: Collection[str], store: Path) -> Recipe:
    if "factories" in table:
        raise ValueError("unknown key factories; a home allows them, in its settings")
    if "store" in table:
        raise ValueError("unknown key store")
    return typed(Recipe, {**table, "factories": list(factories), "store": str(store)})


def _require_digest(text: str) -> None:
    try:
        Digest.parse(text)
    except ValueError:
        raise ModelError(
            "starts_from is sha256: and 64 digits, as `auditor model start list` shows them"
        ) from None
