"""The Newton step as a method: its parameters, its choice of layers, what it never does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from auditor.errors import UnlearningError
from auditor.learning.models import build
from auditor.learning.recipe import Recipe
from auditor.learning.training import train
from auditor.learning.weights import weights_bytes
from auditor.unlearning.guo2020newton import NewtonParameters
from auditor.unlearning.method import METHODS
from auditor.unlearning.newton_steps import automatic
from auditor.unlearning.parameters import parse
from auditor.unlearning.passes import SOFTMAX, Passes, softmax_factors
from auditor.unlearning.sampling import curvature_sample
from auditor.unlearning.task import Task
from tests.unlearning.dense import pictures

RECIPE = Recipe(input_size=16, width=4, epochs=2, train_images=20)


def task(recipe: Recipe = RECIPE, module: nn.Module | None = None) -> Task:
    drawn = pictures(recipe.classes)
    module = module or build(recipe, 1)
    return Task(
        recipe=recipe,
        module=module.eval(),
        images=drawn,
        forget=(0, 1, 2),
        retain=tuple(range(3, 20)),
        seed=5,
    )


def test_the_step_raises_the_loss_of_what_is_forgotten_and_changes_no_input() -> None:
    trained = train(Recipe(input_size=16, width=4, epochs=12), pictures(), range(20), 1)
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


@pytest.mark.parametrize(("precision", "apart"), [("float32", False), ("float64", True)])
def test_passes_take_no_second_copy_of_the_weights_in_the_networks_own_precision(
    precision: str, apart: bool
) -> None:
    """Of a ViT, whose weights weigh as much as its activations, a fifth of the peak."""
    given = task()
    own = {name: value.data_ptr() for name, value in given.module.named_parameters()}
    passes = Passes(
        given.module, tuple(own), given.images, precision=precision, memory=2**20, loss=SOFTMAX
    )
    assert passes.values.keys() == own.keys()
    assert all((value.data_ptr() != own[name]) is apart for name, value in passes.values.items())
    before = weights_bytes(given.module)
    passes.push((0, 1), passes.gradient((0, 1)))
    assert weights_bytes(given.module) == before


def test_batch_norms_statistics_are_taken_anew_without_the_forgotten() -> None:
    recipe = Recipe(architecture="resnet18", input_size=32, epochs=1, train_images=20)
    module = build(recipe, 1).eval()
    spoiled = pictures()
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
        {"damping": "1", "layers": "head nowhere"},
        {"damping": "1", "precision": "float16"},
        {"damping": "1", "memory": "0"},
        {"damping": "1", "memory": "1e308"},
        {"damping": "1", "guided": "1000000"},
        {"damping": "1", "memory": "much"},
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters: Mapping[str, str]) -> None:
    with pytest.raises(UnlearningError):
        METHODS["newton"].run(task(), parameters)


def test_parameters_come_back_as_they_stand_in_a_plan() -> None:
    texts = {"damping": "2.5", "subset": "7", "layers": "stage3 head", "precision": "float32"}
    parsed = parse(NewtonParameters, "newton", {**texts, "memory": "0.5"})
    assert (parsed.damping, parsed.subset, parsed.memory) == (2.5, 7, 0.5)
    assert (tuple(parsed.layers), parsed.precision) == (("stage3", "head"), "float32")


def test_the_step_is_the_same_bit_for_bit_again() -> None:
    asked = task(Recipe(input_size=16, width=4, classes=3, epochs=1, train_images=20))
    for layers in ("", "auto"):
        texts = {"damping": "1", "subset": "9", "layers": layers}
        one, other = (weights_bytes(METHODS["newton"].run(asked, texts)) for _ in range(2))
        assert one == other


def test_the_automatic_choice_does_nearly_what_all_layers_do() -> None:
    trained = train(Recipe(input_size=16, width=4, epochs=12), pictures(), range(20), 1)
    asked = task(module=trained)
    names = automatic(asked, "float64", None)
    everything = {name.rpartition(".")[0] for name, _ in trained.named_parameters()}
    assert {"head"} < set(names) < everything
    index = torch.tensor(asked.forget)

    def loss(layers: str) -> float:
        found = METHODS["newton"].run(asked, {"damping": "3", "layers": layers})
        with torch.no_grad():
            logits = found(asked.images.images[index])
        return float(functional.cross_entropy(logits, asked.images.labels[index]))

    assert loss("auto") == loss(" ".join(names))
    assert loss("auto") > 0.8 * loss("") > 10 * loss("head")


def test_nan_is_refused_before_and_after_the_step() -> None:
    asked = task()
    with torch.no_grad():
        asked.module.get_parameter("head.bias").fill_(float("nan"))
    with pytest.raises(UnlearningError, match="NaN"):
        METHODS["newton"].run(asked, {"damping": "1"})
    asked = task()
    asked.images.images[5] = float("inf")
    with pytest.raises(UnlearningError, match="NaN"):
        METHODS["newton"].run(asked, {"damping": "1"})


def test_without_forgotten_or_retained_images_there_is_no_step() -> None:
    for changes in ({"forget": ()}, {"retain": ()}):
        with pytest.raises(UnlearningError, match="forgotten images and retained ones"):
            METHODS["newton"].run(replace(task(), **changes), {"damping": "1"})


def test_one_image_left_over_does_not_stand_alone_in_batch_norms_average() -> None:
    recipe = Recipe(architecture="resnet18", input_size=32, epochs=1, train_images=20)
    asked = Task(
        recipe=recipe,
        module=build(recipe, 1).eval(),
        images=pictures(count=66, size=32),
        forget=(0,),
        retain=tuple(range(1, 66)),
        seed=1,
    )
    METHODS["newton"].run(asked, {"damping": "10", "layers": "network.fc", "subset": "4"})


def test_the_subset_is_seeded_and_keeps_the_classes_shares() -> None:
    asked = task()
    chosen = curvature_sample(asked, 8)
    assert chosen == curvature_sample(asked, 8) and chosen.used == chosen.drawn
    assert set(chosen.used) <= set(asked.retain)
    assert sum(int(asked.images.labels[i]) for i in chosen.used) == 4
    assert curvature_sample(asked, 100).used == asked.retain
    assert parse(NewtonParameters, "newton", {"damping": "2"}).damping == 2


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
