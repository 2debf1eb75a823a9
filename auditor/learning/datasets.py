"""Data sets: a CSV manifest over image files, read strictly, split by patient.

Columns ``image_path,subject_id,label`` are required; ``split,site,sex,age`` are used where
present; ``probable_patient_group``, where filled, overrides ``subject_id``; rows with
``augmented=1`` are left out; ``synthetic=1`` marks drawn images. Everything else is ignored with
one notice. Errors name file and row, never a patient.
"""

from __future__ import annotations

import csv
import hashlib
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from auditor.domain.artefact import Digest, digest_of
from auditor.domain.canonical import Canonical
from auditor.domain.printable import flaw_of
from auditor.errors import DataError
from auditor.learning.pictures import read_grey
from auditor.learning.recipe import Recipe

_REQUIRED = ("image_path", "subject_id", "label")
_USED = frozenset(
    (*_REQUIRED, "split", "site", "sex", "age", "probable_patient_group", "augmented", "synthetic")
)
_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One usable image of a manifest; ``number`` counts the file's lines from 1.

    ``subject`` is the patient, ``filed_under`` the ``subject_id`` column, which may be another.
    """

    number: int
    path: Path
    subject: str
    filed_under: str
    label: int
    split: str
    site: str
    sex: str
    age: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A data set as its manifest tells it.

    Attributes:
        digest: over every used row and the bytes of its image.
        notices: what a user should know, a sentence each.
    """

    path: Path
    rows: tuple[Row, ...]
    digest: Digest
    notices: tuple[str, ...]
    synthetic: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageSet:
    """Images in memory: float32 (n, 1, size, size), each standardised; labels int64 (n,).

    Attributes:
        subjects: patients, by group where the manifest names one.
        filed_under: subject ids as the hospital knows them; none means the same as ``subjects``.
    """

    images: Tensor
    labels: Tensor
    subjects: tuple[str, ...]
    sites: tuple[str, ...]
    sexes: tuple[str, ...]
    ages: tuple[str, ...]
    splits: tuple[str, ...]
    filed_under: tuple[str, ...] = ()

    def patients_of(self, asked: Collection[str]) -> frozenset[str]:
        """Patients meant by these ids, be they of patients or of what images are filed under."""
        filed = zip(self.subjects, self.filed_under or self.subjects, strict=True)
        return frozenset(patient for patient, name in filed if patient in asked or name in asked)


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


def read_manifest(path: Path, left_out: Collection[int] = ()) -> Manifest:
    """Read a manifest and hash the images it names.

    Args:
        left_out: numbers of rows that are passed over.

    Raises:
        DataError: anything that would make the data set mean something else than it says.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            columns = tuple(reader.fieldnames or ())
            entries = [(reader.line_num, entry) for entry in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"can't read manifest {path}: {error}") from None
    if missing := [name for name in _REQUIRED if name not in columns]:
        raise DataError(f"{path}: column {missing[0]} is missing")
    rows = tuple(
        _row(path, number, entry)
        for number, entry in entries
        if (entry.get("augmented") or "0") != "1" and number not in left_out
    )
    _check(path, rows)
    ignored = [name for name in columns if name not in _USED]
    return Manifest(
        path=path,
        rows=rows,
        digest=_digest(path, rows),
        notices=(f"columns ignored: {', '.join(ignored)}",) if ignored else (),
        synthetic=any(entry.get("synthetic") == "1" for _, entry in entries),
    )


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
                for name in _SPLITS
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


def _row(manifest: Path, number: int, entry: Mapping[str, str | None]) -> Row:
    where = f"{manifest} row {number}"
    value = {name: (entry.get(name) or "").strip() for name in _USED}
    if empty := [name for name in _REQUIRED if not value[name]]:
        raise DataError(f"{where}: {empty[0]} is empty")
    if not (value["label"].isascii() and value["label"].isdigit()):
        raise DataError(f"{where}: label must be a class number 0, 1, ...; found something else")
    if value["split"] and value["split"] not in _SPLITS:
        raise DataError(f"{where}: split must be one of {', '.join(_SPLITS)}")
    for name in ("site", "sex"):  # they name subgroups on the certificate
        if value[name] and (flaw := flaw_of(value[name])):
            raise DataError(f"{where}: {name} {flaw}")
    folder = manifest.parent.resolve()
    path = (folder / value["image_path"]).resolve()
    if not path.is_relative_to(folder):
        raise DataError(f"{where}: image_path leads out of the manifest's folder")
    return Row(
        number=number,
        path=path,
        subject=value["probable_patient_group"] or value["subject_id"],
        filed_under=value["subject_id"],
        label=int(value["label"]),
        split=value["split"],
        site=value["site"],
        sex=value["sex"],
        age=value["age"],
    )


def _check(path: Path, rows: Sequence[Row]) -> None:
    if len({row.label for row in rows}) < 2:
        raise DataError(f"{path}: one class only; a detector needs images of at least two labels")
    if any(row.split for row in rows) and not all(row.split for row in rows):
        raise DataError(f"{path}: some rows have a split and some have none")
    first: dict[str, Row] = {}
    for row in rows:
        earlier = first.setdefault(row.subject, row)
        if earlier.split != row.split:
            raise DataError(
                f"{path} rows {earlier.number} and {row.number}: one patient in two splits, "
                f"{earlier.split} and {row.split}"
            )


def _digest(path: Path, rows: Sequence[Row]) -> Digest:
    seen: dict[str, int] = {}
    listing: list[Canonical] = []
    for row in rows:
        try:
            digest = hashlib.sha256(row.path.read_bytes()).hexdigest()
        except OSError as error:
            raise DataError(
                f"{path} row {row.number}: can't read the image: {error.strerror}"
            ) from None
        if digest in seen:
            raise DataError(f"{path} rows {seen[digest]} and {row.number}: the same image twice")
        seen[digest] = row.number
        listing.append([digest, row.subject, row.label, row.split, row.site, row.sex, row.age])
    return digest_of(listing)
