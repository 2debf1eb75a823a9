"""Where a network is looked into, whatever it is made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from auditor.errors import EvidenceError
from auditor.learning.depths import HEAD, LARGEST, Depths, bounded, find_depths, watched
from auditor.learning.models import GreyNetwork, SmallResNet
from auditor.verification.measure import measure
from auditor.verification.queries import AUGMENTATIONS, NOISES

SIZE = 32


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name == "small-resnet":
        return SmallResNet(8, 2).eval()
    return GreyNetwork(models.get_model(name, weights=None, num_classes=2)).eval()


@pytest.mark.parametrize(
    ("name", "inner", "head"),
    [
        ("small-resnet", ("stage1", "stage2"), "head"),
        ("resnet18", ("network.layer1", "network.layer3"), "network.fc"),
        (
            "mobilenet_v3_small",
            ("network.features.4", "network.features.8"),
            "network.classifier.3",
        ),
        ("swin_t", ("network.features.3", "network.features.5.3"), "network.head"),
        ("squeezenet1_1", ("network.features.6", "network.features.9"), ""),
    ],
)
def test_depths_lie_at_a_third_and_two_thirds_of_the_layers(
    name: str, inner: tuple[str, ...], head: str
) -> None:
    module = network(name)
    assert find_depths(module, torch.zeros(2, 1, SIZE, SIZE)) == Depths(inner=inner, head=head)


def test_measuring_one_depth_is_reading_the_module_there_and_leaves_nothing_behind() -> None:
    module = network("small-resnet")
    pictures = torch.rand(5, 1, SIZE, SIZE)
    depths = find_depths(module, pictures)
    with torch.no_grad(), watched(module, depths) as caught:
        module(pictures)
        stem = module.stage1(torch.relu(module.norm(module.stem(pictures))))
        assert torch.equal(caught["stage1"], bounded(stem))
        assert torch.equal(caught[HEAD], bounded(module.features(pictures)))
        assert list(caught) == ["stage1", "stage2", HEAD]
    caught.clear()
    module(pictures)
    assert not caught
    assert not any(inner._forward_hooks or inner._forward_pre_hooks for inner in module.modules())


def test_maps_tokens_and_vectors_become_short_vectors_that_keep_distances() -> None:
    torch.manual_seed(1)
    maps = torch.rand(3, 4, 6, 6)
    quarters = maps.reshape(3, 4, 2, 3, 2, 3).mean(dim=(3, 5)).flatten(1)
    assert torch.allclose(bounded(maps), quarters)
    assert torch.allclose(bounded(maps.permute(0, 2, 3, 1)), quarters)
    tokens = torch.rand(3, 7, 5)
    assert torch.allclose(bounded(tokens), tokens.mean(dim=1))
    long = torch.randn(40, 1024)
    short = bounded(long)
    assert short.shape == (40, LARGEST)
    ratio = torch.pdist(short) / torch.pdist(long)
    assert 0.8 < float(ratio.min()) < float(ratio.max()) < 1.2
    assert abs(float(ratio.mean()) - 1) < 0.02


def test_a_model_is_measured_in_one_run_of_each_image_and_query() -> None:
    module = network("small-resnet")
    pictures, labels = torch.rand(6, 1, SIZE, SIZE), torch.tensor([0, 1, 0, 1, 1, 0])
    seen: list[int] = []
    handle = module.register_forward_hook(lambda _m, inputs, _o: seen.append(len(inputs[0])))
    plain = measure(module, pictures, labels)
    assert seen == [2, 6]  # two images to find the depths
    asked = measure(module, pictures, labels, queries=True)
    handle.remove()
    assert plain.augmented.size == plain.noisy.size == 0
    assert asked.augmented.shape == (len(AUGMENTATIONS), 6)
    assert asked.noisy.shape == (len(NOISES), 6)
    assert np.array_equal(plain.margins, asked.margins)
    flipped = measure(module, pictures.flip(-1), labels)
    assert np.allclose(asked.augmented[0], flipped.margins)
    rows = {row.tobytes() for row in (asked.margins, *asked.augmented, *asked.noisy)}
    assert len(rows) == 1 + len(AUGMENTATIONS) + len(NOISES)


class Broken(nn.Module):
    """Its features are infinite, its outputs aren't."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(SIZE * SIZE, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.body(x.flatten(1)) * torch.inf
        result: Tensor = self.head(torch.nan_to_num(inner, 0, 0, 0))
        return result


class Sick(Broken):
    """Its features are NaN where its head looks."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.nan_to_num(self.head(self.body(x.flatten(1)) * torch.nan))


def test_features_that_are_no_numbers_are_refused_though_the_outputs_are() -> None:
    pictures, labels = torch.rand(4, 1, SIZE, SIZE), torch.tensor([0, 1, 0, 1])
    assert measure(Broken(), pictures, labels).margins.shape == (4,)
    with pytest.raises(EvidenceError, match="NaN"):
        measure(Sick(), pictures, labels)
