"""Whether there are images enough of everybody else for any model to be audited by."""

from __future__ import annotations

import numpy as np

from auditor.verification.contrast import LEAST_PER_CLASS
from auditor.verification.delong import LEAST_PATIENTS
from auditor.verification.layout import Indices


def lacking(
    labels: Indices, patients: Indices, *, train: Indices, validation: Indices, test: Indices
) -> str:
    """What is missing for scores to be compared (`contrast`) and an AUC to be had (`delong`).

    Args:
        labels, patients: of every image of the data set.
        train: images that a model without the patients asked about would be trained on.
        validation: images that scout models are compared by.
        test: images that an audit takes for never seen.

    Returns:
        A phrase, empty where nothing is missing.
    """
    for label in np.unique(labels):
        for name, part in (("train", train), ("validation", validation), ("test", test)):
            found = int((labels[part] == label).sum())
            if found < LEAST_PER_CLASS:
                return f"{name} has {found} images of class {label}, {LEAST_PER_CLASS} are needed"
    positive = labels[test] == 1
    for name, chosen in (("class 1", positive), ("other classes", ~positive)):
        people = len(np.unique(patients[test][chosen]))
        if people < LEAST_PATIENTS:
            return f"test has {people} patients of {name}, {LEAST_PATIENTS} are needed"
    return ""
