"""What can't be measured: a candidate fails its attempt, anything else ends its case in words."""

from __future__ import annotations

import copy
import json
import shutil
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from auditor.certificates.sealed_pdf import read_sealed_pdf
from auditor.certificates.statement import ENVELOPE
from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactKind, Digest
from auditor.domain.case import ErasureCase
from auditor.domain.request import DecisionKind, Ground, Outcome, Regime
from auditor.domain.route import Obstacle
from auditor.domain.verdict import Basis, Verdict
from auditor.learning.recipe import Recipe
from auditor.unlearning.guo2020newton import NewtonStep
from auditor.unlearning.task import Task
from auditor.workflow.audit.scene import load_scene, train_and_register
from auditor.workflow.desk.desk import decide, file_request
from auditor.workflow.documents.notary import certificate_path
from auditor.workflow.erasure.casework import RunSettings
from auditor.workflow.erasure.running import run_case
from auditor.workflow.homes.config import write_config
from auditor.workflow.homes.home import Home, open_home
from tests.workflow.desks import RECEIVED
from tests.workflow.trained import RECIPE, manifest_in

MODEL = "odd"
TOLD: list[str] = []
FEW = RunSettings(out_models=8, in_models=8, scouts=4, attempt_out_of_reach=True)


class Plain(nn.Module):
    """Two layers, with a branch between them that adds nothing where it is dead."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU())
        self.gate = nn.Sequential(nn.Conv2d(4, 4, 3, 1, 1), nn.ReLU())
        self.head = nn.Linear(64, 2)

    def features(self, x: Tensor) -> Tensor:
        hidden = self.stem(x)
        pooled = nn.functional.adaptive_avg_pool2d(hidden + self.gate(hidden), 4)
        return torch.flatten(pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


def plain(_recipe: Recipe) -> nn.Module:
    return Plain()


def dead_branch(_recipe: Recipe) -> nn.Module:
    """Every model gives every image the same features there."""
    made = Plain()
    nn.init.constant_(made.get_parameter("gate.0.bias"), -50.0)
    return made


class Still(Plain):
    """Answers by the images' own brightness where it isn't trained: no gradient to relearn by."""

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        if self.training:
            return logits
        return logits.detach() + 0 * next(self.parameters()).sum()


def still(_recipe: Recipe) -> nn.Module:
    return Still()


NAMES = tuple(f"{__name__}:{make.__name__}" for make in (plain, dead_branch, still))


@pytest.fixture
def home(trained_template: Path, tmp_path: Path) -> Iterator[Home]:
    root = Path(shutil.copytree(trained_template, tmp_path / "home"))
    with closing(open_home(root)) as opened:
        write_config(root / "auditor.toml", replace(opened.config, factories=NAMES))
    with closing(open_home(root)) as opened:
        yield opened


def train_model(home: Home, make: Callable[[Recipe], nn.Module]) -> None:
    name = f"{__name__}:{make.__name__}"
    recipe = replace(RECIPE, architecture=name, factories=NAMES, slices=1, epochs=3)
    train_and_register(
        home, model=MODEL, manifest=manifest_in(home), recipe=recipe, notice=lambda _: None, seed=5
    )


def filed(home: Home, subject: str) -> str:
    case = file_request(
        home,
        model=MODEL,
        subjects=(subject,),
        regime=Regime.GDPR,
        ground=Ground.CONSENT_WITHDRAWN,
        received=RECEIVED,
    )
    decide(home, case, DecisionKind.GRANTED)
    return case


def ran(home: Home, case: str) -> ErasureCase:
    return run_case(home, case, FEW, progress=lambda *_: None, notice=TOLD.append)


def patients(home: Home) -> list[str]:
    scene = load_scene(home, MODEL)
    return sorted({scene.images.subjects[index] for index in scene.training})


@pytest.mark.parametrize(
    ("make", "audits", "trained"), [(dead_branch, 1, [8, 8, 4]), (still, 0, [8, 0, 4])]
)
def test_models_that_cannot_be_measured_end_each_case_in_a_record(
    home: Home, make: Callable[[Recipe], nn.Module], audits: int, trained: list[int]
) -> None:
    train_model(home, make)
    before = load_scene(home, MODEL)
    for subject in patients(home)[:2]:  # the first doesn't block the second
        state = ran(home, filed(home, subject))
        assert state.obstacle is Obstacle.NOT_AUDITABLE and len(state.audits) == audits
        assert state.reached is not None and state.issued is not None
        assert (state.reached.verdict, state.reached.basis) == (Verdict.INDETERMINATE, Basis.NONE)
        assert state.issued.outcome is Outcome.NOT_ERASED and not state.attempts
        case = state.issued.case
        document = read_sealed_pdf(certificate_path(home, case).read_bytes())
        said = json.loads(b64decode(json.loads(document.attachments[ENVELOPE])["payload"]))
        assert "not even one trained again from the start" in said["predicate"]["summary"][0]
        assert "duty to erase" in said["predicate"]["summary"][1]
        told = [item.artefact_kind for item in state.accounted]
        assert [told.count(kind) for kind in REFERENCES] == trained
        assert not list(before.folder.glob("*"))
        assert any(f"case {case}: " in line and "can't be" in line for line in TOLD)
    assert load_scene(home, MODEL).version == before.version


REFERENCES = (ArtefactKind.REFERENCE_OUT, ArtefactKind.REFERENCE_IN, ArtefactKind.SCOUT)


def test_a_candidate_that_cannot_be_measured_fails_its_attempt_and_the_next_rung_is_tried(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overshoot(_self: NewtonStep, task: Task, _parameters: Mapping[str, str]) -> nn.Module:
        made = copy.deepcopy(task.module)
        for value in made.parameters():
            nn.init.zeros_(value)
        return made

    monkeypatch.setattr(NewtonStep, "run", overshoot)
    train_model(home, plain)
    state = ran(home, filed(home, patients(home)[0]))
    first, *others = state.attempts
    assert first.started.method == "newton" and first.failed and first.verified is None
    assert first.completed is not None and others
    assert all(item.verified is not None for item in others)
    assert state.issued is not None
    constant = first.completed.after
    assert constant in {item.artefact for item in state.accounted}
    assert not home.store.has(constant)


def test_a_variant_that_cannot_be_measured_ends_a_methods_tuning_and_no_more(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overshooting(
        _self: NewtonStep, task: Task
    ) -> Iterator[tuple[Mapping[str, str], nn.Module]]:
        made = copy.deepcopy(task.module)
        for value in made.parameters():
            nn.init.zeros_(value)
        yield {"damping": "1"}, made

    monkeypatch.setattr(NewtonStep, "variants", overshooting)
    train_model(home, plain)
    state = ran(home, filed(home, patients(home)[0]))
    assert state.obstacle is Obstacle.NONE and state.issued is not None
    skipped = {item.method: item.reason for item in state.skipped}
    assert skipped["newton"] == "no-parameters-within-bounds"
    assert state.attempts and isinstance(state.calibrated[0], ev.MethodCalibrated)
    assert isinstance(state.calibrated[0].findings, Digest)
