"""Deliberate fakes, to see that the laboratory catches them. Never among METHODS."""

from __future__ import annotations

import copy

import torch
from torch import nn


def untouched(module: nn.Module) -> nn.Module:
    """The same model, called a candidate."""
    return copy.deepcopy(module)


def noise_only(module: nn.Module, *, scale: float, seed: int) -> nn.Module:
    """The same model with noise of ``scale`` times each tensor's spread on its weights."""
    fake = copy.deepcopy(module)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in fake.parameters():
            if value.numel() > 1:
                noise = torch.randn(value.shape, generator=random)
                value.add_(scale * value.std() * noise)
    return fake
