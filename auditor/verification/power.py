"""Power, declared before the run from the bank alone (DESIGN section 4 point 4).

A new model's rho is a normal draw about 0 (a retrain) or 1 (an untouched model), with the spread
that the bank shows. How wide its interval will be is told by the bank's own models, each left out
in turn, so that the part that comes from patients is counted too.

To take the bank's spread for the truth would declare too much where little can pass and too little
where nearly all can: the interval widens with the same spread. So it is asked how often one of K
normal models of this spread lies where the other K - 1, by the spread that they then have, would
pass it. By Rao and Blackwell that is right on average over banks, but for the one model fewer
(Barton 1961, "Unbiased estimation of a set of probabilities").

On average isn't for whoever is told the number: a bank whose few models happen to lie close
together declares much by that luck. So it is asked, too, how often a model passes given only that
its spread was told by so few (Student's t), and the lesser of both is declared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from auditor.domain.evidence import Estimate
from auditor.verification.influence import Scale
from auditor.verification.layout import Numbers

_GRID = (np.arange(1000) + 0.5) / 1000


def pass_power(scale: Scale, margin: float, outs: Sequence[Estimate]) -> float:
    """Chance that a true retrain's interval lies inside the margin.

    Args:
        scale: the bank's ruler.
        margin: of rho.
        outs: OUT models, each measured by the others.
    """
    if not scale.established:
        return 0.0
    return min(pass_over_banks(scale, margin, outs), _pass_by_this_bank(scale, margin, outs))


def pass_over_banks(scale: Scale, margin: float, outs: Sequence[Estimate]) -> float:
    """The same, right on average over banks; arguments as of `pass_power`, the gap established."""
    others = scale.degrees - 1
    rho = stats.t.ppf(_GRID, others)[:, None]  # one of the bank's, in the spread of the others
    spread = scale.standard_error * np.sqrt(scale.degrees / (others + rho**2))
    return _inside(rho, _arms(scale, outs) / scale.standard_error, margin / spread)


def _pass_by_this_bank(scale: Scale, margin: float, outs: Sequence[Estimate]) -> float:
    rho = stats.t.ppf(_GRID, scale.degrees)[:, None]  # a new model's, in the bank's spread
    return _inside(rho, _arms(scale, outs) / scale.standard_error, margin / scale.standard_error)


def _inside(rho: Numbers, arms: Numbers, reach: Numbers | float) -> float:
    """How often an interval about ``rho`` lies inside plus or minus ``reach``."""
    up, down = arms
    return float(((rho + up < reach) & (down - rho < reach)).mean())


def clear_power(
    objected: Sequence[bool], outs: Sequence[Estimate], margin: float, alpha: float, *, alone: bool
) -> float:
    """Chance that nothing but its residual influence costs a true retrain a PASSED.

    Asked of those retrains only whose influence lies inside the margin: one that is far off on all
    patients together is far off on some of them, too, and would be counted twice. Told by the OUT
    models that are such. But that none of a dozen is objected to says next to nothing about the
    next model: how many are, is mostly chance. So they are counted among as many imagined models as
    give two objections in the secondary tests, of which each objects by alpha, as does the look at
    each patient where several are forgotten. A bank that raised none is lucky: no more is told than
    what the secondary tests leave by design.

    Args:
        objected: which OUT models something would be objected to (`objected_models`).
        outs: the same models, each measured by the others.
        margin: of rho.
        alone: one patient is forgotten, and there is no such look.

    >>> inside = Estimate(lower=-0.2, point=0.0, upper=0.2, level=0.9)
    >>> beyond = Estimate(lower=0.1, point=0.3, upper=0.5, level=0.9)
    >>> objected, outs = 4 * [True] + 46 * [False], 4 * [inside] + 2 * [beyond] + 44 * [inside]
    >>> round(clear_power(objected, outs, 0.35, 0.05, alone=True), 3)
    0.932
    >>> clear_power([False] * 50, outs, 0.35, 0.05, alone=True)
    0.95
    """
    passing = [
        found
        for found, item in zip(objected, outs, strict=True)
        if -margin < item.lower and item.upper < margin
    ]
    imagined = 2 / alpha
    nominal = 1 - (1 - alpha) ** (1 if alone else 2)
    counted = (sum(passing) + nominal * imagined) / (len(passing) + imagined)
    return 1 - max(alpha, counted)


def reach(scale: Scale, margin: float, outs: Sequence[Estimate]) -> float:
    """How far from 0 a candidate's rho may lie and its interval still inside the margin.

    Negative where no candidate can pass.
    """
    return margin - float(_arms(scale, outs).mean())


def detect_power(scale: Scale, margin: float, untouched: Sequence[Estimate]) -> float:
    """Chance that an untouched model's rejection interval lies above the margin.

    Args:
        scale: the bank's ruler.
        margin: of rho.
        untouched: IN models, each measured by the others, at the level that rejects.
    """
    if not scale.established:
        return 0.0
    below = np.array([item.point - item.lower for item in untouched])
    spread = float(np.sqrt(scale.in_variance * (1 + 1 / scale.in_models))) / scale.gap
    return float(stats.norm.cdf((1 - margin - below) / spread).mean())


def signal_needed(margin: float, alpha: float, rejection_alpha: float, power: float) -> float:
    """The least gap, in standard deviations of a retrain, at which a verdict is within reach.

    With any number of references: a retrain passes and an untouched model is found, each with
    ``power``, where their intervals are as narrow as one model's own noise lets them be.

    >>> round(signal_needed(0.35, 0.05, 0.05 / 3, 0.8), 1)
    8.4
    """
    z = stats.norm.ppf
    passing = (z(1 - alpha) + z(0.5 + power / 2)) / margin
    detecting = (z(1 - rejection_alpha) + z(power)) / (1 - margin)
    return float(max(passing, detecting))


def _arms(scale: Scale, outs: Sequence[Estimate]) -> Numbers:
    """From point to upper and to lower bound, (2, K), less what one model fewer has added to it.

    The two differ, for Fieller's interval isn't centred on rho.
    """
    arms = np.array([(item.upper - item.point, item.point - item.lower) for item in outs]).T
    count, level = scale.out_models, outs[0].level
    return arms * _factor(count, level) / _factor(count - 1, level)


def _factor(count: int, level: float) -> float:
    """Half width of the model interval about 0, in standard deviations of one model."""
    return float(stats.t.ppf(0.5 + level / 2, count - 2) * np.sqrt(1 + 1 / count))
