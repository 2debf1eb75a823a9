"""Is one more value a draw like the others? A two-sided prediction test."""

from __future__ import annotations

import numpy as np
from scipy import stats

from auditor.verification.layout import Numbers


def prediction_test(value: float, others: Numbers) -> tuple[float, float]:
    """Distance of ``value`` from the others in their standard deviations, and its p-value.

    The others and the value are taken as draws of one normal distribution: the distance over
    sqrt(1 + 1/K) is then t with K - 1 degrees of freedom (the classical prediction interval).
    """
    count = len(others)
    spread = float(others.std(ddof=1))
    if spread <= 0:
        return 0.0, 1.0
    distance = (value - float(others.mean())) / spread
    p_value = 2 * float(stats.t.sf(abs(distance) / np.sqrt(1 + 1 / count), count - 1))
    return distance, p_value
