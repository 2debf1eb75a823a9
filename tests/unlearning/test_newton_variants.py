"""What a calibration chooses among: dampings, rises of the loss, all layers or the latter ones."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from auditor.errors import UnlearningError
from auditor.learning.models import build
from auditor.learning.recipe import Recipe
from auditor.learning.training import train
from auditor.learning.weights import weights_bytes
from auditor.unlearning.guo2020newton import RISES, NewtonStep
from auditor.unlearning.layers import latter
from auditor.unlearning.newton_steps import DAMPINGS, Steps
from auditor.unlearning.task import Task
from tests.unlearning.dense import pictures

RECIPE = Recipe(input_size=16, width=4, epochs=12, train_images=20)
METHOD = NewtonStep()


@pytest.fixture(scope="module")
def asked() -> Task:
    return Task(
        recipe=RECIPE,
        module=train(RECIPE, pictures(), range(20), 1),
        images=pictures(),
        forget=(0, 1),
        retain=tuple(range(2, 20)),
        seed=1,
    )


def loss(task: Task, module: nn.Module) -> float:
    chosen = list(task.retain)
    with torch.no_grad():
        found = module.eval()(task.images.images[chosen])
    return float(functional.cross_entropy(found, task.images.labels[chosen]))


def test_what_run_makes_of_the_parameters_is_the_variant(asked: Task) -> None:
    seen: set[tuple[str, bool]] = set()
    for parameters, module in METHOD.variants(asked):
        (way,) = {"damping", "rise"} & set(parameters)
        seen.add((way, "layers" in parameters))
        assert weights_bytes(METHOD.run(asked, parameters)) == weights_bytes(module)
    assert seen == {(way, some) for way in ("damping", "rise") for some in (True, False)}


def test_a_rise_takes_the_strongest_damping_that_keeps_to_it(asked: Task) -> None:
    losses = [loss(asked, Steps(asked).at(damping)) for damping in DAMPINGS]
    assert losses == sorted(losses)
    taken = set()
    for rise in RISES:
        ceiling = rise * loss(asked, asked.module)
        kept = [
            damping for damping, found in zip(DAMPINGS, losses, strict=True) if found <= ceiling
        ]
        if not kept:
            with pytest.raises(UnlearningError, match="mildest"):
                METHOD.run(asked, {"rise": repr(rise)})
            continue
        taken.add(kept[-1])
        found = METHOD.run(asked, {"rise": repr(rise)})
        assert weights_bytes(found) == weights_bytes(METHOD.run(asked, {"damping": repr(kept[-1])}))
    assert len(taken) > 1


def test_where_the_mildest_step_costs_too_much_there_is_none(asked: Task) -> None:
    with pytest.raises(UnlearningError, match="mildest"):
        METHOD.run(asked, {"rise": "1"})


def test_the_latter_layers_are_the_last_third_and_the_head() -> None:
    small = latter(build(RECIPE, 1))
    assert {name.partition(".")[0] for name in small} == {"stage3", "head"}
    larger = latter(build(Recipe(architecture="resnet18"), 1))
    assert larger[0] == "network.layer3.1.bn1" and larger[-1] == "network.fc"


@pytest.mark.parametrize(
    "parameters", [{"damping": "1", "rise": "2"}, {"rise": "0.5"}, {"rise": "nan"}, {"rise": "x"}]
)
def test_a_rise_that_makes_no_sense_is_refused(asked: Task, parameters: dict[str, str]) -> None:
    with pytest.raises(UnlearningError, match="newton"):
        METHOD.run(asked, parameters)
