"""Reset and heal: which weights are reset, and what healing leaves."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import UnlearningError
from auditor.learning.models import build
from auditor.learning.recipe import Recipe
from auditor.learning.weights import weights_bytes
from auditor.unlearning.cadet2024reset import By, ResetAndHeal, _curvature
from auditor.unlearning.passes import softmax_factors
from auditor.unlearning.task import Task
from tests.unlearning.dense import pictures
from tests.unlearning.ward import Ward, auc_of, loss

HARDLY = "1e-12"  # a rate at which nothing is healed


def reset(task: Task, **parameters: str) -> nn.Module:
    return ResetAndHeal().run(task, {"epochs": "1", "learning_rate": "0.004", **parameters})


def gradients(task: Task, indices: tuple[int, ...]) -> dict[str, Tensor]:
    index = torch.tensor(indices)
    logits = task.module(task.images.images[index])
    total = functional.cross_entropy(logits, task.images.labels[index])
    names, values = zip(*task.module.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(total, values), strict=True))


@pytest.mark.parametrize("by", By)
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_forgotten_become_what_a_retrain_makes_of_them(
    ward: Ward, by: str, share: float
) -> None:
    images, forget = ward.task.images, ward.task.forget
    healed = reset(ward.task, share=str(share), epochs="6", by=by)
    before, after = (loss(module, images, forget) for module in (ward.task.module, healed))
    assert before < 0.01
    assert 0.2 < after / loss(ward.retrained, images, forget) < 1.3
    assert loss(healed, images, ward.task.retain) < 0.05
    assert auc_of(healed, images, ward.test) > auc_of(ward.retrained, images, ward.test) - 0.05


def test_weights_whose_gradients_are_most_alike_get_fresh_values(ward: Ward) -> None:
    task = ward.task
    done = reset(task, share="0.25", learning_rate=HARDLY)
    fresh = dict(build(task.recipe, task.seed).named_parameters())
    forgotten, retained = gradients(task, task.forget), gradients(task, task.retain)
    for name, value in task.module.named_parameters():
        found = done.get_parameter(name)
        changed = (found - value).abs() > 1e-6
        if value.dim() == 1:
            assert not changed.any()
            continue
        apart = (forgotten[name] - retained[name]).abs().flatten()
        assert float(changed.float().mean()) == pytest.approx(0.25, abs=0.02)
        assert torch.allclose(found[changed], fresh[name][changed], atol=1e-6)
        assert float(apart[changed.flatten()].max()) <= float(apart.quantile(0.26))


def test_saliency_weighs_how_far_a_weight_goes_by_what_that_costs(ward: Ward) -> None:
    task = ward.task
    done = reset(task, share="0.25", learning_rate=HARDLY, by="saliency")
    fresh = dict(build(task.recipe, task.seed).named_parameters())
    module = copy.deepcopy(task.module)
    weights = {name: value for name, value in module.named_parameters() if value.dim() > 1}
    for name, cost in _curvature(task, module, weights).items():
        way = (weights[name] - fresh[name]).detach()
        changed = ((done.get_parameter(name) - weights[name]).abs() > 1e-6).flatten()
        worth = (cost * way.square()).flatten()
        assert float(worth[changed].max()) <= float(worth.quantile(0.26))


def test_saliency_spares_what_the_retained_need(ward: Ward) -> None:
    """And costs them less, before any healing, than resetting the rest would."""
    images, retain = ward.task.images, ward.task.retain
    low = reset(ward.task, share="0.3", learning_rate=HARDLY, by="saliency")
    other = reset(ward.task, share="0.3", learning_rate=HARDLY, by="gradient-similarity")
    assert loss(low, images, retain) < 0.5 * loss(other, images, retain)


def test_saliency_does_not_look_at_the_forgotten(ward: Ward) -> None:
    spoiled = ward.task.images.images.clone()
    spoiled[list(ward.task.forget)] = 7.0
    task = replace(ward.task, images=replace(ward.task.images, images=spoiled))
    for by, same in (("saliency", True), ("gradient-similarity", False)):
        one, other = (weights_bytes(reset(each, share="0.3", by=by)) for each in (task, ward.task))
        assert (one == other) is same


def test_the_curvature_is_the_diagonal_of_the_gauss_newton_matrix() -> None:
    """One image at a time and two classes leave nothing random."""
    recipe = Recipe(input_size=16, width=4, epochs=1, batch_size=1)
    module = build(recipe, 1).double().eval()
    drawn = pictures(count=4)
    images = replace(drawn, images=drawn.images.double())
    task = Task(recipe=recipe, module=module, images=images, forget=(0,), retain=(1, 2, 3), seed=5)
    values = dict(module.named_parameters())
    found = _curvature(task, module, values)
    expected = {name: torch.zeros_like(value) for name, value in values.items()}
    for index in task.retain:
        logits = module(images.images[index : index + 1])
        along = (softmax_factors(logits.detach())[:, :, 0] * logits).sum()
        for name, way in zip(values, torch.autograd.grad(along, [*values.values()]), strict=True):
            expected[name] += way.square()
    assert all(torch.allclose(found[name], expected[name], rtol=1e-9) for name in values)


def test_fresh_values_and_order_come_from_the_seed(ward: Ward) -> None:
    one, other = (
        weights_bytes(reset(replace(ward.task, seed=seed), share="0.3")) for seed in (1, 2)
    )
    assert one != other


@pytest.mark.parametrize(
    "wrong",
    [{"share": "1.01"}, {"by": "chance"}, {"epochs": "1.5"}, {"learning_rate": "1e999"}],
)
def test_parameters_that_make_no_sense_are_refused(ward: Ward, wrong: dict[str, str]) -> None:
    with pytest.raises(UnlearningError, match="reset-and-heal: "):
        reset(ward.task, **{"share": "0.5", **wrong})
