"""The manifest of a data set: a CSV over image files, read strictly. Needs no engine.

Columns ``image_path,subject_id,label`` are required; ``split,site,sex,age`` are used where
present; rows of one ``subject_id`` or one ``probable_patient_group`` are one patient; rows with
``augmented=1`` are left out; ``synthetic=1`` marks drawn images; both are 0, 1 or empty. Everything
else is ignored with one notice. A column that stands twice, and a row of more or fewer cells than
there are columns, would be read as something else than was meant, and is refused. Errors name file
and row, never a patient.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from io import TextIOWrapper
from pathlib import Path

from auditor.domain.artefact import Digest, digest_of
from auditor.domain.canonical import Canonical
from auditor.domain.printable import flaw_of
from auditor.errors import DataError
from auditor.given import open_given, read_given
from auditor.learning.patients import named_patients

_REQUIRED = ("image_path", "subject_id", "label")
_USED = frozenset(
    (*_REQUIRED, "split", "site", "sex", "age", "probable_patient_group", "augmented", "synthetic")
)
_FLAGS = ("augmented", "synthetic")
_LONGEST_LABEL = 6  # digits
SPLITS = ("train", "validation", "test")
_FORMAT_WITH_GROUPS = 2
"""Of the digest where a patient isn't told by the text of ``subject_id`` alone; before, ids weren't
in it there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One usable image of a manifest; ``number`` counts the file's lines from 1.

    ``subject`` is the patient (`auditor.learning.patients`), ``filed_under`` the ``subject_id`` and
    ``group`` the ``probable_patient_group``.
    """

    number: int
    path: Path
    subject: str
    filed_under: str
    group: str
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


def read_manifest(path: Path, left_out: Collection[int] = ()) -> Manifest:
    """Read a manifest and hash the images it names.

    Args:
        left_out: numbers of rows that are passed over.

    Raises:
        DataError: anything that would make the data set mean something else than it says.
    """
    columns, entries = _read(path)
    rows = _rows(path, entries, left_out)
    ignored = [name for name in columns if name not in _USED]
    return Manifest(
        path=path,
        rows=rows,
        digest=_digest(path, rows),
        notices=(f"columns ignored: {', '.join(ignored)}",) if ignored else (),
        synthetic=any(_cell(entry, "synthetic") == "1" for _, entry in entries),
    )


def read_rows(path: Path, left_out: Collection[int] = ()) -> tuple[Row, ...]:
    """The rows of a manifest; no image is opened.

    Raises:
        DataError: as `read_manifest`.
    """
    return _rows(path, _read(path)[1], left_out)


def _read(path: Path) -> tuple[Sequence[str], Sequence[tuple[int, Mapping[str, str | None]]]]:
    """Columns, and each entry with the number of its line."""
    try:
        with TextIOWrapper(open_given(path), encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = tuple(reader.fieldnames or ())
            entries = [(reader.line_num, entry) for entry in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"can't read manifest {path}: {error}") from None
    if missing := [name for name in _REQUIRED if name not in columns]:
        raise DataError(f"{path}: column {missing[0]} is missing")
    if twice := [name for name in columns if name in _USED and columns.count(name) > 1]:
        raise DataError(f"{path}: column {twice[0]} stands twice; keep one of them")
    for number, entry in entries:
        if flaw := _flaw_of(entry):
            raise DataError(f"{path} row {number}: {flaw}")
    return columns, entries


def _flaw_of(entry: Mapping[str, str | None]) -> str:
    """Why an entry may mean something else than it says, or ""."""
    if None in entry or None in entry.values():  # csv's own mark of both
        return "more or fewer cells than columns; put quotes round cells that hold a comma"
    unclear = [name for name in _FLAGS if _cell(entry, name) not in ("", "0", "1")]
    return f"{unclear[0]} must be 0 or 1, or empty for 0" if unclear else ""


def _rows(
    path: Path,
    entries: Sequence[tuple[int, Mapping[str, str | None]]],
    left_out: Collection[int],
) -> tuple[Row, ...]:
    filings = [
        (_cell(entry, "subject_id"), _cell(entry, "probable_patient_group")) for _, entry in entries
    ]
    rows = tuple(
        replace(_row(path, number, entry), subject=patient)
        for (number, entry), patient in zip(entries, named_patients(filings), strict=True)
        if _cell(entry, "augmented") != "1" and number not in left_out
    )
    _check(path, rows)
    return rows


def _cell(entry: Mapping[str, str | None], name: str) -> str:
    return (entry.get(name) or "").strip()


def _row(manifest: Path, number: int, entry: Mapping[str, str | None]) -> Row:
    where = f"{manifest} row {number}"
    value = {name: _cell(entry, name) for name in _USED}
    if empty := [name for name in _REQUIRED if not value[name]]:
        raise DataError(f"{where}: {empty[0]} is empty")
    label = value["label"]
    if not (label.isascii() and label.isdigit() and len(label) <= _LONGEST_LABEL):
        raise DataError(f"{where}: label must be a class number 0, 1, ...; found something else")
    if value["split"] and value["split"] not in SPLITS:
        raise DataError(f"{where}: split must be one of {', '.join(SPLITS)}")
    for name in ("site", "sex"):  # they name subgroups on the certificate
        if value[name] and (flaw := flaw_of(value[name])):
            raise DataError(f"{where}: {name} {flaw}")
    folder = manifest.parent.resolve()
    try:
        path = (folder / value["image_path"]).resolve()
    except (OSError, ValueError, RuntimeError):  # no name of a file, or links in a ring
        raise DataError(f"{where}: image_path leads to no file") from None
    if not path.is_relative_to(folder):
        raise DataError(f"{where}: image_path leads out of the manifest's folder")
    return Row(
        number=number,
        path=path,
        subject=value["subject_id"],
        filed_under=value["subject_id"],
        group=value["probable_patient_group"],
        label=int(label),
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
            digest = hashlib.sha256(read_given(row.path)).hexdigest()
        except OSError as error:
            raise DataError(
                f"{path} row {row.number}: can't read the image: {error.strerror}"
            ) from None
        if digest in seen:
            raise DataError(f"{path} rows {seen[digest]} and {row.number}: the same image twice")
        seen[digest] = row.number
        listing.append([digest, row.subject, row.label, row.split, row.site, row.sex, row.age])
    if all(row.subject == row.filed_under and not row.group for row in rows):
        return digest_of(listing)
    filed = [[row.filed_under, row.group] for row in rows]
    return digest_of({"filed": filed, "format": _FORMAT_WITH_GROUPS, "rows": listing})
