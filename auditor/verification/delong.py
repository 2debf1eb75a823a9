"""AUC-ROC with DeLong's variance, clustered by patient.

DeLong et al. 1988; fast placements by midranks after Sun and Xu 2014; several images of one
patient are summed before squaring, after Obuchowski 1997. With one image per patient this is
DeLong's estimate exactly.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from auditor.errors import EvidenceError
from auditor.verification.layout import Indices, Numbers


def auc(scores: Numbers, labels: Indices) -> float:
    """Area under the ROC curve of class 1 against the rest; ties count half."""
    positive = labels == 1
    count = int(positive.sum())
    others = len(labels) - count
    if count == 0 or others == 0:
        raise EvidenceError("an AUC needs images of both classes")
    ranks = rankdata(scores)
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * others))


def components(scores: Numbers, labels: Indices) -> Numbers:
    """Each image's centred contribution to the AUC, (n,): their squares sum to its variance."""
    positive = labels == 1
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if min(ones, zeros) < 2:
        raise EvidenceError("an AUC's variance needs two images of each class")
    ranks = rankdata(scores)
    values = np.empty(len(scores))
    values[positive] = (ranks[positive] - rankdata(scores[positive])) / zeros
    values[~positive] = 1 - (ranks[~positive] - rankdata(scores[~positive])) / ones
    for group, count in ((positive, ones), (~positive, zeros)):
        values[group] -= values[group].mean()
        values[group] /= np.sqrt(count * (count - 1))
    return values


def clustered_variance(contributions: Numbers, patients: Indices) -> float:
    """Variance of a sum of centred contributions, patients independent of each other."""
    _, codes = np.unique(patients, return_inverse=True)
    return float((np.bincount(codes, weights=contributions) ** 2).sum())
