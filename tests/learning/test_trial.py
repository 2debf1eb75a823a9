"""Networks that can't be trained are refused in a line, before anything is on the books."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from auditor.errors import ModelError
from auditor.learning.models import SmallResNet
from auditor.learning.recipe import Recipe
from auditor.learning.trial import require_trainable
from tests.learning.noise import DROPPING


class Twofold(SmallResNet):
    """Gives its logits and something else."""

    def forward(self, x: Tensor) -> Tensor:
        """A pair, whatever it says."""
        return super().forward(x), None  # type: ignore[return-value]


class Waiting(SmallResNet):
    """Its head hasn't seen an image yet."""

    def __init__(self) -> None:
        super().__init__(4, 2)
        self.head = nn.LazyLinear(2)


def half(_recipe: Recipe) -> nn.Module:
    return SmallResNet(4, 2).half()


def double(_recipe: Recipe) -> nn.Module:
    return SmallResNet(4, 2).double()


def one_logit(_recipe: Recipe) -> nn.Module:
    return SmallResNet(4, 1)


def three_logits(_recipe: Recipe) -> nn.Module:
    return SmallResNet(4, 3)


def twofold(_recipe: Recipe) -> nn.Module:
    return Twofold(4, 2)


def frozen(_recipe: Recipe) -> nn.Module:
    return SmallResNet(4, 2).requires_grad_(False)


def waiting(_recipe: Recipe) -> nn.Module:
    return Waiting()


@pytest.mark.parametrize(
    ("factory", "complaint"),
    [
        (half, "can't be trained on grey pictures of 16 pixels a side: RuntimeError"),
        (double, "can't be trained on grey pictures of 16 pixels a side: RuntimeError"),
        (one_logit, "for each picture and each of 2 classes"),
        (three_logits, "for each picture and each of 2 classes"),
        (twofold, "has to give one tensor of logits"),
        (frozen, "are frozen"),
        (waiting, "has weights without a shape"),
    ],
)
def test_a_network_that_can_not_be_trained_is_refused_in_a_line(
    factory: Callable[[Recipe], nn.Module], complaint: str
) -> None:
    name = f"{__name__}:{factory.__name__}"
    with pytest.raises(ModelError, match=complaint) as refused:
        require_trainable(Recipe(architecture=name, factories=(name,), input_size=16))
    assert "\n" not in str(refused.value)


def test_pictures_too_small_for_torchvisions_network_are_refused() -> None:
    with pytest.raises(ModelError, match="can't be trained on grey pictures of 8 pixels"):
        require_trainable(Recipe(architecture="squeezenet1_1", input_size=8))


@pytest.mark.parametrize("architecture", ["small-resnet", "resnet18", DROPPING])
def test_a_network_that_can_be_trained_is_tried_and_leaves_the_generator_alone(
    architecture: str,
) -> None:
    factories = (architecture,) if ":" in architecture else ()
    before = torch.random.get_rng_state()
    require_trainable(Recipe(architecture=architecture, input_size=16, factories=factories))
    assert torch.equal(torch.random.get_rng_state(), before)
