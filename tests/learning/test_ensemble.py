"""Stacked training against one after another: the same models, to float tolerance."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from auditor.errors import ModelError
from auditor.learning.ensemble import Member, can_stack, train_stacked
from auditor.learning.order import batch_order
from auditor.learning.recipe import Recipe
from auditor.learning.training import train
from tests.learning.noise import DROPPING, noise

RECIPE = Recipe(input_size=16, width=4, epochs=3, batch_size=5, weight_decay=0.3)
TOLERANCE = 5e-6
IMAGES = noise(patients=14)
EVERYONE = range(len(IMAGES.labels))
MEMBERS = [
    Member(indices=tuple(EVERYONE), seed=1),
    Member(indices=tuple(EVERYONE), seed=2),
    Member(indices=tuple(EVERYONE)[::2], seed=3),  # other steps, another rate, a shorter last batch
    Member(indices=(0, 1, 2, 4, 7, 9), seed=4),
]


def plain(members: list[Member], recipe: Recipe = RECIPE) -> list[nn.Module]:
    return [train(recipe, IMAGES, item.indices, item.seed) for item in members]


def furthest(one: nn.Module, other: nn.Module) -> float:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return max(float((mine - yours).abs().max()) for mine, yours in pairs)


def test_each_member_is_the_model_that_training_alone_makes() -> None:
    alone, stacked = plain(MEMBERS), train_stacked(RECIPE, IMAGES, MEMBERS)
    for mine, yours in zip(stacked, alone, strict=True):
        assert not mine.training
        assert furthest(mine, yours) < TOLERANCE
        assert torch.allclose(mine(IMAGES.images), yours(IMAGES.images), atol=TOLERANCE)
    # both sides: what differs by one image, or one step's rate, is told apart
    fewer = train(RECIPE, IMAGES, MEMBERS[3].indices[:-1], MEMBERS[3].seed)
    assert furthest(stacked[3], fewer) > 1e-3
    assert furthest(stacked[0], stacked[1]) > 1e-3


def test_members_have_different_numbers_of_steps_and_last_batches() -> None:
    orders = [batch_order(RECIPE, IMAGES.subjects, m.indices, m.seed).steps for m in MEMBERS]
    assert len({len(order) for order in orders}) == 3
    assert len({len(batch) for order in orders for batch in order}) > 2


def test_a_member_comes_out_the_same_whoever_is_beside_it() -> None:
    (alone,) = train_stacked(RECIPE, IMAGES, MEMBERS[3:])
    assert furthest(train_stacked(RECIPE, IMAGES, MEMBERS)[3], alone) < TOLERANCE


def test_the_same_stack_gives_the_same_bits() -> None:
    once, again = (train_stacked(RECIPE, IMAGES, MEMBERS[:2]) for _ in range(2))
    assert furthest(once[0], again[0]) == 0 == furthest(once[1], again[1])


class Keeping(nn.Module):
    """Counts its calls in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(256, 2)
        self.register_buffer("calls", torch.zeros(1))

    def features(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


class Drawing(nn.Module):
    """Draws while training, and has no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.head = nn.Dropout(0.3), nn.Linear(256, 2)

    def features(self, x: Tensor) -> Tensor:
        dropped: Tensor = self.drop(x.flatten(1))
        return dropped

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


class Mixing(nn.Module):
    """Normalises an image by the others, but keeps no statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head = nn.BatchNorm1d(256, track_running_stats=False), nn.Linear(256, 2)

    def features(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(x.flatten(1))
        return normed

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


class Centring(nn.Module):
    """Subtracts the batch's mean by hand while training."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(256, 2)

    def features(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        return flat - flat.mean(0, keepdim=True) if self.training else flat

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


class Layered(nn.Module):
    """Two layers, of which the first is frozen, or whose weights are one."""

    def __init__(self, *, frozen: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(256, 256), nn.Linear(256, 256)
        self.head = nn.Linear(256, 2)
        if frozen:
            self.first.requires_grad_(False)
        else:
            self.second.weight = self.first.weight

    def features(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(torch.relu(self.first(x.flatten(1)))))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


def centring(_recipe: Recipe) -> nn.Module:
    return Centring()


def frozen(_recipe: Recipe) -> nn.Module:
    return Layered(frozen=True)


def shared(_recipe: Recipe) -> nn.Module:
    return Layered(frozen=False)


def keeping(_recipe: Recipe) -> nn.Module:
    return Keeping()


def drawing(_recipe: Recipe) -> nn.Module:
    return Drawing()


def mixing(_recipe: Recipe) -> nn.Module:
    return Mixing()


@pytest.mark.parametrize(
    "architecture",
    [
        *(DROPPING, "resnet18"),
        *(f"{__name__}:{name}" for name in ("keeping", "drawing", "mixing", "centring")),
        *(f"{__name__}:{name}" for name in ("frozen", "shared")),
    ],
)
def test_a_network_that_stacked_would_become_another_model_is_refused(
    architecture: str,
) -> None:
    factories = (architecture,) if ":" in architecture else ()
    recipe = Recipe(architecture=architecture, input_size=16, factories=factories)
    assert not can_stack(recipe)
    with pytest.raises(ModelError, match="can't be trained stacked"):
        train_stacked(recipe, IMAGES, MEMBERS)


def test_a_member_without_images_and_one_that_diverges_are_refused() -> None:
    with pytest.raises(ModelError, match="nothing to train on"):
        train_stacked(RECIPE, IMAGES, [MEMBERS[0], Member(indices=(), seed=5)])
    hot = Recipe(input_size=16, width=4, epochs=4, learning_rate=0.99, weight_decay=0.99)
    sick = noise(patients=6)
    sick.images[0] = float("nan")
    with pytest.raises(ModelError, match="diverged"):
        train_stacked(hot, sick, [Member(indices=tuple(range(8)), seed=1)])
