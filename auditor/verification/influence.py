"""Residual influence rho: where a model stands between never having seen the patients and having.

The mean of OUT models is 0, of IN models 1 (DESIGN section 4 points 2 and 3). Image weights come
from one half of the bank, numerator and denominator from the other; halves are swapped and
averaged. A patient's images share the weight that one of another's has alone: the patient is the
unit (point 8), and one with sixty would hide what is kept of five with one each. A candidate is one
draw, so its variance is that of the pooled statistic over OUT models. The interval of the ratio is
Fieller's (1954); over patients, who are no sample but the cohort itself, it is the ratio
estimator's (Cochran 1977, "Sampling Techniques", chapter 6).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from auditor.domain.evidence import LEAST_IN, LEAST_OUT, Estimate
from auditor.errors import EvidenceError, UnauditableError
from auditor.verification.fieller import Ratio
from auditor.verification.layout import Indices, Numbers

_WIDEST = 2.0  # times the interval that many references would give
_GAP_LEVEL = 0.99
_LEAST_PATIENTS = 5  # below it a variance over patients has no say


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scale:
    """The ruler a bank gives.

    Attributes:
        weights: one row per direction (weights from that half), (2, n).
        zero: mean OUT contrast of the other half, (2, n).
        rise: mean IN minus mean OUT contrast of the other half, (2, n).
        out_variance: of one OUT model's pooled statistic, averaged over directions.
        in_variance: of one IN model's.
        patients: a code per image, (n,).
    """

    weights: Numbers
    zero: Numbers
    rise: Numbers
    out_variance: float
    in_variance: float
    out_models: int
    in_models: int
    patients: Indices

    @property
    def gap(self) -> float:
        """Denominator of rho: the pooled statistic's rise from OUT to IN."""
        return float((self.weights * self.rise).sum(axis=1).mean())

    @property
    def gap_variance(self) -> float:
        """Variance of `gap` over the choice of models."""
        return self.in_variance / self.in_models + self.out_variance / self.out_models

    @property
    def degrees(self) -> int:
        """Degrees of freedom of `out_variance`: one mean per half is spent."""
        return self.out_models - 2

    @property
    def gap_t(self) -> float:
        """The gap in its own standard errors."""
        return self.gap / float(np.sqrt(self.gap_variance))

    @property
    def established(self) -> bool:
        """Whether the gap's one-sided lower bound is above 0."""
        return self.gap_t > float(stats.t.ppf(_GAP_LEVEL, self.degrees))

    @property
    def standard_error(self) -> float:
        """Of a new retrain's rho, in units of the gap."""
        return float(np.sqrt(self.out_variance * (1 + 1 / self.out_models))) / abs(self.gap)


def references_for(alpha: float) -> int:
    """Fewest OUT models for intervals with ``alpha`` in a tail.

    With fewer, the quantile of t is more than twice that of the normal distribution, and what the
    interval is wide by is the want of references.

    >>> references_for(0.05 / 3), references_for(0.0001), references_for(0.00001)
    (8, 9, 11)
    """
    count = LEAST_OUT
    while stats.t.isf(alpha, count - 2) > _WIDEST * stats.norm.isf(alpha):
        count += 1
    return count


def fit_scale(out: Numbers, untouched: Numbers, patients: Indices) -> Scale:
    """Make the ruler from contrasts of OUT models (K, n) and IN models (L, n).

    Raises:
        EvidenceError: too few models, or contrasts that are NaN or don't vary.
    """
    if len(out) < LEAST_OUT or len(untouched) < LEAST_IN:
        raise EvidenceError(
            f"{len(out)} OUT and {len(untouched)} IN models; at least {LEAST_OUT} and {LEAST_IN} "
            "are needed"
        )
    if not (np.isfinite(out).all() and np.isfinite(untouched).all()):
        raise UnauditableError("reference scores hold NaN or infinite values")
    return _fit(out, untouched, patients)


def _fit(out: Numbers, untouched: Numbers, patients: Indices) -> Scale:
    _, places, counts = np.unique(patients, return_inverse=True, return_counts=True)
    shares = 1.0 / counts[places]
    directions = [
        _direction(out[k::2], untouched[k::2], out[1 - k :: 2], untouched[1 - k :: 2], shares)
        for k in (0, 1)
    ]
    weights, zeros, rises, out_var, in_var = zip(*directions, strict=True)
    return Scale(
        weights=np.stack(weights),
        zero=np.stack(zeros),
        rise=np.stack(rises),
        out_variance=float(np.mean(out_var)),
        in_variance=float(np.mean(in_var)),
        out_models=len(out),
        in_models=len(untouched),
        patients=patients,
    )


def _direction(
    out: Numbers, untouched: Numbers, other_out: Numbers, other_in: Numbers, shares: Numbers
) -> tuple[Numbers, Numbers, Numbers, float, float]:
    """Weights from one half; location, rise and variances from the other.

    Args:
        shares: of its patient that each image is, (n,).
    """
    variance = out.var(axis=0, ddof=1)
    typical = float(np.median(variance))
    if typical <= 0:
        raise UnauditableError("reference scores don't vary; were the models trained by seed?")
    rise = untouched.mean(axis=0) - out.mean(axis=0)
    if not rise.any():
        raise UnauditableError("IN and OUT models score the same; are they the same models?")
    weights = rise / (variance + typical)  # shrunk: a variance from few models is itself noise
    weights = weights * shares
    weights = weights / np.linalg.norm(weights)
    return (
        weights,
        other_out.mean(axis=0),
        other_in.mean(axis=0) - other_out.mean(axis=0),
        float((other_out @ weights).var(ddof=1)),
        float((other_in @ weights).var(ddof=1)),
    )


def estimate(scale: Scale, candidate: Numbers, level: float) -> Estimate:
    """Rho of one candidate's contrasts (n,) with its interval at ``level``.

    For cohorts of five and more patients an interval from the variance over patients is made
    too, and the hull of both is given, so that a candidate that forgot only some of them looks
    less precise. That the bank's own models remember them unevenly widens nothing. One of many is
    lost in it: each is looked at alone (`per_patient`).
    """
    point = pooled(scale, candidate) / scale.gap
    intervals = [_model_ratio(scale, pooled(scale, candidate)).interval(level)]
    codes = np.unique(scale.patients)
    if len(codes) >= _LEAST_PATIENTS:
        intervals.append(_patient_ratio(scale, candidate, codes).interval(level))
    return Estimate(
        lower=min(low for low, _ in intervals),
        point=point,
        upper=max(high for _, high in intervals),
        level=level,
    )


def outside_p_value(scale: Scale, candidate: Numbers, margin: float) -> float:
    """Least one-sided alpha at which the interval of `estimate` lies outside plus or minus margin.

    1 where the gap isn't established: there is nothing to lie outside of.
    """
    if not scale.established:
        return 1.0
    ratios = [_model_ratio(scale, pooled(scale, candidate))]
    codes = np.unique(scale.patients)
    if len(codes) >= _LEAST_PATIENTS:
        ratios.append(_patient_ratio(scale, candidate, codes))
    return min(max(ratio.beyond(side * margin, side) for ratio in ratios) for side in (1.0, -1.0))


def pooled(scale: Scale, candidate: Numbers) -> float:
    """Numerator of rho: the candidate's weighted distance from the OUT mean."""
    return float((scale.weights * (candidate - scale.zero)).sum(axis=1).mean())


def _model_ratio(scale: Scale, numerator: float) -> Ratio:
    shared = scale.out_variance / scale.out_models
    return Ratio(
        top=numerator,
        bottom=scale.gap,
        var_top=scale.out_variance + shared,
        covariance=shared,
        var_bottom=scale.gap_variance,
        degrees=scale.degrees,
    )


def _patient_ratio(scale: Scale, candidate: Numbers, codes: Indices) -> Ratio:
    above = (scale.weights * (candidate - scale.zero)).mean(axis=0)
    rise = (scale.weights * scale.rise).mean(axis=0)
    parts = np.array(
        [
            [above[scale.patients == code].sum(), rise[scale.patients == code].sum()]
            for code in codes
        ]
    )
    top, bottom = parts.sum(axis=0)
    beside = parts[:, 0] - top / bottom * parts[:, 1]  # what each has more or less than their share
    return Ratio(
        top=float(top),
        bottom=float(bottom),
        var_top=float(len(codes) * beside.var(ddof=1)),
        covariance=0.0,
        var_bottom=0.0,
        degrees=len(codes) - 1,
    )


def measure_outs(
    out: Numbers, untouched: Numbers, patients: Indices, level: float
) -> tuple[Estimate, ...]:
    """Rho of each OUT model, measured by the other models alone; arguments as of `fit_scale`."""
    return tuple(
        estimate(_fit(np.delete(out, k, 0), untouched, patients), out[k], level)
        for k in range(len(out))
    )


def measure_ins(
    out: Numbers, untouched: Numbers, patients: Indices, level: float
) -> tuple[Estimate, ...]:
    """The same of each IN model."""
    return tuple(
        estimate(_fit(out, np.delete(untouched, k, 0), patients), untouched[k], level)
        for k in range(len(untouched))
    )
