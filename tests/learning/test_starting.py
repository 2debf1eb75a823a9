"""What a network starts from: weights of before are found, what is set by hand is let be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from auditor.errors import ModelError
from auditor.learning.models import SmallResNet
from auditor.learning.recipe import Recipe
from auditor.learning.starting import require_drawn, starting_weights
from tests.learning.noise import DROPPING


def _last_year() -> SmallResNet:
    """Weights that are there whatever the seed, as those of a model that was trained before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2025)
        return SmallResNet(4, 2)


class ByHand(nn.Module):
    """All that networks commonly start from and that nobody trained."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((64,), 1e-6))  # of a layer
        self.same = nn.Parameter(nn.init.dirac_(torch.empty(8, 8, 3, 3)))
        edges = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
        self.edges = nn.Parameter(edges.expand(8, 1, 3, 3).clone(), requires_grad=False)
        self.prior = nn.Parameter(torch.tensor([2.2, -2.2]))
        self.register_buffer("places", torch.arange(400).reshape(20, 20))
        waves = torch.sin(torch.arange(512.0).reshape(16, 32) / 100)
        self.register_buffer("waves", waves, persistent=False)
        self.norm = nn.BatchNorm1d(64)
        self.head = nn.Linear(64, 2)

    def features(self, x: Tensor) -> Tensor:
        """Input of the head."""
        inner: Tensor = self.norm(x.flatten(1)[:, :64] * self.scale)
        return inner


def all_of_them(_recipe: Recipe) -> nn.Module:
    return _last_year()


def frozen(_recipe: Recipe) -> nn.Module:
    network = SmallResNet(4, 2)
    network.stage1 = _last_year().stage1.requires_grad_(False)
    return network


def one_layer(_recipe: Recipe) -> nn.Module:
    network = SmallResNet(4, 2)
    network.stem = _last_year().stem
    return network


def coarse(_recipe: Recipe) -> nn.Module:
    """Rounded to sixteen bits, as weights are handed on to save space."""
    network = SmallResNet(4, 2)
    network.stage3.load_state_dict(_last_year().stage3.bfloat16().state_dict())
    return network


def running(_recipe: Recipe) -> nn.Module:
    network = ByHand()
    network.norm.running_mean = torch.randn(64, generator=torch.Generator().manual_seed(1))
    return network


def by_hand(_recipe: Recipe) -> nn.Module:
    return ByHand()


def _recipe(factory: str) -> Recipe:
    name = factory if ":" in factory else f"{__name__}:{factory}"
    return Recipe(architecture=name, factories=(name,), input_size=16)


@pytest.mark.parametrize(
    ("factory", "named"),
    [
        (all_of_them, "stem.weight"),
        (frozen, "stage1.conv1.weight"),
        (one_layer, "stem.weight"),
        (coarse, "stage3.conv1.weight"),
        (running, "norm.running_mean"),
    ],
)
def test_weights_of_before_are_refused_by_name(
    factory: Callable[[Recipe], nn.Module], named: str
) -> None:
    with pytest.raises(ModelError, match=f"gives {named} the same values whatever the seed"):
        require_drawn(_recipe(factory.__name__))


@pytest.mark.parametrize("factory", ["by_hand", DROPPING, "tests.unlearning.ward:narrow_resnet"])
def test_what_is_drawn_or_set_by_hand_is_taken(factory: str) -> None:
    assert starting_weights(_recipe(factory)) == ()
    require_drawn(_recipe(factory))


@pytest.mark.parametrize("architecture", ["small-resnet", "resnet18"])
def test_networks_that_are_known_are_taken(architecture: str) -> None:
    assert starting_weights(Recipe(architecture=architecture)) == ()
