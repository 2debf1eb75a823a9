"""Latent similarity: are the forgotten images' features where retrains put them?

Features of each model are reduced to their principal axes over reference images, rotated onto a
common frame (orthogonal Procrustes, Schönemann 1966), and averaged over OUT models. What is left
of a forgotten image after subtracting that consensus is held against the same for never-seen
images of the same model: the log ratio is 0 where the residual is like anybody else's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.verification.layout import Layout, Numbers

_AXES = 12


def frames(features: Sequence[NDArray[np.float32]], layout: Layout) -> Numbers:
    """Aligned low-dimensional features of every model, (models, n, axes).

    The first model gives the frame. Only retained and never-seen images choose axes and
    rotation, so nothing about the forgotten images is fitted away.
    """
    anchors = np.concatenate([layout.retained, layout.unseen])
    axes = min(_AXES, features[0].shape[1], len(anchors) - 1)
    reduced = [_principal(item.astype(np.float64), anchors, axes) for item in features]
    frame = reduced[0][anchors]
    return np.stack([item @ _rotation(item[anchors], frame) for item in reduced])


def residual_ratios(aligned: Numbers, candidate: int, layout: Layout) -> tuple[float, Numbers]:
    """Log residual ratio of the candidate, and of each other model left out of its consensus.

    Args:
        aligned: (models, n, axes); all but ``candidate`` are OUT models.
    """
    out = np.delete(aligned, candidate, 0)
    left = np.array(
        [_log_ratio(out[k], np.delete(out, k, 0).mean(axis=0), layout) for k in range(len(out))]
    )
    return _log_ratio(aligned[candidate], out.mean(axis=0), layout), left


def _principal(features: Numbers, anchors: NDArray[np.int64], axes: int) -> Numbers:
    centred = features - features[anchors].mean(axis=0)
    _, _, basis = np.linalg.svd(centred[anchors], full_matrices=False)
    reduced = centred @ basis[:axes].T
    return np.asarray(reduced / np.sqrt((reduced[anchors] ** 2).sum(axis=1).mean()))


def _rotation(source: Numbers, target: Numbers) -> Numbers:
    left, _, right = np.linalg.svd(source.T @ target)
    return np.asarray(left @ right)


def _log_ratio(model: Numbers, consensus: Numbers, layout: Layout) -> float:
    squares = ((model - consensus) ** 2).sum(axis=1)
    return float(np.log(squares[layout.forgotten].mean() / squares[layout.unseen].mean()))
