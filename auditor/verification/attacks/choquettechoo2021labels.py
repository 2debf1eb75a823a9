"""Label-only attack: Choquette-Choo et al. 2021, Label-Only Membership Inference Attacks.

A member's label holds out longer when the image is flipped, shifted or put under noise.
"""

from __future__ import annotations

import numpy as np

from auditor.errors import EvidenceError
from auditor.verification.attacks.scores import checked
from auditor.verification.layout import Numbers


def label_only(margins: Numbers, queried: Numbers) -> Numbers:
    """Share of an image's queries whose label is right, itself included, (n,).

    Augmentations and random noise, as there; only labels are used, which is the margin's sign.

    Args:
        margins: of the images as they are, (n,).
        queried: of the images changed, (q, n).

    Raises:
        EvidenceError: no queries were made.
    """
    if len(queried) == 0:
        raise EvidenceError("the label-only attack needs queries; measure the model with them")
    answers = checked(np.vstack([margins, queried]), "the model's scores")
    return np.asarray((answers > 0).mean(axis=0))
