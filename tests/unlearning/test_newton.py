"""The Newton step against a dense twin that builds every matrix."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import pytest
import torch
from torch import nn
from torch.nn import functional

from auditor.errors import UnlearningError
from auditor.learning.datasets import ImageSet
from auditor.learning.models import build
from auditor.learning.recipe import Recipe
from auditor.learning.training import train
from auditor.learning.weights import weights_bytes
from auditor.unlearning.fakes import noise_only, untouched
from auditor.unlearning.guo2020newton import NewtonParameters, curvature_subset, softmax_factors
from auditor.unlearning.method import METHODS
from auditor.unlearning.task import Task

RECIPE = Recipe(input_size=16, width=4, epochs=2, train_images=20)


def images(classes: int = 2, count: int = 20) -> ImageSet:
    random = torch.Generator().manual_seed(3)
    return ImageSet(
        images=torch.randn(count, 1, 16, 16, generator=random),
        labels=torch.arange(count) % classes,
        subjects=tuple(f"p{k}" for k in range(count)),
        sites=("",) * count,
        sexes=("",) * count,
        ages=("",) * count,
        splits=("",) * count,
    )


def task(recipe: Recipe = RECIPE, module: nn.Module | None = None) -> Task:
    pictures = images(recipe.classes)
    module = module or build(recipe, 1)
    return Task(
        recipe=recipe,
        module=module.eval(),
        images=pictures,
        forget=(0, 1, 2),
        retain=tuple(range(3, 20)),
        seed=5,
    )


def dense_step(asked: Task, damping: float) -> dict[str, torch.Tensor]:
    """theta + (H + lambda I)^-1 g with H = sum J^T (diag p - p p^T) J, all of it in memory."""
    module = copy.deepcopy(asked.module).double()
    names = [name for name, _ in module.named_parameters()]
    values = {name: value.detach() for name, value in module.named_parameters()}
    buffers = dict(module.named_buffers())

    def logits(parameters: Mapping[str, torch.Tensor], index: int) -> torch.Tensor:
        picture = asked.images.images[index : index + 1].double()
        return torch.func.functional_call(module, {**parameters, **buffers}, (picture,))[0]

    total = sum(value.numel() for value in values.values())
    curvature = torch.zeros(total, total).double()
    gradient = torch.zeros(total).double()
    for index in range(20):
        jacobian = torch.func.jacrev(lambda v, i=index: logits(v, i))(values)
        flat = torch.cat([jacobian[name].flatten(1) for name in names], 1)
        p = torch.softmax(logits(values, index), 0)
        if index in asked.forget:
            target = functional.one_hot(asked.images.labels[index], len(p)).double()
            gradient += flat.T @ (p - target)
        else:
            curvature += flat.T @ (torch.diag(p) - torch.outer(p, p)) @ flat
    step = torch.linalg.solve(curvature + damping * torch.eye(total).double(), gradient)
    moved, start = {}, 0
    for name in names:
        size = values[name].numel()
        moved[name] = values[name] + step[start : start + size].view_as(values[name])
        start += size
    return moved


@pytest.mark.parametrize("classes", [2, 3])
def test_the_dual_step_is_the_dense_one(classes: int) -> None:
    recipe = Recipe(input_size=16, width=4, classes=classes, epochs=1, train_images=20)
    asked = task(recipe)
    found = METHODS["newton"].run(asked, {"damping": "0.5"})
    for name, expected in dense_step(asked, 0.5).items():
        got = found.get_parameter(name).double()
        assert torch.allclose(got, expected, rtol=1e-4, atol=1e-6), name


def test_the_step_raises_the_loss_of_what_is_forgotten_and_changes_no_input() -> None:
    trained = train(Recipe(input_size=16, width=4, epochs=12), images(), range(20), 1)
    asked = task(module=trained)
    before = weights_bytes(trained)
    chosen = torch.tensor(asked.forget)

    def loss(module: nn.Module) -> float:
        with torch.no_grad():
            out = module(asked.images.images[chosen])
        return float(functional.cross_entropy(out, asked.images.labels[chosen]))

    losses = [loss(METHODS["newton"].run(asked, {"damping": d})) for d in ("30", "3", "0.3")]
    assert loss(trained) < losses[0] < losses[1] < losses[2]
    assert weights_bytes(trained) == before


def test_batch_norms_statistics_are_taken_anew_without_the_forgotten() -> None:
    recipe = Recipe(architecture="resnet18", input_size=32, epochs=1, train_images=20)
    module = build(recipe, 1).eval()
    spoiled = images()
    spoiled.images[:3] += 50.0
    asked = Task(
        recipe=recipe, module=module, images=spoiled, forget=(0, 1, 2), retain=(3, 4, 5, 6), seed=1
    )
    found = METHODS["newton"].run(asked, {"damping": "1000000", "layers": "network.fc"})
    means = [v for n, v in found.state_dict().items() if n.endswith("bn1.running_mean")]
    assert means and all(float(mean.abs().max()) < 10 for mean in means)


def test_only_named_layers_move() -> None:
    asked = task()
    head = [name for name, _ in asked.module.named_parameters()][-1].rpartition(".")[0]
    found = METHODS["newton"].run(asked, {"damping": "1", "layers": head})
    for name, value in asked.module.named_parameters():
        same = torch.equal(value, found.get_parameter(name))
        assert same is (not name.startswith(head)), name


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"damping": "0"},
        {"damping": "-1"},
        {"damping": "nan"},
        {"damping": "much"},
        {"damping": "1", "subset": "1"},
        {"damping": "1", "colour": "blue"},
        {"damping": "1", "layers": "nowhere"},
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters: Mapping[str, str]) -> None:
    with pytest.raises(UnlearningError):
        METHODS["newton"].run(task(), parameters)


def test_the_subset_is_seeded_and_keeps_the_classes_shares() -> None:
    asked = task()
    chosen = curvature_subset(asked, 8)
    assert chosen == curvature_subset(asked, 8)
    assert set(chosen) <= set(asked.retain)
    assert sum(int(asked.images.labels[i]) for i in chosen) == 4
    assert curvature_subset(asked, 100) == asked.retain
    assert NewtonParameters.parse({"damping": "2"}).damping == 2


def test_the_softmax_factors_multiply_to_the_curvature() -> None:
    for classes in (2, 3, 5):
        logits = torch.randn(7, classes, generator=torch.Generator().manual_seed(1)).double()
        p, b = torch.softmax(logits, 1), softmax_factors(logits)
        expected = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
        assert torch.allclose(b @ b.transpose(1, 2), expected)


def test_retraining_is_replayed_bit_for_bit_and_never_sees_the_forgotten() -> None:
    asked = task()
    first = METHODS["retrain"].run(asked, {})
    assert weights_bytes(first) == weights_bytes(METHODS["retrain"].run(asked, {}))
    asked.images.images[:3] = 1000.0
    assert weights_bytes(first) == weights_bytes(METHODS["retrain"].run(asked, {}))
    with pytest.raises(UnlearningError):
        METHODS["retrain"].run(asked, {"damping": "1"})


def test_the_fakes_are_what_they_say_and_are_no_methods() -> None:
    module = build(RECIPE, 1)
    assert weights_bytes(untouched(module)) == weights_bytes(module)
    noisy = noise_only(module, scale=0.1, seed=1)
    assert weights_bytes(noisy) != weights_bytes(module)
    assert set(METHODS) == {"newton", "retrain"}
