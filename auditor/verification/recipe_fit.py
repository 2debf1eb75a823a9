"""Does the recipe describe a model? Prediction tests against models that it made.

The original must look like the IN models on retained, never-seen and forgotten patients (DESIGN
section 4 point 5); where it doesn't, the bank says nothing about it, and no verdict can rest on it.
A candidate that is said to be a retrain must look like the OUT models on retained and never-seen
patients: one trained by another recipe holds nothing of the forgotten either, and only this tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from auditor.domain.evidence import RecipeFit
from auditor.verification.contrast import contrast
from auditor.verification.influence import Scale, pooled
from auditor.verification.layout import Indices, Layout, Numbers
from auditor.verification.measurements import Measurements
from auditor.verification.prediction import prediction_test

ALPHA = 0.01
"""How often a model that the recipe did make is said not to be described by it, at most."""

_View: TypeAlias = Callable[[Measurements], float]


def fit_recipe(
    original: Measurements, untouched: Sequence[Measurements], layout: Layout, scale: Scale
) -> RecipeFit:
    """Hold the original model against the IN models."""
    views = {
        **_losses(layout),
        "forgotten": lambda item: pooled(scale, contrast(item.margins, layout)),
    }
    return _fit(original, untouched, views)


def fit_retrain(candidate: Measurements, out: Sequence[Measurements], layout: Layout) -> RecipeFit:
    """Hold a candidate against the OUT models, the forgotten patients left aside."""
    return _fit(candidate, out, _losses(layout))


def _fit(
    model: Measurements, others: Sequence[Measurements], views: Mapping[str, _View]
) -> RecipeFit:
    p_values = {
        name: prediction_test(view(model), np.array([view(item) for item in others]))[1]
        for name, view in views.items()
    }
    worst = min(p_values, key=lambda name: p_values[name])
    adjusted = min(1.0, len(views) * p_values[worst])
    return RecipeFit(matches=adjusted > ALPHA, p_value=adjusted, worst=worst)


def _losses(layout: Layout) -> dict[str, _View]:
    return {
        "retained": lambda item: _log_loss(item.margins, layout.retained),
        "never-seen": lambda item: _log_loss(item.margins, layout.unseen),
    }


def _log_loss(margins: Numbers, part: Indices) -> float:
    """Log of the mean cross-entropy; the log, because losses of different runs are skewed."""
    return float(np.log(np.logaddexp(0.0, -margins[part]).mean() + 1e-12))
