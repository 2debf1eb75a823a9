"""Who is one patient, whom a name means, and that a data set is another once ids are swapped."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from auditor.domain.artefact import Digest, digest_of
from auditor.domain.canonical import Canonical
from auditor.errors import DataError
from auditor.learning.datasets import load_images, split_by_patient
from auditor.learning.manifest import Manifest, read_manifest
from auditor.learning.patients import known_as, named_patients
from auditor.learning.recipe import Recipe
from tests.pictures import lines_of, write

RECIPE = Recipe(input_size=28, width=4, train_images=12)


def manifest_of(folder: Path, *changes: tuple[int, str, str]) -> Manifest:
    """Twelve patients of two pictures each; changed are cells of rows, by number from 0."""
    lines = [{**line, "probable_patient_group": ""} for line in lines_of(folder, 12)]
    for row, column, value in changes:
        lines[row][column] = value
    return read_manifest(write(folder, lines))


def meant(manifest: Manifest, name: str) -> list[int]:
    images = load_images(manifest, 16)
    patients = images.patients_of([name])
    return [at for at, patient in enumerate(images.subjects) if patient in patients]


GROUP = "probable_patient_group"


def test_a_group_on_some_rows_of_an_id_holds_for_all_of_them(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, (0, GROUP, "pair"), (2, GROUP, "pair"))
    for name in ("p0", "p1", "pair"):
        assert meant(manifest, name) == [0, 1, 2, 3]
    images = load_images(manifest, 16)
    for seed in range(20):
        split = split_by_patient(images, RECIPE, seed)
        parts = [part for part in (split.train, split.validation, split.test) if {0, 3} & {*part}]
        assert len(parts) == 1 and {0, 1, 2, 3} <= {*parts[0]}


def test_what_hangs_together_by_several_groups_and_spellings_is_one_patient() -> None:
    filings = [("a", "g"), ("b", "G "), ("B", "h"), ("c", "h"), ("d", ""), ("e", "i"), ("", "i")]
    assert named_patients(filings) == ("g", "g", "g", "g", "d", "i", "i")
    assert named_patients([("A1", ""), ("a1", ""), ("\uff211", "")]) == ("A1",) * 3


def test_an_id_does_not_mean_a_group_of_that_name(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, (4, GROUP, "p5"), (6, GROUP, "P5"))
    assert meant(manifest, "p5") == [10, 11]
    assert meant(manifest, "p2") == meant(manifest, "p3") == [4, 5, 6, 7]
    assert len({row.subject for row in manifest.rows}) == 11


def test_patients_are_told_apart_just_as_their_rows_hang_together() -> None:
    draw = random.Random(3)
    for _ in range(200):
        filings = [
            (str(draw.randrange(12)), draw.choice(["", "", *map(str, range(8))]))
            for _ in range(draw.randrange(2, 20))
        ]
        found = named_patients(filings)
        near = [{b for b, other in enumerate(filings) if linked(one, other)} for one in filings]
        for start, patient in enumerate(found):
            reached: set[int] = set()
            ahead = {start}
            while ahead:
                reached |= ahead
                ahead = set().union(*(near[at] for at in ahead)) - reached
            assert {at for at, name in enumerate(found) if name == patient} == reached
        known = known_as([(name, *filing) for name, filing in zip(found, filings, strict=True)])
        assert all(known[name] == found[at] for at, (name, _) in enumerate(filings))


def linked(one: Sequence[str], other: Sequence[str]) -> bool:
    return one[0] == other[0] or one[1] == other[1] != ""


def test_one_patient_under_two_spellings_stands_in_one_part(tmp_path: Path) -> None:
    lines = lines_of(tmp_path, 12)
    for number, line in enumerate(lines):
        line["split"] = "train" if number < 13 else "test"
    lines[13]["split"], lines[13]["subject_id"] = "test", "P6"
    with pytest.raises(DataError, match="rows 14 and 15: one patient in two splits"):
        read_manifest(write(tmp_path, lines))


def test_swapped_ids_inside_a_group_make_another_data_set(tmp_path: Path) -> None:
    groups = tuple((row, GROUP, "pair") for row in range(4))
    before = manifest_of(tmp_path, *groups)
    swapped = manifest_of(tmp_path, *groups, (1, "subject_id", "p1"), (2, "subject_id", "p0"))
    assert [row.subject for row in before.rows] == [row.subject for row in swapped.rows]
    assert before.digest != swapped.digest


def test_without_groups_the_digest_is_what_it_was(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path)
    listing: list[Canonical] = [
        [digest(row.path), row.subject, row.label, row.split, row.site, row.sex, row.age]
        for row in manifest.rows
    ]
    assert manifest.digest == digest_of(listing)


def digest(path: Path) -> str:
    return Digest.of(path.read_bytes()).value
