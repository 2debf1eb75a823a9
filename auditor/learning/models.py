"""Networks: the built-in small ResNet, torchvision's, and those of factories that a home allows.

Every network has ``features(x)`` (n, d), the input of its last linear layer, and ``forward(x)``
(n, classes), its logits; both see grey images (n, 1, H, W).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import ModelError
from auditor.learning.recipe import Recipe

_GROUPS = 4
_GRID = 4


class _Block(nn.Module):
    """Basic residual block (He et al. 2016) with GroupNorm (Wu and He 2018)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.GroupNorm(_GROUPS, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.GroupNorm(_GROUPS, outputs)
        same = stride == 1 and inputs == outputs
        self.skip = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(inner)) + self.skip(x))


class SmallResNet(nn.Module):
    """Three residual stages; its head sees a 4 x 4 grid, so that where a thing lies counts."""

    def __init__(self, width: int, classes: int) -> None:
        """Build with random weights from torch's current generator."""
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, 2, 1, bias=False)
        self.norm = nn.GroupNorm(_GROUPS, width)
        self.stage1 = _Block(width, width, 1)
        self.stage2 = _Block(width, 2 * width, 2)
        self.stage3 = _Block(2 * width, 4 * width, 2)
        self.pool = nn.AdaptiveAvgPool2d(_GRID)
        self.head = nn.Linear(4 * width * _GRID * _GRID, classes)

    def features(self, x: Tensor) -> Tensor:
        """Input of the head, (n, 64 * width)."""
        inner = functional.relu(self.norm(self.stem(x)))
        inner = self.stage3(self.stage2(self.stage1(inner)))
        return torch.flatten(self.pool(inner), 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (n, classes)."""
        logits: Tensor = self.head(self.features(x))
        return logits


class GreyNetwork(nn.Module):
    """A colour network that sees grey images on all three channels."""

    def __init__(self, network: nn.Module) -> None:
        """Wrap ``network``."""
        super().__init__()
        self.network = network

    def features(self, x: Tensor) -> Tensor:
        """Input of the network's last linear layer."""
        caught: list[Tensor] = []
        head = [module for module in self.modules() if isinstance(module, nn.Linear)][-1]
        hook = head.register_forward_hook(lambda _m, inputs, _o: caught.append(inputs[0]))
        try:
            self(x)
        finally:
            hook.remove()
        return caught[0]

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (n, classes)."""
        logits: Tensor = self.network(x.expand(-1, 3, -1, -1))
        return logits


def build(recipe: Recipe, seed: int) -> nn.Module:
    """A fresh network with weights drawn from ``seed``; the caller's generator is left alone.

    Raises:
        ModelError: an architecture that is neither built in, torchvision's nor allowed; or a
            factory that isn't there, fails or makes no network. Its module runs on import, so one
            that isn't allowed is never imported.
    """
    make = _factory(recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def _factory(recipe: Recipe) -> Callable[[], nn.Module]:
    name = recipe.architecture
    if name == "small-resnet":
        return lambda: SmallResNet(recipe.width, recipe.classes)
    if ":" in name:
        if name not in recipe.factories:
            raise ModelError(
                f"factory {name} isn't allowed here; whoever trusts its code adds it to factories "
                "under [models] in auditor.toml"
            )
        return lambda: _made_by(name, recipe)
    from torchvision import models

    if name not in models.list_models(module=models):
        raise ModelError(f"unknown architecture {name}; see torchvision.models.list_models()")
    return lambda: GreyNetwork(models.get_model(name, weights=None, num_classes=recipe.classes))


def _made_by(name: str, recipe: Recipe) -> nn.Module:
    module, _, attribute = name.partition(":")
    try:
        made = getattr(importlib.import_module(module), attribute)(recipe)
    except Exception as error:  # it is another's code
        raise ModelError(f"factory {name} failed: {type(error).__name__}: {error}") from error
    if not isinstance(made, nn.Module) or not callable(getattr(made, "features", None)):
        raise ModelError(f"factory {name} made no network with features(x) and forward(x)")
    return made
