"""A few steps on a copy: as plain gradient descent takes them, and nothing else is touched."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from auditor.errors import ModelError
from auditor.learning import relearning
from auditor.learning.models import SmallResNet
from auditor.learning.relearning import relearn


def images(count: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(count, 1, 16, 16, generator=draw), torch.arange(count) % 2


def net(scale: float = 1.0) -> nn.Module:
    torch.manual_seed(2)
    made = SmallResNet(4, 2).train()
    with torch.no_grad():
        made.head.weight.mul_(scale)
    return made


def test_each_step_goes_down_the_gradient_by_a_share_of_the_weights_length() -> None:
    module, (pictures, labels) = net(), images()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    found = relearn(module, pictures, labels, steps=2, length=0.01)
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert torch.equal(found, relearn(module, pictures, labels, steps=2, length=0.01))

    plain = net().eval()
    for step in range(2):
        logits = plain(pictures)
        signs = torch.where(labels == 1, 1.0, -1.0)
        assert torch.allclose(found[step].float(), signs * (logits[:, 1] - logits[:, 0]), atol=1e-5)
        functional.cross_entropy(logits, labels).backward()
        flat = torch.cat([value.grad.flatten() for value in plain.parameters()])
        whole = torch.cat([value.detach().flatten() for value in plain.parameters()]).norm()
        with torch.no_grad():
            for value in plain.parameters():
                value -= 0.01 * whole * value.grad / flat.norm()
                value.grad = None
    assert found[2].mean() > found[0].mean()


def test_images_in_several_batches_are_learned_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, labels = images()
    whole = relearn(net(), pictures, labels)
    monkeypatch.setattr(relearning, "_BATCH", 5)
    assert torch.allclose(relearn(net(), pictures, labels), whole, atol=1e-4)


def test_what_has_no_gradient_or_no_numbers_is_refused() -> None:
    pictures, labels = images()

    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 0.0 * self.weight + torch.zeros(len(x), 2)

    with pytest.raises(ModelError, match="no gradient"):
        relearn(Fixed(), pictures, labels)
    with pytest.raises(ModelError, match="NaN"):
        relearn(net(float("nan")), pictures, labels)
