"""Layer-wise probes: can the forgotten patients be told from never-seen ones by their features?

After Alain and Bengio 2017, but what is asked for is membership, not the class. Outputs that were
silenced, or a head trained anew, leave the features as they were, and the probe sees them so.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm, rankdata

from auditor.verification.layout import Indices, Numbers

PENALTY = 1.0  # in units of the features' mean squared length
LEAST_PATIENTS = (
    2  # of a class in each group: one patient alone can't be told from others by others
)


def separation(features: Numbers, classes: Indices, forgotten: int) -> float:
    """How well a ridge probe tells the first ``forgotten`` patients from the others.

    A probe per class, since memory moves the classes apart, each one's patients to their own side.
    Each patient is scored by probes that were fitted without them; the result is the forgotten
    patients' mean normal score (van der Waerden 1952) among all, whose distribution over retrains
    has ordinary tails. Its mean under no memory isn't 0, and depends on the patients: it is for
    comparing models on the same ones.

    0 where no class has patients enough.

    Args:
        features: one vector per patient, (n, d).
        classes: of each patient, (n,); one with fewer than two patients of a group is left out.
    """
    member = np.arange(len(features)) < forgotten
    scores = np.full(len(features), np.nan)
    for label in np.unique(classes):
        own = classes == label
        if min(member[own].sum(), (~member[own]).sum()) >= LEAST_PATIENTS:
            scores[own] = _left_out_scores(features[own], member[own].astype(np.float64))
    scored = np.isfinite(scores)
    if not scored.any() or np.ptp(scores[scored]) == 0:
        return 0.0
    ranks = rankdata(scores[scored]) / (scored.sum() + 1)
    return float(norm.ppf(ranks)[member[scored]].mean())


def _left_out_scores(features: Numbers, target: Numbers) -> Numbers:
    """Each row's ridge prediction from all others, less their mean target.

    By the hat matrix H a row's left-out residual is its own over 1 - H_ii (Allen 1974), so no fit
    is repeated; the intercept, 1/n in H, isn't penalised.
    """
    count = len(target)
    centred = features.astype(np.float64) - features.mean(axis=0)
    kernel = centred @ centred.T
    scale = float(kernel.diagonal().mean())
    if scale <= 0:
        return np.zeros(count)
    hat = 1 / count + np.linalg.solve(kernel + PENALTY * scale * np.eye(count), kernel)
    predicted = target - (target - hat @ target) / (1 - hat.diagonal())
    return np.asarray(predicted - (target.sum() - target) / (count - 1))
