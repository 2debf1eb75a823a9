"""Networks of another make: taken apart rightly, left alone where frozen, or refused in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from auditor.errors import UnlearningError
from auditor.learning.models import build
from auditor.learning.recipe import Recipe
from auditor.learning.training import train
from auditor.unlearning.guo2020newton import NewtonStep
from auditor.unlearning.layers import latter
from auditor.unlearning.method import METHODS, WITH_GUARANTEE
from auditor.unlearning.norms import reestimate_norms
from auditor.unlearning.task import Outsiders, Task, Tunable
from auditor.workflow.erasure.ladder import _met
from auditor.workflow.homes.steps import EXACT_METHODS
from tests.unlearning.dense import pictures

RECIPE = Recipe(input_size=16, width=4, epochs=2, train_images=20)


class Odd(nn.Module):
    """A small network, a part of which is to be odd."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(256, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.head(self.middle(torch.tanh(self.stem(images.flatten(1)))))
        return found

    def middle(self, hidden: Tensor) -> Tensor:
        return hidden


class Gate(Odd):
    """One number that scales a branch, as in ReZero."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1))

    def middle(self, hidden: Tensor) -> Tensor:
        return hidden + self.gamma * hidden.sin()


class Recurrent(Odd):
    """A layer that gives two tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.GRU(6, 6, batch_first=True)

    def middle(self, hidden: Tensor) -> Tensor:
        found: Tensor = self.memory(hidden[:, None])[0]
        return found[:, 0]


class Deciding(nn.Linear):
    """A layer whose way hangs on what comes out."""

    def forward(self, images: Tensor) -> Tensor:
        found = super().forward(images)
        return found if found.sum() > 0 else 2 * found


class Decides(Odd):
    def __init__(self) -> None:
        super().__init__()
        self.stem = Deciding(256, 6)


class Narrow(Odd):
    """One that computes in 32 bits whatever it is asked."""

    def middle(self, hidden: Tensor) -> Tensor:
        return hidden.float()


class Sequences(Odd):
    """Sixteen tokens first, images second."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(16, 6)

    def forward(self, images: Tensor) -> Tensor:
        rows = images[:, 0].transpose(0, 1)
        found: Tensor = self.head(torch.tanh(self.stem(rows)).mean(0))
        return found


class Scaled(Odd):
    """A parameter of no layer, as ConvNeXt's layer scale."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(6))

    def middle(self, hidden: Tensor) -> Tensor:
        return self.scale * hidden


class Table(Odd):
    """Whole numbers among the parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.order = nn.Parameter(torch.arange(6).flip(0), requires_grad=False)

    def middle(self, hidden: Tensor) -> Tensor:
        return hidden[:, self.order]


def task(module: nn.Module, retained: int = 18) -> Task:
    return Task(
        recipe=RECIPE,
        module=module.eval(),
        images=pictures(),
        forget=(0, 1),
        retain=tuple(range(2, 2 + retained)),
        seed=1,
    )


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return make()


@pytest.mark.parametrize("make", [Gate, Recurrent, Decides, Narrow, Scaled])
def test_what_the_step_cannot_take_apart_is_refused_in_words(make: type[Odd]) -> None:
    with pytest.raises(UnlearningError, match=r"naming layers|name layers"):
        METHODS["newton"].run(task(seeded(make)), {"damping": "1"})


@pytest.mark.parametrize("retained", [10, 16])
def test_rows_that_are_tokens_are_told_even_where_their_number_fits(retained: int) -> None:
    """With as many images as tokens the sum over both is right, and each of them isn't."""
    with pytest.raises(UnlearningError, match="naming layers"):
        METHODS["newton"].run(task(seeded(Sequences), retained), {"damping": "1"})


@pytest.mark.parametrize("make", [Gate, Scaled, Table])
def test_with_the_odd_part_left_out_it_steps(make: type[Odd]) -> None:
    module = seeded(make)
    found = METHODS["newton"].run(task(module), {"damping": "1", "layers": "stem head"})
    own, stepped = module.state_dict(), found.state_dict()
    moved = {name for name in own if not torch.equal(own[name], stepped[name])}
    assert moved == {"stem.weight", "stem.bias", "head.weight", "head.bias"}


def test_calibration_goes_by_the_latter_layers_where_another_part_is_odd() -> None:
    asked = task(train(RECIPE, pictures(), range(20), 1))
    asked.module.register_parameter("scale", nn.Parameter(torch.ones(6)))
    ways = [dict(way) for way, _ in NewtonStep().variants(replace(asked, outsiders=outsiders()))]
    assert {way["layers"] for way in ways} == {" ".join(latter(asked.module))}
    assert [way["guided"] for way in ways if "guided" in way] == ["1", "2", "3"]


def outsiders() -> Outsiders:
    return Outsiders(margins=dict.fromkeys(range(20), -0.1), sureness=0.5)


def test_frozen_weights_never_saw_a_patient_and_stay() -> None:
    module = train(RECIPE, pictures(), range(20), 1)
    for name, value in module.named_parameters():
        value.requires_grad_(not name.startswith("stem"))
    frozen = module.get_parameter("stem.weight").clone()
    ways = {
        "newton": {"damping": "1"},
        "reset-and-heal": {"share": "0.9", "epochs": "1", "learning_rate": "0.001"},
    }
    for method, texts in ways.items():
        found = METHODS[method].run(task(module), texts)
        assert torch.equal(found.get_parameter("stem.weight"), frozen)
        head = module.get_parameter("head.weight")
        assert not torch.equal(found.get_parameter("head.weight"), head)
    with pytest.raises(UnlearningError, match=r"that train under stem; there are .*head"):
        METHODS["newton"].run(task(module), {"damping": "1", "layers": "stem"})


def test_a_reset_reaches_weights_however_they_lie_in_memory() -> None:
    texts = {"share": "0.9", "epochs": "1", "learning_rate": "1e-12"}
    module = train(RECIPE, pictures(), range(20), 1)
    fresh = dict(build(RECIPE, 1).named_parameters())
    for form in (torch.contiguous_format, torch.channels_last):
        found = METHODS["reset-and-heal"].run(task(module.to(memory_format=form)), texts)
        for name, value in found.named_parameters():
            if value.dim() == 4:
                reset = torch.isclose(value, fresh[name], atol=1e-7).float().mean()
                assert float(reset) == pytest.approx(0.9, abs=0.03)


def test_statistics_of_a_kind_that_cannot_be_taken_anew_are_refused() -> None:
    module = nn.Sequential(nn.InstanceNorm2d(1, track_running_stats=True), nn.Flatten())
    with pytest.raises(UnlearningError, match="layer 0 keeps statistics of all images"):
        reestimate_norms(module, pictures().images, range(20))


def test_one_image_alone_has_no_batch_to_normalise_by() -> None:
    module = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(256), nn.Linear(256, 2))
    with pytest.raises(UnlearningError, match="1 retained images are too few"):
        reestimate_norms(module, pictures().images, [3])


class Centring(Odd):
    """Keeps a mean of its features, as prototypes and whitening do, and two constants."""

    def __init__(self) -> None:
        super().__init__()
        self.centre: Tensor
        self.register_buffer("centre", torch.zeros(6))
        self.register_buffer("places", torch.arange(6))
        self.register_buffer("ones", torch.ones(6), persistent=False)
        self.norm = nn.BatchNorm1d(6)

    def features(self, images: Tensor) -> Tensor:
        return torch.tanh(self.stem(images.flatten(1)))

    def middle(self, hidden: Tensor) -> Tensor:
        if self.training:
            self.centre.lerp_(hidden.detach().mean(0), 0.1)
        found: Tensor = self.norm(hidden - self.centre)[:, self.places]
        return found


class Settled(Centring):
    """The same, with constants alone."""

    def middle(self, hidden: Tensor) -> Tensor:
        found: Tensor = self.norm(hidden - self.centre)[:, self.places]
        return found


def centring(_recipe: Recipe) -> nn.Module:
    return Centring()


def settled(_recipe: Recipe) -> nn.Module:
    return Settled()


WAYS = {
    "newton": {"damping": "1"},
    "reset-and-heal": {"share": "0.9", "epochs": "1", "learning_rate": "0.001"},
    "reference-distillation": {"epochs": "1", "learning_rate": "0.001"},
    "negative-gradient": {"epochs": "1", "learning_rate": "0.001", "beta": "0.1"},
}


def keeping(factory: Callable[[Recipe], nn.Module]) -> Task:
    name = f"{__name__}:{factory.__name__}"
    recipe = replace(RECIPE, architecture=name, factories=(name,))
    asked = task(train(recipe, pictures(), range(15), 1), retained=13)
    return replace(asked, recipe=recipe, unseen=(15, 16, 17, 18, 19), outsiders=outsiders())


@pytest.mark.parametrize("method", sorted(set(METHODS) - EXACT_METHODS))
def test_what_a_training_wrote_beside_the_weights_is_refused_and_constants_are_not(
    method: str,
) -> None:
    asked = keeping(centring)
    said = r"buffer centre holds something .*; choose retrain"
    with pytest.raises(UnlearningError, match=said):
        METHODS[method].run(asked, WAYS[method])
    with pytest.raises(UnlearningError, match=said):
        next(cast("Tunable", METHODS[method]).variants(asked))
    assert not _met(asked, METHODS[method]) and _met(asked, METHODS["retrain"])
    plain = keeping(settled)
    assert METHODS[method].run(plain, WAYS[method]) and _met(plain, METHODS[method])


def test_what_a_training_wrote_a_retrain_writes_anew() -> None:
    asked = keeping(centring)
    found = METHODS["retrain"].run(asked, {})
    assert not torch.equal(found.get_buffer("centre"), asked.module.get_buffer("centre"))
    guaranteed = {
        **{"epsilon": "1", "delta": "0.001", "radius": "1", "steps": "1", "rate": "0.1"},
        **{"clip": "1", "decay": "0.1", "epochs": "1", "learning_rate": "0.001"},
    }
    found = WITH_GUARANTEE["noisy-fine-tuning"].run(asked, guaranteed)  # from a fresh network
    assert not torch.equal(found.get_buffer("centre"), asked.module.get_buffer("centre"))
