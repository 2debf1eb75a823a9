"""Networks that answer an image alike whenever and beside whatever they are asked, and others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from auditor.errors import EvidenceError
from auditor.learning.models import GreyNetwork, SmallResNet, build
from auditor.learning.recipe import Recipe
from auditor.learning.training import train
from auditor.verification.repeatable import require_repeatable
from tests.learning.noise import noise
from tests.unlearning.dense import narrow_vit_b_16

IMAGES = noise()


class Noisy(SmallResNet):
    """As Monte-Carlo dropout is: it draws in evaluation mode."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 0.01 * torch.randn(len(x), 1)


class Learning(SmallResNet):
    """Goes on learning from whatever it is asked about."""

    asked = 0

    def forward(self, x: Tensor) -> Tensor:
        self.asked += 1
        return super().forward(x) * (1 + 1e-4 * self.asked)


class Placed(SmallResNet):
    """Draws the same each time, so that what an image gets hangs on its place."""

    def forward(self, x: Tensor) -> Tensor:
        drawn = torch.randn(len(x), 2, generator=torch.Generator().manual_seed(1))
        return super().forward(x) + 0.1 * drawn


class Batched(nn.Module):
    """Normalises by the batch, in evaluation mode, too."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, 2, 1)
        self.norm = nn.BatchNorm2d(4, track_running_stats=False)
        self.head = nn.Linear(256, 2)

    def features(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.stem(x))).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return make()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Noisy(4, 2), "otherwise each time"),
        (lambda: Learning(4, 2), "otherwise each time"),
        (lambda: Placed(4, 2), "hangs on which others are asked about with it"),
        (Batched, "hangs on which others are asked about with it"),
    ],
)
def test_an_answer_that_is_not_the_images_own_is_refused(
    make: Callable[[], nn.Module], said: str
) -> None:
    with pytest.raises(EvidenceError, match=said):
        require_repeatable(seeded(make), IMAGES.images, IMAGES.labels)


@pytest.mark.parametrize(
    ("architecture", "size"),
    [
        ("small-resnet", 28),
        ("small-resnet", 32),
        ("resnet18", 28),
        ("densenet121", 32),
        ("efficientnet_b0", 28),
        ("efficientnet_b0", 32),
        ("shufflenet_v2_x1_0", 32),
    ],
)
def test_rounding_by_the_size_of_a_batch_refuses_no_ordinary_network(
    architecture: str, size: int
) -> None:
    """ShuffleNet rounded most of all that were tried: 1.2e-5 of the largest answer."""
    images = torch.rand(40, 1, size, size, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(40) % 2
    recipe = Recipe(architecture=architecture, input_size=size, width=8)
    module = build(recipe, 1)
    require_repeatable(module, images, labels)
    require_repeatable(module, images[:1], labels[:1])
    several = replace(IMAGES, images=images[:30], labels=labels[:30])
    short = replace(recipe, epochs=1, batch_size=10)
    require_repeatable(train(short, several, range(30), 1), images, labels)


def test_a_transformer_is_ordinary() -> None:
    module = seeded(lambda: GreyNetwork(narrow_vit_b_16(2)))
    require_repeatable(module, IMAGES.images, IMAGES.labels)
