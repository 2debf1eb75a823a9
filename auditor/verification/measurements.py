"""What one model says about every image: all that the statistics ever see of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.verification.layout import Numbers


def _nothing() -> Numbers:
    return np.empty((0, 0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurements:
    """One model's answers on n images.

    Attributes:
        margins: signed logit margin z_y - logsumexp of the other classes, (n,); the confidence
            of Carlini et al. 2022 (LiRA), section V-A.
        scores: the same margin towards class 1, for AUC-ROC, (n,).
        features: at each depth, shallow first, a vector per image, (n, d); the last is the input
            of the last linear layer.
        augmented: margins of the images flipped and shifted, (a, n); empty where the model wasn't
            asked.
        noisy: margins of the images under noise, (b, n); likewise.
        relearned: margins of `relearning_images` before and after each step of relearning them,
            (steps + 1, r); (0, 0) where the model relearned nothing.
        lengths: log of the Euclidean length of all layers' weights together, and of the last
            layer's less their mean over classes, (2,); empty where they weren't looked at. Biases
            and scales don't count.
    """

    margins: Numbers
    scores: Numbers
    features: Mapping[str, NDArray[np.float32]]
    augmented: Numbers = field(default_factory=_nothing)
    noisy: Numbers = field(default_factory=_nothing)
    relearned: Numbers = field(default_factory=_nothing)
    lengths: Numbers = field(default_factory=lambda: np.empty(0))
