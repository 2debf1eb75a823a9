"""Exact intervals of a share."""

from __future__ import annotations

from math import log

from scipy import stats

from auditor.domain.evidence import Estimate


def clopper_pearson(successes: int, trials: int, level: float = 0.95) -> Estimate:
    """Interval that covers the true share with probability at least ``level``.

    Clopper and Pearson 1934, Biometrika 26:404, by quantiles of the beta distribution.
    """
    tail, failures = (1 - level) / 2, trials - successes
    return Estimate(
        lower=float(stats.beta.ppf(tail, successes, failures + 1)) if successes else 0.0,
        point=successes / trials,
        upper=float(stats.beta.ppf(1 - tail, successes + 1, failures)) if failures else 1.0,
        level=level,
    )


def most_provable(members: int, others: int, level: float = 0.95) -> float:
    """Largest epsilon that an attack without a single error could prove, by these numbers alone.

    A model that is epsilon-differentially private keeps TPR <= exp(epsilon) FPR (Kairouz et al.
    2015, theorem 2.1); the bound takes the lower limit of a TPR of 1 and the upper of an FPR of 0.
    """
    lowest = clopper_pearson(members, members, level).lower
    highest = clopper_pearson(0, others, level).upper
    return log(lowest / highest)
