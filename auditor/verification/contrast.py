"""The score of an audit: a contrast within one model (DESIGN section 4 point 1).

A forgotten image's margin is compared with retained and never-seen patients of the same model,
class by class, in units of their spread. Dividing all logits by a constant, or shifting a bias,
changes nothing.
"""

from __future__ import annotations

import numpy as np

from auditor.errors import EvidenceError
from auditor.verification.layout import Indices, Layout, Numbers

_LEAST_PER_CLASS = 3


def contrast(margins: Numbers, layout: Layout) -> Numbers:
    """Contrast of each forgotten image, (len(layout.forgotten),).

    Raises:
        EvidenceError: fewer than three reference images of a class, or constant margins.
    """
    forgotten = layout.labels[layout.forgotten]
    values = margins[layout.forgotten].astype(np.float64)
    squares: list[Numbers] = []
    for label in np.unique(forgotten):
        groups = [_of_class(layout, part, label) for part in (layout.retained, layout.unseen)]
        if min(len(group) for group in groups) < _LEAST_PER_CLASS:
            raise EvidenceError(
                f"fewer than {_LEAST_PER_CLASS} retained or never-seen images of class {label}"
            )
        means = [float(margins[group].mean()) for group in groups]
        values[forgotten == label] -= sum(means) / len(means)
    for label in np.unique(layout.labels):
        for part in (layout.retained, layout.unseen):
            group = margins[_of_class(layout, part, label)]
            if len(group):
                squares.append((group - group.mean()) ** 2)
    spread = float(np.sqrt(np.concatenate(squares).mean()))
    if not np.isfinite(spread) or spread <= 0:
        raise EvidenceError("the model gives every image the same margin; it can't be audited")
    return values / spread


def _of_class(layout: Layout, part: Indices, label: int) -> Indices:
    return np.asarray(part[layout.labels[part] == label])
