"""Data sets: the images of a manifest in memory, split by patient."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from auditor.domain.subject_id import alike
from auditor.errors import DataError
from auditor.learning.manifest import SPLITS, Manifest
from auditor.learning.patients import known_as
from auditor.learning.pictures import read_grey
from auditor.learning.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageSet:
    """Images in memory: float32 (n, 1, size, size), each standardised; labels int64 (n,).

    Attributes:
        subjects: patients.
        filed_under: subject ids as the hospital knows them; none means the same as ``subjects``.
        groups: ids that are probably one patient's; none means that there are no such.
        rows: numbers of the manifest's rows.
    """

    images: Tensor
    labels: Tensor
    subjects: tuple[str, ...]
    sites: tuple[str, ...]
    sexes: tuple[str, ...]
    ages: tuple[str, ...]
    splits: tuple[str, ...]
    filed_under: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()

    def patients_of(self, asked: Collection[str]) -> frozenset[str]:
        """Patients meant by these ids, whatever case and width their letters have (`known_as`)."""
        ids, groups = self.filed_under or self.subjects, self.groups or [""] * len(self.subjects)
        patients = known_as(zip(self.subjects, ids, groups, strict=True))
        return frozenset(patients[name] for name in map(alike, asked) if name in patients)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Image indices; no patient stands in two parts."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    @property
    def held_out(self) -> tuple[int, ...]:
        """Images that no training sees."""
        return (*self.validation, *self.test)


def load_images(manifest: Manifest, size: int) -> ImageSet:
    """Decode, resize and standardise every image of a manifest.

    Raises:
        DataError: an image can't be decoded or holds one grey value only.
    """
    pictures = []
    for row in manifest.rows:
        picture = torch.from_numpy(read_grey(row.path, size, f"{manifest.path} row {row.number}"))
        spread = picture.std()
        if not bool(spread > 0):
            raise DataError(f"{manifest.path} row {row.number}: the image is one flat grey")
        pictures.append((picture - picture.mean()) / spread)
    return ImageSet(
        images=torch.stack(pictures)[:, None],
        labels=torch.tensor([row.label for row in manifest.rows]),
        subjects=tuple(row.subject for row in manifest.rows),
        sites=tuple(row.site for row in manifest.rows),
        sexes=tuple(row.sex for row in manifest.rows),
        ages=tuple(row.age for row in manifest.rows),
        splits=tuple(row.split for row in manifest.rows),
        filed_under=tuple(row.filed_under for row in manifest.rows),
        groups=tuple(row.group for row in manifest.rows),
        rows=tuple(row.number for row in manifest.rows),
    )


def split_by_patient(images: ImageSet, recipe: Recipe, seed: int) -> Split:
    """The manifest's own split, else a seeded one by patient, stratified by label and site.

    Training patients are drawn until the recipe's number of images is reached (at most half of
    all images); of the patients left, the recipe's share validates and the rest test.
    """
    if any(images.splits):
        return Split(
            **{
                name: tuple(i for i, split in enumerate(images.splits) if split == name)
                for name in SPLITS
            }
        )
    patients = _interleaved(images, seed)
    sizes = dict.fromkeys(patients, 0)
    for subject in images.subjects:
        sizes[subject] += 1
    wanted = min(recipe.train_images, len(images.subjects) // 2)
    taken = 0
    train: list[str] = []
    while taken < wanted and patients:
        train.append(patients.pop(0))
        taken += sizes[train[-1]]
    cut = round(len(patients) * recipe.validation_share)
    parts = {"train": set(train), "validation": set(patients[:cut]), "test": set(patients[cut:])}
    return Split(
        **{
            name: tuple(i for i, subject in enumerate(images.subjects) if subject in chosen)
            for name, chosen in parts.items()
        }
    )


def _interleaved(images: ImageSet, seed: int) -> list[str]:
    """Patients in a seeded order in which every prefix keeps the mix of labels and sites."""
    strata: dict[tuple[int, str], list[str]] = {}
    seen: set[str] = set()
    for index, subject in enumerate(images.subjects):
        if subject not in seen:
            seen.add(subject)
            key = (int(images.labels[index]), images.sites[index])
            strata.setdefault(key, []).append(subject)
    order = random.Random(seed)
    placed: list[tuple[float, str]] = []
    for key in sorted(strata):
        members = sorted(strata[key])
        order.shuffle(members)
        start = order.random()
        placed += [((rank + start) / len(members), name) for rank, name in enumerate(members)]
    return [name for _, name in sorted(placed)]
