"""Membership inference on the forgotten images: two attacks, one number per model each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.verification.delong import auc
from auditor.verification.layout import Layout, Numbers


def lira_offline(contrasts: Numbers, out: Numbers) -> float:
    """Mean offline LiRA score: how far above OUT models the images' confidence lies.

    Carlini et al. 2022, section VI-A, with the contrast in place of the raw margin; variances
    are pooled over images, as advised there for few reference models.

    Args:
        contrasts: of the model under attack, (n,).
        out: of the OUT models, (K, n).
    """
    spread = float(np.sqrt(out.var(axis=0, ddof=1).mean()))
    return float(((contrasts - out.mean(axis=0)) / spread).mean())


def lira_left_out(out: Numbers) -> Numbers:
    """The score of each OUT model against the others, (K,)."""
    return np.array([lira_offline(out[k], np.delete(out, k, 0)) for k in range(len(out))])


def loss_threshold(margins: Numbers, layout: Layout) -> float:
    """Log odds of the AUC with which a loss threshold tells forgotten from never-seen images.

    Yeom et al. 2018, section 3.2; the margin orders images as the loss does.
    """
    chosen = np.concatenate([layout.forgotten, layout.unseen])
    member = np.concatenate([np.ones_like(layout.forgotten), np.zeros_like(layout.unseen)])
    pairs = len(layout.forgotten) * len(layout.unseen)
    area = np.clip(auc(margins[chosen], member), 0.5 / pairs, 1 - 0.5 / pairs)
    return float(np.log(area / (1 - area)))


def loss_thresholds(models: Sequence[Numbers], layout: Layout) -> Numbers:
    """`loss_threshold` of several models, (K,)."""
    return np.array([loss_threshold(margins, layout) for margins in models])
