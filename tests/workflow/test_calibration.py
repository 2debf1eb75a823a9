"""The damping is tuned on surrogates, inside bounds, and never on the request's own scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from torch import nn

from auditor.domain.artefact import Digest
from auditor.domain.event import ModelRegistered
from auditor.learning.datasets import load_images, read_manifest, split_by_patient
from auditor.learning.phantoms import draw_phantoms
from auditor.learning.progress import silent
from auditor.learning.recipe import Recipe
from auditor.learning.training import train
from auditor.unlearning.guo2020newton import DAMPINGS, NewtonStep, candidates
from auditor.unlearning.task import Task
from auditor.workflow.calibration import Calibration, calibrate
from auditor.workflow.references import Bank, Block, train_bank
from auditor.workflow.scene import Scene

RECIPE = Recipe(input_size=16, width=4, epochs=20, train_images=48)
SOME = Digest.of(b"some")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("calibration")
    images = load_images(read_manifest(draw_phantoms(folder, seed=4, patients=60)), 16)
    split = split_by_patient(images, RECIPE, 1)
    return Scene(
        version=ModelRegistered(
            model="m",
            version=1,
            architecture=RECIPE.architecture,
            weights=SOME,
            recipe=SOME,
            data_set="d",
            training_images=len(split.train),
        ),
        recipe=RECIPE,
        images=images,
        split=split,
        training=split.train,
        commitment=SOME,
        folder=folder / "references",
    )


@pytest.fixture(scope="module")
def original(scene: Scene) -> nn.Module:
    return train(RECIPE, scene.images, scene.training, 1)


@pytest.fixture(scope="module")
def bank(scene: Scene) -> Bank:
    several = sorted({s for s in scene.images.subjects if len(scene.of_subjects([s])) > 1})
    return train_bank(
        scene,
        scene.of_subjects(several[:1]),
        [scene.of_subjects(several[1:4])],
        scouts=Block(weights=(), measured=()),
        seed="test",
        out_models=8,
        in_models=8,
        workers=1,
        progress=lambda *_: None,
    )


def spoiled(block: Block, images: tuple[int, ...]) -> Block:
    measured = []
    for item in block.measured:
        margins, scores = item.margins.copy(), item.scores.copy()
        margins[list(images)], scores[list(images)] = 1e6, -1e6
        measured.append(replace(item, margins=margins, scores=scores))
    return replace(block, measured=tuple(measured))


class Some(NewtonStep):
    """The step at some dampings only."""

    def __init__(self, *dampings: float) -> None:
        self.dampings = dampings

    def variants(self, task: Task) -> Iterator[tuple[Mapping[str, str], nn.Module]]:
        for damping, module in candidates(task, self.dampings):
            yield {"damping": repr(damping)}, module


def tuned(scene: Scene, bank: Bank, module: nn.Module, *dampings: float) -> Calibration:
    return calibrate(scene, bank, module, Some(*dampings or DAMPINGS), progress=silent)


def test_surrogates_that_show_a_gap_decide_and_the_request_is_never_looked_at(
    scene: Scene, bank: Bank, original: nn.Module
) -> None:
    found = tuned(scene, bank, original)
    assert found.residual is not None
    for damping in DAMPINGS:
        other = tuned(scene, bank, original, damping)
        assert other.parameters is None or abs(other.residual or 0.0) >= abs(found.residual)
    blind = replace(
        bank,
        out=spoiled(bank.out, bank.forgotten),
        untouched=spoiled(bank.untouched, bank.forgotten),
    )
    assert tuned(scene, blind, original) == found


def test_without_a_gap_the_strongest_step_inside_the_bounds_is_taken(
    scene: Scene, bank: Bank, original: nn.Module
) -> None:
    measured = bank.out.measured
    blank = replace(bank, untouched=replace(bank.out, measured=(*measured[1:], measured[0])))
    found = tuned(scene, blank, original)
    assert found.residual is None
    allowed = [damping for damping in DAMPINGS if tuned(scene, blank, original, damping).parameters]
    assert found.parameters == {"damping": repr(min(allowed))}


def test_no_damping_is_chosen_where_each_one_breaks_a_bound(
    scene: Scene, bank: Bank, original: nn.Module
) -> None:
    found = tuned(scene, bank, original, 1e-6)
    assert found.parameters is None and found.residual is None
