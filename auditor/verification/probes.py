"""Layer-wise probes: how surely can the forgotten patients' classes be read from the features?

After Alain and Bengio 2017: a linear probe at each depth, fitted to retained patients. A patient
who was trained on lies far on the side of their class, in the features, too; outputs that were
silenced, or a head trained anew, leave the features as they were, and the probe sees them so. It
needs no second forgotten patient to learn from, so it speaks about one alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auditor.errors import UnauditableError
from auditor.verification.attacks.scores import patient_means
from auditor.verification.contrast import contrast_with
from auditor.verification.layout import Layout, Numbers

PENALTY = 1.0  # in units of the features' mean squared length


def class_reading(features: NDArray[np.float32], layout: Layout) -> float:
    """How much more surely the forgotten patients are read than never-seen ones of their class.

    Ridge regression of the classes on the retained images' features; then each forgotten image's
    margin, its own class's answer less the largest other, against never-seen images in units of
    their spread (`contrast_with`); and the mean over patients.

    Args:
        features: one vector per image, (n, d).

    Raises:
        EvidenceError: fewer than three never-seen images of a class, or features that the probe
            reads nothing from.
    """
    if not np.ptp(features[layout.unseen], axis=0).any():
        raise UnauditableError(
            "a model gives every image the same features at one depth; it can't be audited"
        )
    answers = _answers(features.astype(np.float64), layout)
    rows = np.arange(len(answers))
    own = answers[rows, layout.labels].copy()
    answers[rows, layout.labels] = -np.inf
    margins = own - answers.max(axis=1)
    found = contrast_with(margins, layout.labels, layout.forgotten, (layout.unseen,))
    return float(patient_means(found, layout.patients[layout.forgotten]).mean())


def _answers(features: Numbers, layout: Layout) -> Numbers:
    """The probe's answer for every image and class, (n, classes)."""
    known = layout.retained
    classes = np.eye(int(layout.labels.max()) + 1)[layout.labels[known]]
    centred = features - features[known].mean(axis=0)
    moments = centred[known].T @ centred[known]
    penalty = PENALTY * max(float(np.trace(moments)) / len(known), np.finfo(np.float64).tiny)
    mean = classes.mean(axis=0)
    weights = np.linalg.solve(
        moments + penalty * np.eye(len(moments)), centred[known].T @ (classes - mean)
    )
    return np.asarray(mean + centred @ weights)
