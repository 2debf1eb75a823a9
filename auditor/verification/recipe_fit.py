"""Does the recipe describe a model? Prediction tests against models that it made.

The original must look like the IN models on retained, never-seen and forgotten patients (DESIGN
section 4 point 5); where it doesn't, the bank says nothing about it, and no verdict can rest on it.
A candidate that is said to be a retrain must look like the OUT models on retained and never-seen
patients, and its weights must be as long as theirs: one trained by another recipe holds nothing of
the forgotten either, and of the statistics only this tells. How long weights grow hangs on how
long, how fast and under what decay a model was trained, and hardly on the seed. It tells
carelessness, not intent: whoever knows of it can stretch weights so that no output changes, and
what refutes a liar is the replay of the training. A rewind is held to it, too, though its batches
are a little other than a retrain's: if it looks strange it loses a PASSED, not its exact basis.

What is compared of patients is the mean margin. The mean cross-entropy would hang on the few images
that a model gets wrong: over 84 retrains its log had three times the tails of a normal
distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from auditor.domain.evidence import RecipeFit
from auditor.errors import EvidenceError
from auditor.verification.contrast import contrast
from auditor.verification.influence import Scale, pooled
from auditor.verification.layout import Layout
from auditor.verification.measurements import Measurements
from auditor.verification.prediction import prediction_test

ALPHA = 0.01
"""How often a model in service that the recipe did make is said not to be described by it."""
RETRAIN_ALPHA = 0.005
"""The same of a retrain: it costs a true one its verdict."""

_View: TypeAlias = Callable[[Measurements], float]
_LENGTHS: dict[str, _View] = {
    "weights": lambda item: float(item.lengths[0]),
    "head": lambda item: float(item.lengths[1]),
}


def fit_recipe(
    original: Measurements, untouched: Sequence[Measurements], layout: Layout, scale: Scale
) -> RecipeFit:
    """Hold the original model against the IN models."""
    views = {
        **_means(layout),
        "forgotten": lambda item: pooled(scale, contrast(item.margins, layout)),
    }
    return _fit(original, untouched, views, ALPHA)


def fit_retrain(candidate: Measurements, out: Sequence[Measurements], layout: Layout) -> RecipeFit:
    """Hold a candidate against the OUT models, the forgotten patients left aside.

    Raises:
        EvidenceError: of some models the weights' length was taken, of others not.
    """
    views = _means(layout)
    weighed = {bool(item.lengths.size) for item in (candidate, *out)}
    if len(weighed) > 1:
        raise EvidenceError("not every model's weights were looked at; measure them anew")
    if weighed == {True}:
        views |= _LENGTHS
    return _fit(candidate, out, views, RETRAIN_ALPHA)


def _fit(
    model: Measurements, others: Sequence[Measurements], views: Mapping[str, _View], alpha: float
) -> RecipeFit:
    p_values = {
        name: prediction_test(view(model), np.array([view(item) for item in others]))[1]
        for name, view in views.items()
    }
    worst = min(p_values, key=lambda name: p_values[name])
    adjusted = min(1.0, len(views) * p_values[worst])
    return RecipeFit(matches=adjusted > alpha, p_value=adjusted, worst=worst)


def _means(layout: Layout) -> dict[str, _View]:
    return {
        "retained": lambda item: float(item.margins[layout.retained].mean()),
        "never-seen": lambda item: float(item.margins[layout.unseen].mean()),
    }
