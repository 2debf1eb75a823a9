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

LEAST_PATIENTS = 2
"""Of each class; fewer have no variance."""


def auc(scores: Numbers, labels: Indices) -> float:
    """Area under the ROC curve of class 1 against the rest; ties count half."""
    positive = labels == 1
    count = int(positive.sum())
    others = len(labels) - count
    if count == 0 or others == 0:
        raise EvidenceError("an AUC needs images of both classes")
    ranks = rankdata(scores)
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * others))


def components(scores: Numbers, labels: Indices, patients: Indices) -> Numbers:
    """Each image's centred contribution to the AUC, (n,); `clustered_variance` sums them.

    Few patients are allowed for by I / (I - 1), I the patients of the image's class (Obuchowski
    1997, equations 3 and 4); for those who have images of both classes, by the two classes'
    geometric mean instead of her I over all patients.

    Raises:
        EvidenceError: fewer than two patients of a class.
    """
    positive = labels == 1
    ones, zeros = int(positive.sum()), int((~positive).sum())
    values = np.empty(len(scores))
    ranks = rankdata(scores)
    for group, count, others in ((positive, ones, zeros), (~positive, zeros, ones)):
        people = len(np.unique(patients[group]))
        if people < LEAST_PATIENTS:
            raise EvidenceError("an AUC's variance needs two patients of each class")
        above = (ranks[group] - rankdata(scores[group])) / max(others, 1)
        values[group] = (above - above.mean()) / count * np.sqrt(people / (people - 1))
    values[~positive] *= -1
    return values


def clustered_variance(contributions: Numbers, patients: Indices) -> float:
    """Variance of a sum of centred contributions, patients independent of each other."""
    _, codes = np.unique(patients, return_inverse=True)
    return float((np.bincount(codes, weights=contributions) ** 2).sum())
