"""Power, declared before the run from the bank alone (DESIGN section 4 point 4)."""

from __future__ import annotations

import numpy as np
from scipy import stats

from auditor.domain.evidence import Estimate
from auditor.verification.influence import Scale


def pass_power(scale: Scale, margin: float, outs: tuple[Estimate, ...]) -> float:
    """Chance that a true retrain's interval lies inside the margin.

    Given the bank, the interval's half width is known, and a new retrain's rho is a draw from
    standard_error * t.
    """
    if not scale.established:
        return 0.0
    within = reach(margin, outs) / scale.standard_error
    return max(0.0, float(2 * stats.t.cdf(within, scale.degrees) - 1))


def reach(margin: float, outs: tuple[Estimate, ...]) -> float:
    """How far from 0 a candidate's rho may lie and its interval still inside the margin.

    The interval's half width is the mean over left-out OUT models, so that the part that comes from
    patients is counted too. Negative where no candidate can pass.
    """
    return margin - float(np.mean([(item.upper - item.lower) / 2 for item in outs]))


def detect_power(scale: Scale, margin: float, level: float) -> float:
    """Chance that an untouched model's rejection interval lies above the margin."""
    if not scale.established:
        return 0.0
    at_one = scale.out_variance + scale.in_variance / scale.in_models  # Fieller's, at rho = 1
    half = float(stats.t.ppf(0.5 + level / 2, scale.degrees) * np.sqrt(at_one)) / scale.gap
    spread = float(np.sqrt(scale.in_variance * (1 + 1 / scale.in_models))) / scale.gap
    return float(stats.t.cdf((1 - margin - half) / spread, scale.in_models - 2))
