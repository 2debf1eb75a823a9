"""Rho of a candidate on surrogate patients: a point, for tuning, never for a verdict."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.verification.contrast import contrast
from auditor.verification.influence import fit_scale, pooled
from auditor.verification.layout import Layout
from auditor.verification.measure import Measurements


def influence_on(
    out: Sequence[Measurements],
    untouched: Sequence[Measurements],
    candidates: Sequence[Measurements],
    layout: Layout,
) -> tuple[tuple[float, ...], float]:
    """Residual influence of the layout's forgotten images on each candidate.

    Returns:
        The candidates' points, and the gap in its standard errors: surrogates with a weak gap
        tell little.
    """
    scale = fit_scale(
        np.stack([contrast(item.margins, layout) for item in out]),
        np.stack([contrast(item.margins, layout) for item in untouched]),
        layout.patients[layout.forgotten],
    )
    points = (pooled(scale, contrast(item.margins, layout)) / scale.gap for item in candidates)
    return tuple(points), scale.gap_t
