"""Changed images that a model is also asked about: small enough changes to keep the diagnosis.

Whoever hides what a model remembers of the very images (answers for them by a list, or trained
against them) must hide it for these, too. After Choquette-Choo et al. 2021, sections 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Query = Callable[[Tensor], Tensor]  # (n, 1, H, W) to the same

_NOISE_SEED = 20220512


def _shift(rows: int, columns: int) -> Query:
    """Move by a sixteenth of the side per step."""

    def moved(images: Tensor) -> Tensor:
        step = max(1, images.shape[-1] // 16)
        return images.roll((rows * step, columns * step), (-2, -1))

    return moved


def _noise(size: float) -> Query:
    """Add the same picture of Gaussian noise, ``size`` times the images' spread, to every image."""

    def noisy(images: Tensor) -> Tensor:
        draw = torch.Generator().manual_seed(_NOISE_SEED)
        noise = torch.randn(images.shape[1:], generator=draw).to(images)
        return images + size * images.std((1, 2, 3), keepdim=True) * noise

    return noisy


AUGMENTATIONS: tuple[Query, ...] = (
    lambda images: images.flip(-1),
    _shift(1, 0),
    _shift(0, -1),
)
NOISES: tuple[Query, ...] = (_noise(0.5), _noise(1.0))
