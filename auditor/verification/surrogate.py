"""Choosing a method's variant on surrogate patients: points, for tuning, never for a verdict.

Of the variants whose loss on retained images and whose AUC stay inside bounds, the one that leaves
the least influence of the surrogates (DESIGN section 4 point 11). A bound on the loss alone picks a
step that overshoots.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.domain.calibration import Bounds, Choice, Group, Trial, left
from auditor.verification.contrast import contrast
from auditor.verification.influence import Scale, fit_scale, pooled
from auditor.verification.layout import Layout
from auditor.verification.measure import Measurements

LEAST_GAP = 3.0
"""Standard errors; a group with a weaker gap would tune on noise."""
_LOSS_SLACK = 3.0
_LOSS_OF_NO_MATTER = 0.05  # nats; references that interpolate leave hardly any loss


def scale_of(
    out: Sequence[Measurements], untouched: Sequence[Measurements], layout: Layout
) -> Scale:
    """The ruler for one group of surrogates, the layout's forgotten images."""
    return fit_scale(
        np.stack([contrast(item.margins, layout) for item in out]),
        np.stack([contrast(item.margins, layout) for item in untouched]),
        layout.patients[layout.forgotten],
    )


def influence_on(scale: Scale, candidate: Measurements, layout: Layout) -> float:
    """Rho of the group on one candidate."""
    return pooled(scale, contrast(candidate.margins, layout)) / scale.gap


def bounds_from(losses: Sequence[float], aucs: Sequence[float]) -> Bounds:
    """What a variant may cost.

    Args:
        losses: of reference models on retained images. A fixed multiple of the largest is allowed,
            or a little above it where they show next to none.
        aucs: of reference models and the model itself on validation patients. The least is allowed.
    """
    largest = max(losses)
    return Bounds(
        loss=max(_LOSS_SLACK * largest, largest + _LOSS_OF_NO_MATTER),
        auc=min(aucs),
    )


def choose(trials: Sequence[Trial], groups: Sequence[Group], bounds: Bounds) -> tuple[Choice, int]:
    """Choose among trials, mildest first.

    Returns:
        By what it was chosen, and its place; -1 for none. Ties go to the milder.
    """
    inside = [
        place
        for place, trial in enumerate(trials)
        if len(trial.readings) == len(groups)
        and all(item.loss <= bounds.loss and item.auc >= bounds.auc for item in trial.readings)
    ]
    if not inside:
        return (Choice.NONE_INSIDE_BOUNDS if trials else Choice.NO_VARIANT), -1
    influence = {place: left(trials[place], groups, LEAST_GAP) for place in inside}
    told = {place: value for place, value in influence.items() if value is not None}
    if not told:
        return Choice.STRONGEST, inside[-1]
    return Choice.LEAST_INFLUENCE, min(told, key=lambda place: told[place])
