"""Are the model's probabilities still right? Brier score and calibration error, described.

On never-seen patients. Neither decides: a model may be recalibrated for good reasons, and what
harms diagnosis shows in the AUC.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from auditor.domain.evidence import Estimate, Reliability
from auditor.errors import UnauditableError
from auditor.verification.delong import clustered_variance
from auditor.verification.exchangeability import rank_p_value
from auditor.verification.layout import Indices, Layout, Numbers

BINS = 10


def squared_errors(scores: Numbers, labels: Indices) -> Numbers:
    """Per image (P(class 1) - [is class 1])^2, (n,); their mean is Brier's score (1950).

    Args:
        scores: log odds of class 1, (n,).
    """
    return np.asarray((expit(scores) - (labels == 1)) ** 2)


def calibration_error(scores: Numbers, labels: Indices, bins: int = BINS) -> float:
    """Expected calibration error over bins of equally many images.

    Naeini et al. 2015 with the bins of Nixon et al. 2019. It is above 0 for a perfect model too,
    the more so the fewer images, so it says something only beside another model's on the same ones.
    """
    order = np.argsort(scores, kind="stable")
    gaps = expit(scores[order]) - (labels[order] == 1)
    parts = np.array_split(gaps, min(bins, len(gaps)))
    return float(sum(abs(part.sum()) for part in parts) / len(gaps))


def describe_reliability(
    candidate: Numbers, original: Numbers, out: Sequence[Numbers], layout: Layout, level: float
) -> Reliability:
    """Hold a candidate's probabilities against the original's and the OUT models'.

    Args:
        candidate, original, out: log odds of class 1 of every image.
        level: of the intervals.

    Raises:
        EvidenceError: NaN or infinite scores.
    """
    unseen = layout.unseen
    labels, patients = layout.labels[unseen], layout.patients[unseen]
    everyone = [candidate[unseen], original[unseen], *(item[unseen] for item in out)]
    if not np.isfinite(np.stack(everyone)).all():
        raise UnauditableError("the model's scores are NaN or infinite; it can't be audited")
    own, before, *others = (squared_errors(item, labels) for item in everyone)
    errors = [calibration_error(item, labels) for item in everyone]
    retrained = np.mean(others, axis=0)
    return Reliability(
        brier=_mean(own, patients, level),
        brier_against_original=_mean(own - before, patients, level),
        brier_against_retrained=_mean(own - retrained, patients, level),
        brier_rank_p_value=rank_p_value(float(own.mean()), np.array([o.mean() for o in others])),
        calibration_error=errors[0],
        calibration_error_original=errors[1],
        calibration_error_retrained=float(np.mean(errors[2:])),
        calibration_error_rank_p_value=rank_p_value(errors[0], np.array(errors[2:])),
    )


def _mean(values: Numbers, patients: Indices, level: float) -> Estimate:
    """Mean over images with its interval, patients being what is drawn."""
    point, people = float(values.mean()), len(np.unique(patients))
    parts = (values - point) / len(values) * np.sqrt(people / max(people - 1, 1))
    half = float(norm.ppf(0.5 + level / 2)) * float(np.sqrt(clustered_variance(parts, patients)))
    return Estimate(lower=point - half, point=point, upper=point + half, level=level)
