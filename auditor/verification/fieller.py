"""A ratio of two normal means, its interval and its tests.

Fieller, E. C. (1954), J. R. Stat. Soc. B 16:175.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """``top`` over ``bottom``, with their variances, covariance and degrees of freedom."""

    top: float
    bottom: float
    var_top: float
    covariance: float
    var_bottom: float
    degrees: int

    def interval(self, level: float) -> tuple[float, float]:
        """All r with (top - r bottom)^2 <= t^2 var(top - r bottom).

        Unbounded where the bottom may be 0.
        """
        t = float(stats.t.ppf(0.5 + level / 2, self.degrees))
        a = self.bottom**2 - t**2 * self.var_bottom
        b = self.top * self.bottom - t**2 * self.covariance
        c = self.top**2 - t**2 * self.var_top
        root = b**2 - a * c
        if a <= 0 or root < 0:
            return -np.inf, np.inf
        return (b - float(np.sqrt(root))) / a, (b + float(np.sqrt(root))) / a

    def beyond(self, bound: float, side: float) -> float:
        """Least one-sided alpha at which the interval lies above ``bound`` (side 1) or below (-1).

        At least the alpha from which on the interval is bounded at all.
        """
        variance = self.var_top - 2 * bound * self.covariance + bound**2 * self.var_bottom
        far = side * (self.top - bound * self.bottom) / max(float(np.sqrt(variance)), 1e-300)
        known = abs(self.bottom) / max(float(np.sqrt(self.var_bottom)), 1e-300)
        return float(stats.t.sf(min(far, known), self.degrees))
