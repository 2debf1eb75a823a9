"""From a model to numbers: the only place in the laboratory that touches torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auditor.errors import EvidenceError

_BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurements:
    """What one model says about every image.

    Attributes:
        margins: signed logit margin z_y - logsumexp of the other classes, (n,); the confidence
            of Carlini et al. 2022 (LiRA), section V-A.
        scores: the same margin towards class 1, for AUC-ROC, (n,).
        features: input of the last linear layer, (n, d).
    """

    margins: NDArray[np.float64]
    scores: NDArray[np.float64]
    features: NDArray[np.float32]


class _Featured(Protocol):
    """What every model of the bench offers beside ``forward``."""

    def features(self, x: Tensor) -> Tensor: ...


def measure(module: nn.Module, images: Tensor, labels: Tensor) -> Measurements:
    """Measure a model, in evaluation mode, on its own device.

    Args:
        module: with ``features(x)`` and ``forward(x)``.
        images: (n, 1, H, W).
        labels: (n,).

    Raises:
        EvidenceError: the model gives NaN or infinite values.
    """
    device = next(module.parameters()).device
    module.eval()
    logits, features = [], []
    with torch.no_grad():
        for batch in torch.split(images, _BATCH):
            inner = cast("_Featured", module).features(batch.to(device))
            features.append(inner.float().cpu())
            logits.append(module(batch.to(device)).double().cpu())
    values = torch.cat(logits)
    if not bool(torch.isfinite(values).all()):
        raise EvidenceError("the model's outputs are NaN or infinite; it can't be audited")
    return Measurements(
        margins=_margin(values, labels.cpu()).numpy(),
        scores=_margin(values, torch.ones_like(labels.cpu())).numpy(),
        features=torch.cat(features).numpy(),
    )


def _margin(logits: Tensor, labels: Tensor) -> Tensor:
    own = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return own - torch.logsumexp(others, 1)
