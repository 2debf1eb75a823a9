"""AUC-ROC non-inferiority against the original and against OUT models, paired by patient.

The margin is fixed before the run, from the bank alone: the larger of 0.01 and the least one that
can be shown, inside which a true retrain is found with 90 % power, an original model that was
lucky in its seed included; above 0.05 it is refused (DESIGN section 4 point 7). Subgroups are held
against the same margin; one where a true retrain would be found inside it with 80 % power may
veto, the others are described.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from auditor.domain.evidence import AucComparison, AucRegression, Estimate, SubgroupAuc
from auditor.verification.delong import auc, clustered_variance, components
from auditor.verification.layout import Indices, Layout, Numbers
from auditor.verification.subgroups import Subgroup, find_subgroups

LEAST_MARGIN, LARGEST_MARGIN = 0.01, 0.05
DECISIVE_POWER = 0.80
_POWER = 0.90


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparator:
    """What a candidate's AUC is held against: one model, or the mean of several.

    Attributes:
        distances: of the OUT models' AUCs from it, spread as fresh retrains' would be, (K,).
        errors: standard errors of these distances, from the patients drawn, (K,).
    """

    name: str
    auc: float
    contributions: Numbers
    distances: Numbers
    errors: Numbers

    def lower(self, level: float) -> Numbers:
        """Lower bounds of the distances: what has to lie above minus the margin."""
        return self.distances - _z(level) * self.errors


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """The images on which AUCs are compared, and what is known of them before the run.

    Attributes:
        areas: AUCs of the OUT models, (K,).
        spread: standard deviation of one retrain's AUC about the OUT mean, the mean's own
            uncertainty included; ``degrees`` of freedom.
    """

    images: Indices
    labels: Indices
    patients: Indices
    comparators: tuple[Comparator, ...]
    areas: Numbers
    spread: float
    degrees: int

    def detectable(self, level: float) -> float:
        """Least margin inside which a true retrain is found with 90 % power.

        It allows for an original model whose seed was lucky, and gains nothing by an unlucky one.
        """
        t = float(stats.t.ppf(_POWER, self.degrees))
        return max(t * spread - low for low, spread in self._fresh(level))

    def designed(self, margin: float, level: float) -> float:
        """Chance by which `detectable` is told: 0.9 there, more where the margin is wider."""
        far = min((low + margin) / max(spread, 1e-12) for low, spread in self._fresh(level))
        return float(stats.t.cdf(far, self.degrees))

    def power(self, margin: float, level: float) -> float:
        """Chance that a true retrain is found non-inferior.

        AUCs near 1 are skewed, their log odds hardly: it is asked how far, on that scale, the OUT
        models lie above the least AUC that would do.
        """
        needed = np.stack([c.auc + _z(level) * c.errors for c in self.comparators])
        least = needed.max(axis=0) - margin
        above = _log_odds(self.areas) - _log_odds(least)
        spread = float(above.std(ddof=1)) * float(np.sqrt(1 + 1 / len(above)))
        return float(stats.t.cdf(float(above.mean()) / max(spread, 1e-12), self.degrees))

    def fineness(self, margin: float, level: float) -> float:
        """The same, not counting what retrains gained: how finely these images can tell."""
        lower = np.min(
            [c.lower(level) - max(0.0, float(c.distances.mean())) for c in self.comparators], axis=0
        )
        spread = max(float(lower.std(ddof=1)), 1e-12)
        return float(stats.t.cdf((float(lower.mean()) + margin) / spread, self.degrees))

    def _fresh(self, level: float) -> list[tuple[float, float]]:
        """Mean and spread of retrains' lower bounds, against each comparator.

        Less what they gained on an original model whose seed was unlucky.
        """
        return [
            (float(lower.mean()) - max(0.0, float(above)), float(lower.std(ddof=1)))
            for lower, above in (
                (item.lower(level), item.distances.mean()) for item in self.comparators
            )
        ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AucReference:
    """Everything fixed before the run.

    Attributes:
        detectable: least margin that could be shown; ``margin`` is at least that.
        power: chance that a true retrain is found non-inferior on all never-seen patients. No
            more than the margin was made for: where the bank looks better, it is by its luck.
        groups: those large enough for an AUC, each with its ground; ``too_small`` names the rest.
    """

    ground: Ground
    detectable: float
    margin: float
    power: float
    groups: tuple[tuple[Subgroup, Ground], ...]
    too_small: tuple[str, ...]

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
    ground = _ground(original, out, layout, layout.unseen)
    detectable = ground.detectable(level)
    margin = max(LEAST_MARGIN, detectable)
    found = find_subgroups(layout)
    return AucReference(
        ground=ground,
        detectable=detectable,
        margin=margin,
        power=min(ground.power(margin, level), ground.designed(margin, level)),
        groups=tuple(
            (group, _ground(original, out, layout, group.images))
            for group in found
            if group.measurable
        ),
        too_small=tuple(f"{g.attribute} {g.value}" for g in found if not g.measurable),
    )


def compare(reference: AucReference, candidate: Numbers, level: float) -> AucRegression:
    """A candidate's AUC, and its differences with their intervals at ``level``."""
    ground = reference.ground
    after, comparisons = _compare(ground, candidate, level)
    original = ground.comparators[0]
    return AucRegression(
        original=_interval(original.auc, original.contributions, ground, level),
        candidate=after,
        comparisons=comparisons,
        margin=reference.margin,
        margin_refused=reference.refused,
        detectable_margin=reference.detectable,
        positives=int((ground.labels == 1).sum()),
        negatives=int((ground.labels != 1).sum()),
        subgroups=tuple(
            _describe(group, of, reference.margin, candidate, level)
            for group, of in reference.groups
        ),
        too_small=reference.too_small,
    )


def is_inferior(reference: AucReference, result: AucRegression, alpha: float) -> bool:
    """Whether a difference lies below minus the margin, at one-sided ``alpha`` over all of them."""
    return inferior_p_value(reference, result) <= alpha


def inferior_p_value(reference: AucReference, result: AucRegression) -> float:
    """P-value of "no difference lies below minus the margin", Bonferroni over all of them.

    On all never-seen patients and in each decisive subgroup. The retrain's own spread over seeds
    is added to the patients' variance, so that an unlucky seed isn't called damage.
    """
    held = [(reference.ground, result.comparisons)]
    for (_, ground), group in zip(reference.groups, result.subgroups, strict=True):
        if group.decisive:
            held.append((ground, group.comparisons))
    found = [
        _below(item.difference, ground, result.margin)
        for ground, comparisons in held
        for item in comparisons
    ]
    return min(1.0, len(found) * min(found))


def _below(difference: Estimate, ground: Ground, margin: float) -> float:
    """P-value of one difference, another retrain's seed counted as chance."""
    error = (difference.upper - difference.point) / _z(difference.level)
    spread = max(float(np.hypot(error, ground.spread)), 1e-12)
    return float(stats.t.cdf((difference.point + margin) / spread, ground.degrees))


def _describe(
    group: Subgroup, ground: Ground, margin: float, candidate: Numbers, level: float
) -> SubgroupAuc:
    after, comparisons = _compare(ground, candidate, level)
    power = ground.fineness(margin, level)
    return SubgroupAuc(
        attribute=group.attribute,
        value=group.value,
        positives=int((ground.labels == 1).sum()),
        negatives=int((ground.labels != 1).sum()),
        candidate=after,
        comparisons=comparisons,
        detectable_margin=ground.detectable(level),
        power=power,
        decisive=power >= DECISIVE_POWER,
    )


def _compare(
    ground: Ground, candidate: Numbers, level: float
) -> tuple[Estimate, tuple[AucComparison, ...]]:
    scores = candidate[ground.images]
    area = auc(scores, ground.labels)
    own = components(scores, ground.labels, ground.patients)
    return _interval(area, own, ground, level), tuple(
        AucComparison(
            against=item.name,
            difference=_interval(area - item.auc, own - item.contributions, ground, level),
        )
        for item in ground.comparators
    )


def _interval(point: float, contributions: Numbers, ground: Ground, level: float) -> Estimate:
    half = _z(level) * float(np.sqrt(clustered_variance(contributions, ground.patients)))
    return Estimate(lower=point - half, point=point, upper=point + half, level=level)


def _ground(original: Numbers, out: Sequence[Numbers], layout: Layout, images: Indices) -> Ground:
    labels, patients = layout.labels[images], layout.patients[images]
    areas = np.array([auc(scores[images], labels) for scores in out])
    parts = np.stack([components(scores[images], labels, patients) for scores in out])
    count, mean = len(out), float(areas.mean())
    # The mean holds a K-th of each model; a fresh retrain is no part of it, and stands farther off.
    fresh = float(np.sqrt(1 + 1 / count))
    apart = float(np.sqrt((count + 1) / (count - 1)))
    own = components(original[images], labels, patients)
    sides = (
        ("original", auc(original[images], labels), own, 1.0),
        ("retrained", mean, parts.mean(axis=0), apart),
    )
    return Ground(
        images=images,
        labels=labels,
        patients=patients,
        areas=areas,
        comparators=tuple(
            Comparator(
                name=name,
                auc=area,
                contributions=contributions,
                distances=fresh * (areas - mean) + (mean - area),
                errors=factor
                * np.sqrt([clustered_variance(p - contributions, patients) for p in parts]),
            )
            for name, area, contributions, factor in sides
        ),
        spread=float(areas.std(ddof=1)) * fresh,
        degrees=count - 1,
    )


def _log_odds(areas: Numbers) -> Numbers:
    held = np.clip(areas, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(held / (1 - held)))


def _z(level: float) -> float:
    """Normal quantile of a two-sided interval."""
    return float(stats.norm.ppf(0.5 + level / 2))
