"""AUC-ROC non-inferiority against the original and against OUT models, paired by patient.

The margin is fixed before the run, from the bank alone: the larger of 0.01 and the one inside
which a true retrain is found with 90 % power, an original model that was lucky in its seed
included; above 0.05 it is refused (DESIGN section 4 point 7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from auditor.domain.evidence import AucComparison, AucRegression, Estimate
from auditor.verification.delong import auc, clustered_variance, components
from auditor.verification.layout import Indices, Layout, Numbers

LEAST_MARGIN, LARGEST_MARGIN = 0.01, 0.05
_POWER = 0.90


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparator:
    """What a candidate's AUC is held against: one model, or the mean of several."""

    name: str
    auc: float
    contributions: Numbers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AucReference:
    """Everything fixed before the run.

    Attributes:
        spread: standard deviation of one retrain's AUC about the OUT mean, the mean's own
            uncertainty included.
        power: chance that a true retrain is found non-inferior.
    """

    comparators: tuple[Comparator, ...]
    spread: float
    degrees: int
    margin: float
    power: float
    labels: Indices
    patients: Indices
    unseen: Indices

    @property
    def refused(self) -> bool:
        """Whether the margin is too wide to mean anything."""
        return self.margin > LARGEST_MARGIN


def fix_margin(
    original: Numbers, out: Sequence[Numbers], layout: Layout, level: float
) -> AucReference:
    """Comparators, margin and power from the bank.

    Args:
        original: scores of the original model on every image.
        out: the same of each OUT model.
        level: of the two-sided interval whose lower bound decides.
    """
    unseen = layout.unseen
    labels, patients = layout.labels[unseen], layout.patients[unseen]
    areas = np.array([auc(scores[unseen], labels) for scores in out])
    parts = np.stack([components(scores[unseen], labels) for scores in out])
    first = components(original[unseen], labels)
    comparators = (
        Comparator(name="original", auc=auc(original[unseen], labels), contributions=first),
        Comparator(name="retrained", auc=float(areas.mean()), contributions=parts.mean(axis=0)),
    )
    count = len(out)
    spread = float(areas.std(ddof=1)) * float(np.sqrt(1 + 1 / count))
    z = float(stats.norm.ppf(0.5 + level / 2))
    errors = [
        float(np.mean([np.sqrt(clustered_variance(p - c.contributions, patients)) for p in parts]))
        for c in comparators
    ]
    t = float(stats.t.ppf(_POWER, count - 1))
    margin = max(
        LEAST_MARGIN,
        *(
            z * error + t * spread + max(0.0, c.auc - float(areas.mean()))
            for error, c in zip(errors, comparators, strict=True)
        ),
    )
    reach = min(
        (margin - z * error + float(areas.mean()) - c.auc) / max(spread, 1e-12)
        for error, c in zip(errors, comparators, strict=True)
    )
    return AucReference(
        comparators=comparators,
        spread=spread,
        degrees=count - 1,
        margin=margin,
        power=float(stats.t.cdf(reach, count - 1)),
        labels=labels,
        patients=patients,
        unseen=unseen,
    )


def compare(reference: AucReference, candidate: Numbers, level: float) -> AucRegression:
    """A candidate's AUC, and its differences with their intervals at ``level``."""
    scores = candidate[reference.unseen]
    area = auc(scores, reference.labels)
    own = components(scores, reference.labels)
    z = float(stats.norm.ppf(0.5 + level / 2))

    def interval(point: float, contributions: Numbers) -> Estimate:
        half = z * float(np.sqrt(clustered_variance(contributions, reference.patients)))
        return Estimate(lower=point - half, point=point, upper=point + half, level=level)

    original = reference.comparators[0]
    return AucRegression(
        original=interval(original.auc, original.contributions),
        candidate=interval(area, own),
        comparisons=tuple(
            AucComparison(
                against=item.name,
                difference=interval(area - item.auc, own - item.contributions),
            )
            for item in reference.comparators
        ),
        margin=reference.margin,
        margin_refused=reference.refused,
        positives=int((reference.labels == 1).sum()),
        negatives=int((reference.labels != 1).sum()),
    )


def is_inferior(reference: AucReference, result: AucRegression, alpha: float) -> bool:
    """Whether a difference lies below minus the margin, at one-sided ``alpha``.

    The retrain's own spread over seeds is added to the patients' variance, so that an unlucky
    seed isn't called damage.
    """
    t = float(stats.t.ppf(1 - alpha / len(result.comparisons), reference.degrees))
    z = float(stats.norm.ppf(0.5 + result.candidate.level / 2))
    for item in result.comparisons:
        error = (item.difference.upper - item.difference.point) / z
        bound = item.difference.point + t * float(np.hypot(error, reference.spread))
        if bound < -result.margin:
            return True
    return False
