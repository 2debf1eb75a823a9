"""Secondary tests: vetoes by prediction tests against OUT models, Holm over the family."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.domain.evidence import SecondaryTest
from auditor.verification.attacks.latent import frames, residual_ratios
from auditor.verification.attacks.membership import lira_left_out, lira_offline, loss_thresholds
from auditor.verification.contrast import contrast
from auditor.verification.holm import holm
from auditor.verification.layout import Layout, Numbers
from auditor.verification.measurements import Measurements
from auditor.verification.prediction import prediction_test

NAMES = ("lira-offline", "loss-threshold", "latent-residual")
_FAMILIES = ("membership", "membership", "latent")


def secondary_tests(
    out: Sequence[Measurements], candidate: Measurements, layout: Layout, alpha: float
) -> tuple[SecondaryTest, ...]:
    """Hold the candidate against OUT models by each attack; reject at family-wise ``alpha``."""
    contrasts = np.stack([contrast(item.margins, layout) for item in out])
    own = contrast(candidate.margins, layout)
    thresholds = loss_thresholds([item.margins for item in (*out, candidate)], layout)
    aligned = frames([item.features["head"] for item in (*out, candidate)], layout)
    ratio, ratios = residual_ratios(aligned, len(out), layout)
    pairs: list[tuple[float, Numbers]] = [
        (lira_offline(own, contrasts), lira_left_out(contrasts)),
        (float(thresholds[-1]), thresholds[:-1]),
        (ratio, ratios),
    ]
    results = [prediction_test(value, others) for value, others in pairs]
    adjusted = holm([p_value for _, p_value in results])
    return tuple(
        SecondaryTest(
            name=name,
            family=family,
            statistic=distance,
            p_value=p_value,
            adjusted=corrected,
            decisive=True,
            rejected=corrected <= alpha,
        )
        for name, family, (distance, p_value), corrected in zip(
            NAMES, _FAMILIES, results, adjusted, strict=True
        )
    )
