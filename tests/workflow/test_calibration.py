"""The damping is tuned on surrogates, inside bounds, and never on the request's own scores."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from auditor.domain.calibration import Choice, Findings, Trial
from auditor.domain.codec import typed
from auditor.errors import UnlearningError
from auditor.learning.progress import silent
from auditor.learning.recipe import Recipe
from auditor.learning.training import train
from auditor.unlearning.guo2020newton import NewtonStep
from auditor.unlearning.newton_steps import Steps
from auditor.unlearning.task import Task
from auditor.workflow.audit.bank import Bank, train_bank
from auditor.workflow.audit.calibration import Calibration, calibrate
from auditor.workflow.audit.references import Block
from auditor.workflow.audit.scene import Scene
from tests.workflow.trained import phantom_scene

RECIPE = Recipe(input_size=16, width=4, epochs=12, train_images=48)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return phantom_scene(tmp_path_factory.mktemp("calibration"), RECIPE)


@pytest.fixture(scope="module")
def original(scene: Scene) -> nn.Module:
    return train(RECIPE, scene.images, scene.training, 1)


@pytest.fixture(scope="module")
def bank(scene: Scene) -> Bank:
    several = sorted({s for s in scene.images.subjects if len(scene.of_subjects([s])) > 1})
    return train_bank(
        scene,
        scene.of_subjects(several[:1]),
        [scene.of_subjects(several[1:4]), scene.of_subjects(several[4:7])],
        scouts=Block(weights=(), measured=()),
        seed="test",
        out_models=5,
        in_models=8,
        workers=1,
        progress=silent,
    )


class Some(NewtonStep):
    """The step at some dampings only."""

    def __init__(self, *dampings: float) -> None:
        self.dampings = dampings

    def variants(self, task: Task) -> Iterator[tuple[Mapping[str, str], nn.Module]]:
        steps = Steps(task)
        for damping in self.dampings:
            yield {"damping": repr(damping)}, steps.at(damping)


def tuned(
    scene: Scene, bank: Bank, module: nn.Module, *dampings: float
) -> tuple[Calibration, Findings]:
    calibration = calibrate(scene, bank, module, Some(*dampings), outsiders=None, progress=silent)
    return calibration, typed(Findings, json.loads(calibration.findings))


@pytest.fixture(scope="module")
def found(scene: Scene, bank: Bank, original: nn.Module) -> tuple[Calibration, Findings]:
    return tuned(scene, bank, original, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)


def inside(findings: Findings) -> list[Trial]:
    bounds = findings.bounds
    return [
        trial
        for trial in findings.trials
        if all(item.loss <= bounds.loss and item.auc >= bounds.auc for item in trial.readings)
    ]


def test_the_variant_inside_the_bounds_that_leaves_the_least_is_chosen(
    found: tuple[Calibration, Findings],
) -> None:
    calibration, findings = found
    assert findings.choice is Choice.LEAST_INFLUENCE
    assert calibration.residual is not None
    assert calibration.parameters in [trial.parameters for trial in inside(findings)]
    for trial in inside(findings):
        weights = np.array([group.error for group in findings.groups]) ** -2
        left = np.abs([reading.influence for reading in trial.readings]) @ weights / weights.sum()
        assert left >= calibration.residual - 1e-9


class Hushed(nn.Module):
    """Answers as the model does, but for some images by so much less sure of their class."""

    def __init__(self, module: nn.Module, images: Tensor, labels: Tensor, less: float) -> None:
        super().__init__()
        self.module, self.less = module, less
        self.keys = {
            image.numpy().tobytes(): int(label) for image, label in zip(images, labels, strict=True)
        }

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.module(x)
        for row, image in zip(logits, x, strict=True):
            label = self.keys.get(image.numpy().tobytes())
            if label is not None:
                row[label] -= self.less
        return logits


class Hush(NewtonStep):
    """Changes nothing but the margins of the images to be forgotten, by a known amount."""

    name = "hush"

    def variants(self, task: Task) -> Iterator[tuple[Mapping[str, str], nn.Module]]:
        chosen = list(task.forget)
        images, labels = task.images.images[chosen], task.images.labels[chosen]
        for less in range(0, 24, 2):
            yield {"less": str(less)}, Hushed(task.module, images, labels, float(less))


def test_a_bound_on_the_loss_alone_would_pick_a_step_that_overshoots(
    scene: Scene, bank: Bank, original: nn.Module
) -> None:
    """No variant costs any loss or AUC; influence falls by the same amount from one to the next."""
    calibration = calibrate(scene, bank, original, Hush(), outsiders=None, progress=silent)
    findings = typed(Findings, json.loads(calibration.findings))
    assert inside(findings) == list(findings.trials)
    left = np.array([[r.influence for r in t.readings] for t in findings.trials])
    np.testing.assert_allclose(np.diff(left, axis=0), [left[1] - left[0]] * (len(left) - 1))
    assert (left[-1] < -0.5).all()
    weights = np.array([group.error for group in findings.groups]) ** -2
    best = int((np.abs(left) @ weights).argmin())
    assert 0 < best < len(left) - 1
    assert calibration.parameters == {"less": str(2 * best)}


def test_nothing_of_the_request_is_looked_at(scene: Scene, bank: Bank, original: nn.Module) -> None:
    pixels = scene.images.images.clone()
    pixels[list(bank.forgotten)] = torch.nan
    blind = replace(scene, images=replace(scene.images, images=pixels))
    unread = replace(
        bank,
        out=spoiled(bank.out, bank.forgotten),
        untouched=spoiled(bank.untouched, bank.forgotten),
    )
    assert tuned(blind, unread, original, 10.0, 1.0) == tuned(scene, bank, original, 10.0, 1.0)


def spoiled(block: Block, images: tuple[int, ...]) -> Block:
    measured = []
    for item in block.measured:
        margins, scores = item.margins.copy(), item.scores.copy()
        margins[list(images)], scores[list(images)] = np.nan, np.nan
        measured.append(replace(item, margins=margins, scores=scores))
    return replace(block, measured=tuple(measured))


def test_without_a_gap_the_strongest_step_inside_the_bounds_is_taken(
    scene: Scene, bank: Bank, original: nn.Module
) -> None:
    measured = bank.untouched.measured
    blank = replace(bank, out=replace(bank.untouched, measured=(*measured[1:], measured[0])))
    calibration, findings = tuned(scene, blank, original, 30.0, 3.0, 1e-6)
    assert (findings.choice, calibration.residual) == (Choice.STRONGEST, None)
    assert calibration.parameters == inside(findings)[-1].parameters != {"damping": "1e-06"}


def test_no_damping_is_chosen_where_each_one_breaks_a_bound(
    scene: Scene, bank: Bank, original: nn.Module
) -> None:
    calibration, findings = tuned(scene, bank, original, 1e-6)
    assert (calibration.parameters, calibration.residual) == (None, None)
    assert findings.choice in (Choice.NONE_INSIDE_BOUNDS, Choice.NO_VARIANT)


def test_a_variant_that_fails_for_one_group_is_not_chosen(
    scene: Scene, bank: Bank, original: nn.Module
) -> None:
    class Failing(Some):
        def variants(self, task: Task) -> Iterator[tuple[Mapping[str, str], nn.Module]]:
            for made in super().variants(task):
                yield made
                if task.forget == bank.surrogates[1]:
                    raise UnlearningError("the second group can't be forgotten any further")

    calibration = calibrate(
        scene, bank, original, Failing(30.0, 3.0), outsiders=None, progress=silent
    )
    findings = typed(Findings, json.loads(calibration.findings))
    assert [len(trial.readings) for trial in findings.trials] == [2, 1]
    assert calibration.parameters == {"damping": "30.0"}


def test_without_surrogates_or_variants_nothing_is_chosen(
    scene: Scene, bank: Bank, original: nn.Module
) -> None:
    for odd, dampings in ((replace(bank, surrogates=()), [3.0]), (bank, [])):
        calibration, findings = tuned(scene, odd, original, *dampings)
        assert (findings.choice, calibration.parameters) == (Choice.NO_VARIANT, None)
