"""A study's UID finds its patient; the ledger, the store and every error know no UID."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from auditor.errors import AuditorError, DataError, HomeError, MisuseError
from auditor.learning.phantoms import draw_phantoms
from auditor.learning.pictures import read_grey
from auditor.workflow.audit.scene import load_scene, train_and_register
from auditor.workflow.desk.desk import subjects_of
from auditor.workflow.homes.home import Home, create_home, open_home
from auditor.workflow.homes.record import load_case
from auditor.workflow.homes.registry import data_record
from auditor.workflow.models.pseudonyms import find_subjects
from tests.cli.conftest import Auditor
from tests.learning.dicoms import dataset, written
from tests.workflow.trained import MODEL, RECIPE

Row = dict[str, str]


def uid(level: int, number: int) -> str:
    return f"2.25.{level}00000000000000{number:04d}"


def as_dicom(folder: Path) -> Path:
    """Phantoms as a PACS holds them: a study for each patient, a series for each picture."""
    manifest = draw_phantoms(folder, seed=3, patients=30)
    rows = rows_of(manifest)
    studies: dict[str, int] = {}
    for number, row in enumerate(rows[:-2]):
        study = studies.setdefault(row["subject_id"], len(studies))
        grey = read_grey(folder / row["image_path"], 48, "")
        (folder / row["image_path"]).unlink()
        row["image_path"] = f"images/{uid(3, number)}.dcm"
        made = dataset((grey * 4095).astype(np.uint16), 12)
        made.StudyInstanceUID = uid(1, study)
        made.SeriesInstanceUID = uid(2, number)
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = uid(3, number)
        written(folder / row["image_path"], made)
    rewrite(manifest, rows)
    return manifest


def rows_of(manifest: Path) -> list[Row]:
    with manifest.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rewrite(manifest: Path, rows: list[Row]) -> None:
    with manifest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose model was trained on DICOM files, but for the last two pictures."""
    root = tmp_path_factory.mktemp("pseudonyms") / "home"
    create_home(root, controller="St. Example", dpo="DPO office").close()
    manifest = as_dicom(root / "pacs")
    with_home = open_home(root)
    train_and_register(
        with_home, model=MODEL, manifest=manifest, recipe=RECIPE, notice=lambda _: None, seed=1
    )
    with_home.close()
    return root


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Iterator[Home]:
    shutil.copytree(template, tmp_path / "home")
    opened = open_home(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def moved(home: Home, template: Path) -> Iterator[Path]:
    """The manifest that the home knows, to be changed and put back."""
    manifest = template / "pacs" / "manifest.csv"
    kept = manifest.read_bytes()
    yield manifest
    manifest.write_bytes(kept)


def test_studies_series_and_pictures_each_name_their_patient(home: Home, template: Path) -> None:
    rows = rows_of(template / "pacs" / "manifest.csv")
    first, last = rows[0]["subject_id"], rows[-3]["subject_id"]
    assert first != last
    studies = list(dict.fromkeys(row["subject_id"] for row in rows[:-2]))
    study = uid(1, studies.index(last))
    for asked in ([study], [uid(2, len(rows) - 3)], [uid(3, len(rows) - 3) + " \0"]):
        assert find_subjects(home, MODEL, asked) == (last,)
    assert find_subjects(home, MODEL, [study, uid(1, 0), study]) == (last, first)


@pytest.mark.parametrize(
    "asked", [uid(1, 999), "", "abc", "1", "1.2.", "1.2.3" * 20, uid(1, 0)[:-1]]
)
def test_what_names_nobody_is_refused_and_not_repeated(home: Home, asked: str) -> None:
    with pytest.raises(MisuseError) as refused:
        find_subjects(home, MODEL, [asked])
    assert len(asked) < 4 or asked not in str(refused.value)


def test_no_uid_is_in_the_ledger_the_store_or_the_database(home: Home) -> None:
    kept = [*home.ledger.entries()]
    kept += [path.read_bytes() for path in home.root.rglob("*") if path.is_file() and _own(path)]
    assert len(kept) > 10
    assert not any(b"2.25." in content for content in kept)
    _, data = data_record(home, load_scene(home, MODEL).version.data_set)
    assert data.pseudonyms is not None
    levels = [(ids.study, ids.series, ids.instance) for ids in data.pseudonyms.rows.values()]
    assert all(len(set(ids)) == 3 for ids in levels)


def _own(path: Path) -> bool:
    return "pacs" not in path.parts


def test_a_request_is_filed_by_study(auditor: Auditor, home: Home, template: Path) -> None:
    subject = rows_of(template / "pacs" / "manifest.csv")[0]["subject_id"]
    words = ("request", "file", "--model", MODEL, "--home", home.root, "--json")
    case = auditor(*words, "--study", uid(1, 0)).json["case"]
    requested = load_case(home, case).requested
    assert requested is not None and subjects_of(home, requested) == (subject,)
    assert not any(b"2.25." in entry for entry in home.ledger.entries())
    ran = auditor(*words, "--study", uid(1, 999))
    assert ran.code == 2 and "2.25." not in ran.err
    listed = home.root / "studies.txt"
    listed.write_text(f"{uid(1, 1)}\n\n{uid(1, 2)}\n", encoding="utf-8")
    case = auditor(*words, "--study", uid(1, 1), "--studies-from", listed).json["case"]
    requested = load_case(home, case).requested
    assert requested is not None and len(subjects_of(home, requested)) == 2


def test_rows_that_moved_name_nobody(home: Home, moved: Path) -> None:
    rows = rows_of(moved)
    rewrite(moved, [*rows[1:], rows[0]])
    with pytest.raises(DataError, match="changed since it was registered"):
        find_subjects(home, MODEL, [uid(1, 0)])
    rewrite(moved, rows[5:])
    with pytest.raises(DataError, match="changed since it was registered"):
        find_subjects(home, MODEL, [uid(2, len(rows) - 3)])


def test_one_study_of_two_patients_is_for_a_person_to_sort_out(tmp_path: Path) -> None:
    made = create_home(tmp_path / "home", controller="St. Example", dpo="DPO office")
    manifest = as_dicom(tmp_path / "pacs")
    rows = rows_of(manifest)
    path = manifest.parent / rows[0]["image_path"]
    grey = (read_grey(path, 48, "") * 4095).astype(np.uint16)
    other = dataset(grey, 12)
    other.StudyInstanceUID = uid(1, 1)
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = uid(3, 0)
    written(path, other)
    train_and_register(
        made, model=MODEL, manifest=manifest, recipe=RECIPE, notice=lambda _: None, seed=1
    )
    with pytest.raises(MisuseError, match="several patients") as refused:
        find_subjects(made, MODEL, [uid(1, 1)])
    assert "rows 2, " in str(refused.value)
    made.close()


@pytest.mark.parametrize("damage", ["gone", "another"])
def test_without_the_key_nobody_is_found(home: Home, damage: str) -> None:
    if damage == "gone":
        home.keyring.destroy("pseudonym.key")
    else:
        home.keyring.write("pseudonym.key", bytes(32))
    with pytest.raises(HomeError):
        find_subjects(home, MODEL, [uid(1, 0)])


def test_data_without_dicom_say_so(tmp_path: Path) -> None:
    from tests.workflow.trained import empty_home, train_here

    made = empty_home(tmp_path / "home")
    train_here(made)
    with pytest.raises(MisuseError, match="no DICOM identifiers"):
        find_subjects(made, MODEL, [uid(1, 0)])
    made.close()


def test_a_damaged_file_stops_the_registration_by_row(tmp_path: Path) -> None:
    made = create_home(tmp_path / "home", controller="St. Example", dpo="DPO office")
    manifest = as_dicom(tmp_path / "pacs")
    (manifest.parent / rows_of(manifest)[4]["image_path"]).write_bytes(b"\0" * 128 + b"DICM")
    size = made.ledger.size
    with pytest.raises(AuditorError, match="row 6") as refused:
        train_and_register(
            made, model=MODEL, manifest=manifest, recipe=RECIPE, notice=lambda _: None, seed=1
        )
    assert "2.25." not in str(refused.value) and made.ledger.size == size
    made.close()
