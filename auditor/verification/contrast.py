"""The score of an audit: a contrast within one model (DESIGN section 4 point 1).

A forgotten image's margin is compared with retained and never-seen patients of the same model,
class by class, in units of their spread. Dividing all logits by a constant, or shifting a bias,
changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.errors import EvidenceError, UnauditableError
from auditor.verification.layout import Indices, Layout, Numbers

LEAST_PER_CLASS = 3


def contrast(margins: Numbers, layout: Layout) -> Numbers:
    """Contrast of each forgotten image, (len(layout.forgotten),).

    Raises:
        EvidenceError: fewer than three reference images of a class, or margins that are NaN,
            infinite or constant.
    """
    return contrast_with(margins, layout.labels, layout.forgotten, (layout.retained, layout.unseen))


def contrast_with(
    margins: Numbers, labels: Indices, about: Indices, groups: Sequence[Indices]
) -> Numbers:
    """Contrast of the images ``about`` with groups of reference images, each group alike in weight.

    Raises:
        EvidenceError: fewer than three images of a class in a group, or margins that are NaN,
            infinite or constant.
    """
    if not np.isfinite(margins[np.concatenate([about, *groups])]).all():
        raise UnauditableError("the model's margins are NaN or infinite; it can't be audited")
    values = margins[about].astype(np.float64)
    squares: list[Numbers] = []
    for label in np.unique(labels):
        parts = [margins[group[labels[group] == label]] for group in groups]
        if min(len(part) for part in parts) < LEAST_PER_CLASS:
            raise EvidenceError(
                f"fewer than {LEAST_PER_CLASS} retained or never-seen images of class {label}"
            )
        means = [float(part.mean()) for part in parts]
        values[labels[about] == label] -= sum(means) / len(means)
        squares += [(part - mean) ** 2 for part, mean in zip(parts, means, strict=True)]
    spread = float(np.sqrt(np.concatenate(squares).mean()))
    if not 0 < spread < np.inf:
        raise UnauditableError("the model's margins are all the same, or too large to be squared")
    return values / spread
