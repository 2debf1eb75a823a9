"""Is one more value a draw like the others? A two-sided prediction test."""

from __future__ import annotations

import numpy as np
from scipy import stats

from auditor.verification.layout import Numbers

CAUTIOUS_DEGREES = 4
_ROUNDING = 1e-12


def prediction_test(value: float, others: Numbers) -> tuple[float, float]:
    """Distance of ``value`` from the others in their standard deviations, and its p-value.

    The others and the value are taken as draws of one normal distribution: the distance over
    sqrt(1 + 1/K) is then t with K - 1 degrees of freedom (the classical prediction interval).
    Where the others are all the same, as a saturated measure is, nothing is told: 0 and 1. The same
    is what differs by rounding alone: the mean of equal numbers needn't be that number.
    """
    count = len(others)
    spread = float(others.std(ddof=1))
    if float(np.ptp(others)) <= _ROUNDING * float(np.abs(others).max()):
        return 0.0, 1.0
    distance = (value - float(others.mean())) / spread
    return distance, _two_sided(distance, count, count - 1)


def cautious_p_value(distance: float, count: int) -> float:
    """P-value of such a distance from ``count`` others, were their tails heavy.

    It is read off a t distribution of at most `CAUTIOUS_DEGREES`. Where the others are draws of a t
    distribution of as many degrees, a p-value is at most ``a`` with probability at most ``a`` for
    every ``a`` down to 0.0007, by simulation from 10 others on; of the classical test it is up to
    13 times as probable. Under yet heavier tails it isn't held: under those of 3 degrees, with 10
    others, 2.3 times there.
    """
    return _two_sided(distance, count, min(count - 1, CAUTIOUS_DEGREES))


def _two_sided(distance: float, count: int, degrees: int) -> float:
    return 2 * float(stats.t.sf(abs(distance) / np.sqrt(1 + 1 / count), degrees))
