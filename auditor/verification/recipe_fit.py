"""Does the recipe describe the original model? It must look like the IN models.

Three prediction tests, on retained, never-seen and forgotten patients (DESIGN section 4 point 5).
Where they disagree the bank says nothing about this model, and no verdict can rest on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from auditor.domain.evidence import RecipeFit
from auditor.verification.contrast import contrast
from auditor.verification.influence import Scale, pooled
from auditor.verification.layout import Indices, Layout, Numbers
from auditor.verification.measurements import Measurements
from auditor.verification.prediction import prediction_test

_ALPHA = 0.01


def fit_recipe(
    original: Measurements, untouched: Sequence[Measurements], layout: Layout, scale: Scale
) -> RecipeFit:
    """Hold the original model against the IN models."""
    views: dict[str, Callable[[Measurements], float]] = {
        "retained": lambda item: _log_loss(item.margins, layout.retained),
        "never-seen": lambda item: _log_loss(item.margins, layout.unseen),
        "forgotten": lambda item: pooled(scale, contrast(item.margins, layout)),
    }
    p_values = {
        name: prediction_test(view(original), np.array([view(item) for item in untouched]))[1]
        for name, view in views.items()
    }
    worst = min(p_values, key=lambda name: p_values[name])
    adjusted = min(1.0, len(views) * p_values[worst])
    return RecipeFit(matches=adjusted > _ALPHA, p_value=adjusted, worst=worst)


def _log_loss(margins: Numbers, part: Indices) -> float:
    """Log of the mean cross-entropy; the log, because losses of different runs are skewed."""
    return float(np.log(np.logaddexp(0.0, -margins[part]).mean() + 1e-12))
