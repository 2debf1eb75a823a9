"""`auditor request import`: all of a file or nothing, twice the same, across a stop."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from auditor.domain.artefact import Digest
from auditor.domain.event import ErasureRequested
from auditor.errors import HomeError
from auditor.workflow.desk.desk import subjects_of
from auditor.workflow.desk.intake import COLUMNS
from auditor.workflow.desk.intake_book import take_in
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.home import Home, create_home, open_home
from auditor.workflow.homes.record import load_case
from auditor.workflow.homes.register import list_cases
from auditor.workflow.homes.registry import DataRecord, deploy, register_data, register_version
from tests.cli.conftest import Auditor

PATIENTS = [f"MRN-{n:05}" for n in range(40)]


def ward(home: Home) -> Home:
    """A model in service, and a manifest that knows some patients; no image is ever read."""
    manifest = home.root / "manifest.csv"
    lines = [f"{n}.png,{patient},0," for n, patient in enumerate(PATIENTS)]
    text = "\n".join(["image_path,subject_id,label,probable_patient_group", *lines, "x,y,1,pair"])
    manifest.write_text(text, encoding="utf-8")
    data = DataRecord(manifest=manifest, digest=Digest.of(b"m"), size=28, split_seed=1)
    register_data(home, "data-1", data, counts=(41, 41), synthetic=True)
    version = register_version(
        home,
        model="detector",
        architecture="small-resnet",
        weights=home.store.put(b"weights"),
        recipe=home.store.put(b"recipe"),
        data_set="data-1",
        training_images=30,
    )
    deploy(home, version)
    return home


@pytest.fixture
def known(home: Home) -> Home:
    return ward(home)


def row(number: int, **changes: str) -> dict[str, str]:
    return {
        "external_id": f"DSR-{number}",
        "subject_id": PATIENTS[number % len(PATIENTS)],
        "model": "detector",
        "regime": "gdpr",
        "ground": "gdpr-17-1-b",
        "received": "2026-11-02",
        **changes,
    }


def write(path: Path, rows: Iterable[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_batch_is_taken_in_once(auditor: Auditor, known: Home, tmp_path: Path) -> None:
    file = write(tmp_path / "batch.csv", map(row, range(3)))
    ran = auditor("request", "import", file, "--home", known.root, "--json")
    assert (ran.code, ran.json["taken_in"], ran.json["on_the_books_before"]) == (0, 3, 0)
    cases = [item["case"] for item in ran.json["cases"]]
    assert [item["row"] for item in ran.json["cases"]] == [2, 3, 4]
    for case, patient in zip(cases, PATIENTS, strict=False):
        requested = load_case(known, case).requested
        assert requested is not None and subjects_of(known, requested) == (patient,)
    size = known.ledger.size
    rows = [{**row(0), "subject_id": row(0)["subject_id"].upper()}, *map(row, range(1, 5))]
    longer = write(tmp_path / "longer.csv", rows)  # the first in other letters, and the same
    again = auditor("request", "import", longer, "--home", known.root, "--json")
    assert (again.json["taken_in"], again.json["on_the_books_before"]) == (2, 3)
    assert [item["case"] for item in again.json["cases"]][:3] == cases
    assert known.ledger.size == size + 3  # two requests and another batch
    assert again.json["batch"] != ran.json["batch"]
    assert len(list_cases(known)) == 5
    secrets = [b"DSR-", *map(str.encode, PATIENTS)]
    stored = b"".join(known.ledger.entries()) + ran.out.encode() + again.out.encode()
    stored += b"".join(path.read_bytes() for path in known.root.glob("ledger.db*"))
    assert not any(secret in stored for secret in secrets)


def test_a_bad_row_takes_nothing_in_and_is_told_without_its_patient(
    auditor: Auditor, known: Home, tmp_path: Path
) -> None:
    rows = [row(0), row(1, subject_id="Doe, Jane"), row(2, received="2026-02-30"), row(0)]
    file, size = write(tmp_path / "batch.csv", rows), known.ledger.size
    ran = auditor("request", "import", file, "--home", known.root)
    assert (ran.code, ran.out, known.ledger.size) == (1, "", size)
    assert ran.err.splitlines()[:3] == [
        "row 3, subject_id: no registered data set of this home knows this patient; is it another "
        "controller's request?",
        "row 4, received: there is no such day",
        "row 5, external_id: it stands in row 2 already",
    ]
    assert "Doe" not in ran.err
    told = auditor("request", "import", file, "--home", known.root, "--json")
    assert told.code == 1
    assert [(flaw["row"], flaw["column"]) for flaw in told.json["flaws"]] == [
        *((3, "subject_id"), (4, "received"), (5, "external_id"))
    ]
    assert known.vault.commitments(f"case:{'0' * 16}") == ()


def test_a_check_takes_nothing_in(auditor: Auditor, known: Home, tmp_path: Path) -> None:
    file, size = write(tmp_path / "batch.csv", [row(0)]), known.ledger.size
    ran = auditor("request", "import", file, "--check", "--home", known.root, "--json")
    assert (ran.code, ran.json["taken_in"], ran.json["checked"]) == (0, 0, 1)
    assert known.ledger.size == size


@pytest.mark.parametrize(
    "change",
    [
        {"subject_id": PATIENTS[7]},
        {"received": "2026-11-03"},
        {"ground": "gdpr-17-1-c"},
        {"regime": "uk-gdpr", "ground": "uk-gdpr-17-1-b"},
    ],
)
def test_an_external_id_stands_for_one_request_for_good(
    auditor: Auditor, known: Home, tmp_path: Path, change: dict[str, str]
) -> None:
    write(tmp_path / "one.csv", [row(0)])
    assert auditor("request", "import", tmp_path / "one.csv", "--home", known.root).code == 0
    size = known.ledger.size
    write(tmp_path / "two.csv", [row(1), row(0, **change)])
    ran = auditor("request", "import", tmp_path / "two.csv", "--home", known.root)
    assert ran.code == 1 and "row 3, external_id: was used before" in ran.err
    assert known.ledger.size == size


def test_the_group_a_patient_belongs_to_is_known_as_well(
    auditor: Auditor, known: Home, tmp_path: Path
) -> None:
    file = write(tmp_path / "batch.csv", [row(0, subject_id="pair"), row(1, subject_id="y")])
    assert auditor("request", "import", file, "--home", known.root).code == 0


def test_fhir_is_taken_in_where_a_model_is_named(
    auditor: Auditor, known: Home, tmp_path: Path
) -> None:
    consent = {
        "resourceType": "Consent",
        "id": "c1",
        "meta": {"lastUpdated": "2026-11-02T08:00:00+01:00"},
        "status": "inactive",
        "patient": {"reference": f"Patient/{PATIENTS[3]}"},
    }
    file = tmp_path / "consent.json"
    file.write_text(json.dumps(consent), encoding="utf-8")
    words = ("request", "import", file, "--home", known.root)
    assert auditor(*words).code == 2
    ran = auditor(*words, "--model", "detector", "--regime", "uk-gdpr", "--json")
    (case,) = [item["case"] for item in ran.json["cases"]]
    requested = load_case(known, case).requested
    assert requested is not None and requested.ground.value == "uk-gdpr-17-1-b"
    assert auditor(*words, "--model", "detector", "--regime", "uk-gdpr").code == 0
    assert auditor(*words, "--model", "detector").code == 1  # the same consent, another law
    table = write(tmp_path / "batch.csv", [row(0)])
    assert auditor("request", "import", table, "--model", "d", "--home", known.root).code == 2


def test_two_intakes_wait_for_each_other(known: Home) -> None:
    with alone(known, "intake"), pytest.raises(HomeError, match="another intake"):
        take_in(known, [(2, row(0))])
    with alone(known):  # a run is no obstacle
        take_in(known, [(2, row(0))])


_STOPPED = """
import os, signal, sys
from pathlib import Path
from auditor.ledger.ledger import Ledger
from auditor.workflow.homes.home import open_home
from auditor.workflow.desk.intake_book import take_in
from auditor.workflow.desk.intake_csv import read_csv

def stop(*_):
    os.kill(os.getpid(), signal.SIGKILL)

home = open_home(Path(sys.argv[1]))
Ledger.append_all = stop
take_in(home, read_csv(Path(sys.argv[2]).read_bytes()))
"""


def test_an_intake_that_is_killed_half_way_has_taken_in_nothing_and_is_done_again(
    tmp_path: Path,
) -> None:
    with closing(create_home(tmp_path / "home", controller="St. Example", dpo="DPO")) as made:
        ward(made)
    file = write(tmp_path / "batch.csv", map(row, range(20)))
    command = [sys.executable, "-c", _STOPPED, str(tmp_path / "home"), str(file)]
    killed = subprocess.run(command, check=False, env={**os.environ})
    assert killed.returncode == -signal.SIGKILL
    with closing(open_home(tmp_path / "home")) as home:
        assert list_cases(home) == ()
        taken = take_in(home, [(n, row(n)) for n in range(20)])
        for item in taken:
            (payload,) = home.vault.commitments(f"case:{item.case}")  # nothing left behind
            (recorded,) = home.ledger.replay(f"case:{item.case}")
            assert isinstance(recorded.event, ErasureRequested)
            assert recorded.event.payload == payload
