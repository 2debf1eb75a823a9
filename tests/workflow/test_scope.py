"""Who is asked about: trained on, set apart, settled before, all of a class, everybody."""

from __future__ import annotations

import csv
import json
import shutil
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from auditor.certificates.sealed_pdf import read_sealed_pdf
from auditor.certificates.statement import ENVELOPE
from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.bank_events import BankDesign
from auditor.domain.case import ErasureCase
from auditor.domain.paper_events import WithdrawalReason
from auditor.domain.request import DecisionKind, Ground, LetterKind, Outcome, Regime
from auditor.domain.route import Obstacle
from auditor.domain.verdict import Basis, Verdict
from auditor.errors import EvidenceError, MisuseError
from auditor.learning.models import SmallResNet
from auditor.learning.recipe import Recipe
from auditor.workflow.audit.scene import Scene, load_scene, register_trained, train_and_register
from auditor.workflow.audit.shared_bank import train_shared_bank
from auditor.workflow.desk.desk import decide, file_request
from auditor.workflow.desk.letters import _ending, letter_facts
from auditor.workflow.documents.notary import certificate_path
from auditor.workflow.erasure.casework import Casework, RunSettings
from auditor.workflow.erasure.running import pending_cases, run_case
from auditor.workflow.erasure.scope import establish_scope
from auditor.workflow.homes.config import write_config
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.homes.record import case_stream, load_case, record
from auditor.workflow.homes.registry import data_record, find_model, require_model
from tests.workflow.trained import (
    MODEL,
    RECIPE,
    begun,
    divided,
    empty_home,
    erase,
    manifest_in,
    train_here,
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a small model; its first two names are probably one patient."""
    root = tmp_path_factory.mktemp("scope") / "home"
    home = empty_home(root)
    manifest = manifest_in(home)
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    pair = sorted({row["subject_id"] for row in rows})[:2]
    for row in rows:
        row["probable_patient_group"] = "pair" if row["subject_id"] in pair else ""
    with manifest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    train_here(home)
    home.close()
    return root


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Iterator[Home]:
    opened = open_home(Path(shutil.copytree(template, tmp_path / "home")))
    yield opened
    opened.close()


@pytest.fixture
def scene(home: Home) -> Scene:
    return load_scene(home, MODEL)


def filed(home: Home, subjects: Sequence[str], model: str = MODEL) -> str:
    case = file_request(
        home,
        model=model,
        subjects=tuple(subjects),
        regime=Regime.GDPR,
        ground=Ground.CONSENT_WITHDRAWN,
        received=date(2026, 11, 2),
    )
    decide(home, case, DecisionKind.GRANTED, "dpo")
    return case


def ran(home: Home, case: str) -> ErasureCase:
    return run_case(home, case, RunSettings(), progress=lambda *_: None, notice=lambda _: None)


def stated(home: Home, case: str) -> dict[str, Any]:
    document = read_sealed_pdf(certificate_path(home, case).read_bytes())
    payload = json.loads(document.attachments[ENVELOPE])["payload"]
    found: dict[str, Any] = json.loads(b64decode(payload))["predicate"]
    return found


def names(scene: Scene, indices: Sequence[int]) -> list[str]:
    return sorted({scene.images.subjects[index] for index in indices})


def kinds(home: Home, case: str) -> set[str]:
    return {item.event.kind for item in home.ledger.replay(f"case:{case}")}


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_patient_set_apart_has_nothing_to_unlearn_and_is_looked_at_no_more(
    home: Home, scene: Scene, part: str
) -> None:
    apart = getattr(scene.split, part)
    (patient, *_) = names(scene, apart)
    own = [i for i in apart if scene.images.subjects[i] == patient]
    case = filed(home, [patient])
    state = ran(home, case)
    assert state.scope is not None and state.issued is not None
    assert (state.scope.training_images, state.scope.held_out_images) == (0, len(own))
    assert state.issued.outcome is Outcome.NOTHING_TO_UNLEARN
    summary = " ".join(stated(home, case)["summary"])
    assert "There is nothing for this model to unlearn" in summary
    assert f"also holds {len(own)} of the patient's images" in summary
    after = load_scene(home, MODEL)
    assert after.training == scene.training
    assert set(scene.split.held_out) - set(after.split.held_out) == set(own)


def test_nobody_is_found_by_no_name(home: Home, scene: Scene) -> None:
    case = filed(home, ["nobody"])
    state = ran(home, case)
    assert state.scope is not None and state.scope.held_out_images == 0
    assert not any("also holds" in line for line in stated(home, case)["summary"])
    assert load_scene(home, MODEL).split == scene.split
    assert scene.data == data_record(home, scene.version.data_set)[1].digest


def test_a_name_under_which_images_were_filed_finds_the_patient_they_are_of(
    home: Home, scene: Scene
) -> None:
    with manifest_in_template(scene, home).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    pair = sorted({row["subject_id"] for row in rows if row["probable_patient_group"]})
    assert len(pair) == 2
    images = sum(row["subject_id"] in pair for row in rows)
    for name in (*pair, "pair"):
        scope = begun_and_dropped(home, name)
        assert scope.training_images + scope.held_out_images == images


@pytest.mark.parametrize("write", [str.upper, str.title], ids=["upper", "title"])
def test_an_id_that_looks_the_same_finds_the_patient(
    home: Home, scene: Scene, write: Callable[[str], str]
) -> None:
    patient = names(scene, scene.training)[0]
    work = begun(home, write(patient))
    assert work.requested.subjects == 1 and write(patient) != patient
    assert work.forgotten == scene.of_subjects([patient]) != ()


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize("asked", ["train", "test"])
def test_copies_of_the_patient_under_another_id_are_seen_before_anything_is_trained(
    home: Home, asked: str, part: str
) -> None:
    manifest = divided(manifest_in(home), RECIPE)
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    alone = [row for row in rows if not row["probable_patient_group"]]
    patient = next(row for row in alone if row["split"] == asked)["subject_id"]
    copied = [at for at, row in enumerate(rows) if row["subject_id"] == patient]
    for at in copied:  # as they are saved again: darker, and with the losses of JPEG
        copy = manifest.parent / f"copy-{at}.jpg"
        with Image.open(manifest.parent / rows[at]["image_path"]) as picture:
            ImageEnhance.Brightness(picture.convert("L")).enhance(0.97).save(copy, quality=90)
        rows.append({**rows[at], "image_path": copy.name, "subject_id": "second", "split": part})
    with manifest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    train_and_register(
        home, model="copied", manifest=manifest, recipe=RECIPE, notice=lambda _: None
    )
    case = filed(home, [patient], model="copied")
    if "train" not in (asked, part):
        assert establish_scope_of(home, case).training_images == 0
        return
    with pytest.raises(EvidenceError) as refused:
        establish_scope_of(home, case)
    first = f"rows {copied[0] + 2} and {len(rows) - len(copied) + 2}"
    assert first in str(refused.value) and "probable_patient_group" in str(refused.value)
    assert patient not in str(refused.value) and "second" not in str(refused.value)
    assert load_case(home, case).scope is None


def establish_scope_of(home: Home, case: str) -> ev.ScopeEstablished:
    establish_scope(Casework(home, case, RunSettings(), lambda *_: None))
    scope = load_case(home, case).scope
    assert scope is not None
    return scope


def manifest_in_template(scene: Scene, home: Home) -> Path:
    return data_record(home, scene.version.data_set)[1].manifest


def begun_and_dropped(home: Home, subject: str) -> ev.ScopeEstablished:
    work = begun(home, subject)
    decide(home, work.case, DecisionKind.WITHDRAWN, "dpo")
    assert work.state.scope is not None
    return work.state.scope


def test_a_patient_settled_before_is_recognised_whoever_asks_along(
    home: Home, scene: Scene
) -> None:
    first, second, *_ = names(scene, scene.training)
    erased = erase(home, first, "retrain", Basis.EXACT)
    again = filed(home, [first])
    state = ran(home, again)
    assert state.scope is not None and state.issued is not None
    assert state.scope.earlier == (erased.case,)
    assert state.scope.weights == require_model(home, MODEL).current.weights
    assert state.issued.outcome is Outcome.NOTHING_TO_UNLEARN
    summary = " ".join(stated(home, again)["summary"])
    assert erased.case in summary and "nothing more for this model" in summary
    assert "images trained" not in summary  # an ancestor was trained on them
    told = _ending(home, load_case(home, again))
    assert told is not None and told.earlier == (erased.case,)
    overlap = begun(home, first, second)
    assert overlap.state.scope is not None
    assert set(overlap.state.scope.earlier) == {erased.case, again}
    assert overlap.forgotten == scene.of_subjects([second])
    withdrawn = ev.CertificateWithdrawn(
        case=erased.case, pdf=Digest.of(b"pdf"), reason=WithdrawalReason.ISSUED_IN_ERROR.value
    )
    record(home, case_stream(erased.case), withdrawn, "withdrawn")
    with pytest.raises(MisuseError, match=f"case {erased.case}, whose document is no longer"):
        letter_facts(home, again, LetterKind.CLOSED, "en")


@pytest.mark.parametrize("spared", [0, 1])
def test_all_of_a_class_ends_in_a_record_before_anything_is_trained(
    home: Home, scene: Scene, spared: int
) -> None:
    labels = scene.images.labels
    diseased = names(scene, [i for i in scene.training if int(labels[i]) == 1])
    single = min(diseased, key=lambda name: len(scene.of_subjects([name])))
    asked = [name for name in diseased if not spared or name != single]
    case = filed(home, asked)
    state = ran(home, case)
    assert state.obstacle is Obstacle.CLASS_LEFT_EMPTY
    assert state.reached is not None and state.issued is not None
    assert (state.reached.verdict, state.reached.basis) == (Verdict.INDETERMINATE, Basis.NONE)
    assert state.issued.outcome is Outcome.NOT_ERASED
    assert not {"bank-trained/v1", "plan-pinned/v1", "attempt-started/v1"} & kinds(home, case)
    said = stated(home, case)
    assert "one of its classes" in said["summary"][0]
    assert "duty to erase" in said["summary"][1]
    assert said["conclusion"]["basis"] == "none"
    assert require_model(home, MODEL).in_service == scene.version.weights
    assert load_scene(home, MODEL).training == scene.training


@pytest.mark.parametrize("part", ["validation", "test"])
def test_where_too_few_are_set_apart_each_case_ends_in_a_record_and_training_says_so_before(
    home: Home, part: str
) -> None:
    manifest = divided(manifest_in(home), RECIPE)
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    ill = [row for row in rows if row["label"] == "1" and row["split"] == part]
    kept = {ill[0]["subject_id"], ill[0]["probable_patient_group"]} - {""}
    for row in ill:
        if not kept & {row["subject_id"], row["probable_patient_group"]}:
            row["split"] = "train"
    few = sum(row["label"] == "1" and row["split"] == part for row in rows)
    assert 0 < few < 3
    with manifest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    notices: list[str] = []
    train_and_register(home, model="few", manifest=manifest, recipe=RECIPE, notice=notices.append)
    assert any(f"{part} has {few} images of class 1, 3 are needed" in line for line in notices)
    trained = load_scene(home, "few")
    for name in names(trained, trained.training)[:2]:  # the first doesn't block the second
        case = filed(home, [name], model="few")
        state = ran(home, case)
        assert state.obstacle is Obstacle.TOO_FEW_TO_COMPARE
        assert state.issued is not None and state.issued.outcome is Outcome.NOT_ERASED
        assert not {"bank-trained/v1", "plan-pinned/v1", "attempt-started/v1"} & kinds(home, case)
        said = stated(home, case)["summary"]
        assert "too few images of other patients" in said[0] and "duty to erase" in said[1]
    (apart, *_) = names(trained, trained.split.held_out)
    state = ran(home, filed(home, [apart], model="few"))
    assert state.issued is not None and state.issued.outcome is Outcome.NOTHING_TO_UNLEARN


def test_the_whole_training_set_ends_in_a_record(home: Home, scene: Scene) -> None:
    case = filed(home, names(scene, scene.training))
    state = ran(home, case)
    assert state.obstacle is Obstacle.NOTHING_LEFT
    assert "nothing is left to train a model on" in stated(home, case)["summary"][0]
    assert case not in pending_cases(home)


def test_enough_of_every_class_is_no_obstacle(home: Home, scene: Scene) -> None:
    work = begun(home, names(scene, scene.training)[-1])
    assert work.state.obstacle is Obstacle.NONE


def test_a_second_case_waits_until_the_first_on_the_same_model_is_finished(
    home: Home, scene: Scene
) -> None:
    first, second, third, *_ = names(scene, scene.training)
    waiting = filed(home, [second])
    begun_first = begun(home, first)
    with pytest.raises(MisuseError, match=begun_first.case):
        ran(home, waiting)
    assert load_case(home, waiting).scope is None
    assert pending_cases(home) == (begun_first.case, waiting)
    decide(home, begun_first.case, DecisionKind.HELD, "dpo")
    erase(home, third, "retrain", Basis.EXACT)  # what is held blocks nobody
    decide(home, begun_first.case, DecisionKind.GRANTED, "dpo")
    with pytest.raises(MisuseError, match="file it anew"):
        ran(home, begun_first.case)


class Drawing(SmallResNet):
    """Answers as its code of the day does."""

    noise = 0.0

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return logits if self.training else logits + self.noise * torch.randn_like(logits)


def drawing(recipe: Recipe) -> Drawing:
    return Drawing(recipe.width, recipe.classes)


def test_a_network_that_answers_otherwise_each_time_is_refused_before_anything_is_written(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{__name__}:{drawing.__name__}"
    write_config(home.root / "auditor.toml", replace(home.config, factories=(name,)))
    home = open_home(home.root)
    recipe = replace(RECIPE, architecture=name, factories=(name,))

    def train_drawing(model: str) -> None:
        train_and_register(
            home, model=model, manifest=manifest_in(home), recipe=recipe, notice=lambda _: None
        )

    train_drawing("known")
    weights = home.root / "model.safetensors"
    weights.write_bytes(home.store.get(require_model(home, "known").current.weights))
    scene = load_scene(home, "known")
    first, second = names(scene, scene.training)[:2]
    monkeypatch.setattr(Drawing, "noise", 0.01)
    entries = home.ledger.size
    with pytest.raises(EvidenceError, match="answers otherwise each time"):
        train_drawing("trained")
    with pytest.raises(EvidenceError, match="answers otherwise each time"):
        register_trained(
            home,
            model="bought",
            manifest=divided(manifest_in(home), RECIPE),
            recipe=recipe,
            weights=weights,
            notice=lambda _: None,
        )
    assert home.ledger.size == entries and find_model(home, "trained") is None
    cases = filed(home, [first], model="known"), filed(home, [second], model="known")
    with pytest.raises(EvidenceError, match="answers otherwise each time"):
        train_shared_bank(
            home,
            "known",
            BankDesign.LEAVE_COHORT_OUT,
            models=2,
            parts=2,
            today=date(2026, 12, 1),
            workers=1,
            progress=lambda *_: None,
        )
    for case in cases:  # neither blocks the other
        with pytest.raises(EvidenceError, match="answers otherwise each time"):
            ran(home, case)
        assert load_case(home, case).scope is None
    (apart, *_) = names(scene, scene.split.held_out)
    state = ran(home, filed(home, [apart], model="known"))  # nothing to audit
    assert state.issued is not None and state.issued.outcome is Outcome.NOTHING_TO_UNLEARN
    home.close()
