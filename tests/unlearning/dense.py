"""The Newton step's dense twin, which builds every matrix, and networks narrow enough for it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torchvision import models
from torchvision.models.resnet import BasicBlock, Bottleneck

from auditor.learning.datasets import ImageSet
from auditor.learning.models import GreyNetwork, SmallResNet
from auditor.learning.recipe import Recipe
from auditor.unlearning.task import Task


def image_set(images: Tensor, labels: Tensor) -> ImageSet:
    count = len(images)
    return ImageSet(
        images=images,
        labels=labels,
        subjects=tuple(f"p{k}" for k in range(count)),
        sites=("",) * count,
        sexes=("",) * count,
        ages=("",) * count,
        splits=("",) * count,
    )


def pictures(classes: int = 2, count: int = 20, size: int = 16) -> ImageSet:
    random = torch.Generator().manual_seed(3)
    drawn = torch.randn(count, 1, size, size, generator=random)
    return image_set(drawn, torch.arange(count) % classes)


_PLANES = {64: 2, 128: 3, 256: 4, 512: 4}


class NarrowResNet(models.ResNet):
    """torchvision's ResNet with few channels and one block a stage."""

    def __init__(self, block: type[BasicBlock | Bottleneck], classes: int) -> None:
        super().__init__(block, [1, 1, 1, 1], num_classes=classes)
        self.conv1 = nn.Conv2d(3, 4, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4 * block.expansion, classes)

    def _make_layer(self, block: Any, planes: int, *rest: Any, **named: Any) -> nn.Sequential:
        if planes == 64:
            self.inplanes = 4
        return super()._make_layer(block, _PLANES[planes], *rest, **named)


def narrow_resnet18(classes: int) -> nn.Module:
    return NarrowResNet(BasicBlock, classes)


def narrow_resnet50(classes: int) -> nn.Module:
    return NarrowResNet(Bottleneck, classes)


def narrow_densenet121(classes: int, memory_efficient: bool = False) -> nn.Module:
    return models.DenseNet(
        growth_rate=2,
        block_config=(1, 1, 1, 1),
        num_init_features=6,
        num_classes=classes,
        memory_efficient=memory_efficient,
    )


def narrow_vit_b_16(classes: int) -> nn.Module:
    return models.VisionTransformer(
        image_size=16,
        patch_size=8,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        mlp_dim=16,
        num_classes=classes,
    )


NARROW: Mapping[str, Callable[[int], nn.Module]] = {
    "resnet18": narrow_resnet18,
    "resnet50": narrow_resnet50,
    "densenet121": narrow_densenet121,
    "vit_b_16": narrow_vit_b_16,
}


def lively(module: nn.Module) -> nn.Module:
    """In float64, with no weight at a value where a mistake wouldn't show, such as 0 or 1."""
    random = torch.Generator().manual_seed(11)
    module = module.double()
    with torch.no_grad():
        for value in module.parameters():
            value += 0.2 * torch.randn(value.shape, generator=random, dtype=value.dtype)
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.bias += 1.0  # few units cut off by the ReLU behind
                norm.running_mean.normal_(0, 0.3, generator=random)
                norm.running_var.uniform_(0.5, 1.5, generator=random)
    return module.eval()


def narrow_task(architecture: str, classes: int) -> Task:
    size = {"resnet18": 33, "resnet50": 33, "densenet121": 65}
    return task_of(narrow(architecture, classes), classes, size=size.get(architecture, 16))


def narrow(architecture: str, classes: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        if architecture == "small-resnet":
            return lively(SmallResNet(4, classes))
        return lively(GreyNetwork(NARROW[architecture](classes)))


def task_of(module: nn.Module, classes: int, count: int = 12, size: int = 16) -> Task:
    drawn = pictures(classes, count, size)
    return Task(
        recipe=Recipe(input_size=size, width=4, classes=classes, epochs=1, train_images=count),
        module=module.eval(),
        images=replace(drawn, images=drawn.images.double()),
        forget=(0, 1),
        retain=tuple(range(2, count)),
        seed=5,
    )


class Dense:
    """A network in float64, with the whole Jacobian of its logits in the named parameters."""

    def __init__(self, asked: Task, names: Sequence[str]) -> None:
        self._module = copy.deepcopy(asked.module).double()
        self._images = asked.images.images.double()
        self.values = {
            name: value.detach()
            for name, value in self._module.named_parameters()
            if not names or name in names
        }

    def logits(self, index: int) -> Tensor:
        """Of one image, (classes,)."""
        return self._logits(self.values, index).detach()

    def jacobian(self, index: int) -> Tensor:
        """Of one image's logits, (classes, parameters)."""
        with sdpa_kernel(SDPBackend.MATH):
            found = torch.func.jacrev(lambda values: self._logits(values, index))(self.values)
        return torch.cat([found[name].flatten(1) for name in self.values], 1).detach()

    def by_name(self, step: Tensor) -> dict[str, Tensor]:
        """A step, (parameters,), by parameter."""
        parts = step.split([value.numel() for value in self.values.values()])
        pairs = zip(self.values.items(), parts, strict=True)
        return {name: part.view_as(value) for (name, value), part in pairs}

    def _logits(self, values: Mapping[str, Tensor], index: int) -> Tensor:
        picture = self._images[index : index + 1]
        output: Tensor = torch.func.functional_call(self._module, dict(values), (picture,))[0]
        return output


def dense_step(asked: Task, damping: float, names: Sequence[str] = ()) -> dict[str, Tensor]:
    """(H + lambda I)^-1 g with H = sum of J^T (diag p - p p^T) J over retained images, by name."""
    net = Dense(asked, names)
    total = sum(value.numel() for value in net.values.values())
    curvature = torch.zeros(total, total).double()
    gradient = torch.zeros(total).double()
    for index in (*asked.forget, *asked.retain):
        flat = net.jacobian(index)
        p = torch.softmax(net.logits(index), 0)
        if index in asked.forget:
            target = nn.functional.one_hot(asked.images.labels[index], len(p)).double()
            gradient += flat.T @ (p - target)
        else:
            curvature += flat.T @ (torch.diag(p) - torch.outer(p, p)) @ flat
    root = torch.linalg.cholesky(curvature + damping * torch.eye(total).double())
    step = torch.cholesky_solve(gradient[:, None], root)[:, 0]
    return net.by_name(step)


def moved(before: nn.Module, after: nn.Module) -> dict[str, Tensor]:
    """By how much each parameter moved, where it did."""
    with torch.no_grad():
        ways = {n: after.get_parameter(n) - v for n, v in before.named_parameters()}
    return {name: way for name, way in ways.items() if bool(way.any())}


def distance(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    """Norm of the difference relative to the norm of what was expected."""
    off = sum(float((found[n] - v).square().sum()) for n, v in expected.items())
    size = sum(float(v.square().sum()) for v in expected.values())
    return float((off / size) ** 0.5)
