"""A request names one model: which others hold its subjects is told."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from auditor.domain.artefact import Digest
from auditor.domain.event import ErasureRequested
from auditor.domain.request import Ground, Regime
from auditor.workflow.desk.desk import file_request
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import load_case
from auditor.workflow.homes.registry import DataRecord, register_data, register_version
from auditor.workflow.models.other_models import unasked_models
from tests.cli.conftest import Auditor

HEADER = "image_path,subject_id,label,probable_patient_group\n"


def model(
    home: Home, folder: Path, name: str, *patients: str, left_out: tuple[int, ...] = ()
) -> Path:
    manifest = folder / f"{name}.csv"
    everyone = (*patients, "someone", "someone-else")  # of both classes
    rows = (f"images/{i}.png,{patient},{i % 2},\n" for i, patient in enumerate(everyone))
    manifest.write_text(HEADER + "".join(rows), encoding="utf-8")
    digest = Digest.of(name.encode())
    data = DataRecord(manifest=manifest, digest=digest, size=28, split_seed=1, left_out=left_out)
    register_data(home, f"data-{name}", data, counts=(len(patients),) * 2, synthetic=True)
    register_version(
        home,
        model=name,
        architecture="small-resnet",
        weights=digest,
        recipe=digest,
        data_set=f"data-{name}",
        training_images=len(patients),
    )
    return manifest


def asked(home: Home, name: str, *subjects: str) -> ErasureRequested:
    case = file_request(
        home,
        model=name,
        subjects=subjects,
        regime=Regime.GDPR,
        ground=Ground.CONSENT_WITHDRAWN,
        received=date(2026, 11, 2),
    )
    requested = load_case(home, case).requested
    assert requested is not None
    return requested


def test_other_models_of_the_same_patients_are_named_until_they_are_asked_about(
    home: Home, tmp_path: Path
) -> None:
    model(home, tmp_path, "first", "ann", "bob")
    model(home, tmp_path, "second", "bob", "cid")
    model(home, tmp_path, "third", "cid", "dan")
    model(home, tmp_path, "without", "bob", "dan", left_out=(2,))
    both = asked(home, "first", "ANN", "bob")
    assert unasked_models(home, asked(home, "first", "ann")) == ()
    assert unasked_models(home, both) == ("second",)
    asked(home, "second", "cid")
    assert unasked_models(home, both) == ("second",)
    asked(home, "second", "Bob")
    assert unasked_models(home, both) == ()


def test_a_manifest_that_is_gone_is_taken_to_hold_them(home: Home, tmp_path: Path) -> None:
    model(home, tmp_path, "first", "ann")
    gone = model(home, tmp_path, "second", "dan")
    requested = asked(home, "first", "ann")
    assert unasked_models(home, requested) == ()
    gone.unlink()
    assert unasked_models(home, requested) == ("second",)


def test_nobody_is_looked_for_who_is_forgotten(home: Home, tmp_path: Path) -> None:
    model(home, tmp_path, "first", "ann")
    model(home, tmp_path, "second", "ann")
    requested = asked(home, "first", "ann")
    assert unasked_models(home, requested) == ("second",)
    home.vault.forget_payload(requested.payload)
    assert unasked_models(home, requested) == ()


def test_the_desk_is_shown_them(auditor: Auditor, home: Home, tmp_path: Path) -> None:
    model(home, tmp_path, "first", "ann")
    model(home, tmp_path, "second", "ann")
    requested = asked(home, "first", "ann")
    shown = auditor("request", "show", requested.case, "--home", home.root, "--json").json
    assert shown["also_held_by"] == ["second"]
