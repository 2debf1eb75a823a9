"""Whether an erasure from a model could be audited by the images of its data set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.learning.datasets import ImageSet, Split
from auditor.verification.sufficiency import lacking


def lacking_in(images: ImageSet, split: Split, training: Sequence[int]) -> str:
    """What is missing for models trained on these images to be audited; empty for nothing."""
    _, patients = np.unique(images.subjects, return_inverse=True)
    return lacking(
        np.asarray(images.labels),
        patients,
        train=np.asarray(training, int),
        validation=np.asarray(split.validation, int),
        test=np.asarray(split.test, int),
    )
