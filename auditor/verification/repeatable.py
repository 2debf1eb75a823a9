"""Whether what is measured of an image is that image's alone, and the same every time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auditor.errors import EvidenceError
from auditor.learning.determinism import one_thread
from auditor.verification.measure import Measurements, measure

_Floats = NDArray[np.float32] | NDArray[np.float64]

_ASKED = 32
_SEED = 0
_ROUNDING = 1e-3
"""How far two answers to one image may lie apart, as a share of the largest.

Kernels differ by the size of a batch, and float32 rounds in another order: by 2e-6 of the largest
in most networks of torchvision at 28 and 32 px, fresh or trained, and by 1.2e-5 at most (ResNet,
DenseNet, EfficientNet, MobileNet, ShuffleNet, SqueezeNet, RegNet, Swin, ConvNeXt). Normalised
by its batch, the answers of a fresh ResNet-18 move by 0.4 and more, and by 0.02 and more where only
its first layer is. A thousandth lies between; what is less is far within what sets one training's
answers apart from the next one's.
"""


def require_repeatable(module: nn.Module, images: Tensor, labels: Tensor) -> None:
    """See that a network can be audited: asked again, it answers the same of an image.

    Some of the images are measured twice, which has to give the same bits, as a replay asks; and
    once more in another order and in batches of another size, which may differ by rounding.

    Raises:
        EvidenceError: it doesn't, or gives NaN or infinite values.
    """
    asked, labels = images[:_ASKED], labels[:_ASKED]
    mixed = torch.randperm(len(asked), generator=torch.Generator().manual_seed(_SEED))
    parts = mixed.tensor_split([len(mixed) // 3]) if len(mixed) > 1 else (mixed,)
    with one_thread():
        first, second = (measure(module, asked, labels) for _ in range(2))
        apart = [measure(module, asked[part], labels[part]) for part in parts]
    if any(not np.array_equal(one, two) for one, two in _pairs(first, second)):
        raise EvidenceError(
            "the network answers otherwise each time it is asked about the same images, and can't "
            "be audited; let it draw and keep nothing in evaluation mode"
        )
    for part, found in zip(parts, apart, strict=True):
        for whole, alone in _pairs(first, found):
            if np.abs(whole[part.numpy()] - alone).max() > _ROUNDING * np.abs(whole).max():
                raise EvidenceError(
                    "the network's answer about an image hangs on which others are asked about "
                    "with it, and can't be audited; give its normalisation running statistics"
                )


def _pairs(one: Measurements, two: Measurements) -> Iterator[tuple[_Floats, _Floats]]:
    """What was measured of each image, by both."""
    yield one.margins, two.margins
    for name, vectors in one.features.items():
        yield vectors, two.features[name]
