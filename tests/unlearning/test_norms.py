"""BatchNorm's running statistics, taken anew."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from auditor.unlearning.norms import batches, reestimate_norms


def test_statistics_are_plain_averages_over_batches_of_the_retained() -> None:
    images = torch.randn(150, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    images += torch.linspace(0, 3, 150)[:, None, None, None]
    norm = nn.BatchNorm2d(1)
    module = nn.Sequential(norm).train()
    norm.running_mean.fill_(1000.0)
    reestimate_norms(module, images, range(10, 150))
    order = 10 + torch.randperm(140, generator=torch.Generator().manual_seed(0))
    parts = [images[part] for part in torch.split(order, 64)]
    assert float(norm.running_mean) == pytest.approx(sum(float(p.mean()) for p in parts) / 3)
    assert float(norm.running_var) == pytest.approx(sum(float(p.var()) for p in parts) / 3)
    assert norm.momentum == 0.1 and not norm.training and not module.training


def test_a_manifest_sorted_by_label_gives_the_variances_of_a_mixed_one() -> None:
    images = torch.randn(320, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    images[160:] += 4.0
    norm = nn.BatchNorm2d(1)
    reestimate_norms(nn.Sequential(norm), images, range(320))
    assert float(norm.running_var) == pytest.approx(float(images.var()), rel=0.05)


@pytest.mark.parametrize(
    ("count", "sizes"), [(1, [1]), (4, [4]), (5, [5]), (6, [4, 2]), (9, [4, 5]), (8, [4, 4])]
)
def test_nobody_is_left_alone_in_a_batch(count: int, sizes: list[int]) -> None:
    parts = batches(torch.arange(count), 4)
    assert [len(part) for part in parts] == sizes
    assert torch.cat(parts).tolist() == list(range(count))
