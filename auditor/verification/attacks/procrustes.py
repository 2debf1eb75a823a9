"""Features of several models in one frame, and how far each model lies from the others.

Models trained by different seeds put the same picture in different directions. Each model's
features are reduced to their principal axes over reference images and rotated onto their common
mean (generalised orthogonal Procrustes: Schönemann 1966; Gower 1975).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.errors import UnauditableError
from auditor.verification.layout import Indices, Numbers

AXES = 12
_ROUNDS = 5


def align(features: Sequence[NDArray[np.float32]], anchors: Indices, axes: int = AXES) -> Numbers:
    """Aligned features of every model, (models, n, axes), of mean squared length 1 over anchors.

    Only anchors choose axes and rotation, so nothing about other images is fitted away. All
    models are treated alike: in the end each is rotated onto the mean of all.

    Args:
        features: (n, d) per model.
        anchors: images known to be alike for all models: retained and never-seen ones.

    Raises:
        EvidenceError: a model gives every anchor the same features.
    """
    most = min(axes, features[0].shape[1], len(anchors) - 1)
    reduced = np.stack([_principal(item.astype(np.float64), anchors, most) for item in features])
    fixed = reduced[:, anchors]
    target = fixed[0]
    for _ in range(_ROUNDS):
        turns = np.stack([rotation(item, target) for item in fixed])
        target = (fixed @ turns).mean(axis=0)
    return reduced @ turns


def rotation(source: Numbers, target: Numbers) -> Numbers:
    """Orthogonal matrix R for which source @ R lies nearest to target (Schönemann 1966)."""
    left, _, right = np.linalg.svd(source.T @ target)
    return np.asarray(left @ right)


def residuals(aligned: Numbers) -> Numbers:
    """Each model's features less the mean of the other models', (models, n, axes)."""
    count = len(aligned)
    return np.asarray((aligned - aligned.mean(axis=0)) * count / (count - 1))


def _principal(features: Numbers, anchors: Indices, axes: int) -> Numbers:
    centred = features - features[anchors].mean(axis=0)
    values, vectors = np.linalg.eigh(centred[anchors].T @ centred[anchors])
    if values[-1] <= 0:
        raise UnauditableError("a model gives every image the same features; it can't be audited")
    reduced = centred @ vectors[:, ::-1][:, :axes]
    return np.asarray(reduced / np.sqrt((reduced[anchors] ** 2).sum(axis=1).mean()))
