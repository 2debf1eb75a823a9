"""Secondary tests: vetoes that hold the candidate against OUT models, Holm over the family.

Each p-value is taken twice, since with few references the tails of a statistic over models aren't
known. What is FAILED must be so under heavy tails, too, or a true retrain would be FAILED more
often than promised; what is PASSED must not be odd even where tails are the normal distribution's.
In between the data can't tell, and the verdict is INDETERMINATE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.domain.evidence import LatentDepth, LatentMeasure, SecondaryTest
from auditor.errors import EvidenceError
from auditor.verification.attacks import latent, membership
from auditor.verification.attacks.latent import DepthStatistics
from auditor.verification.exchangeability import rank_p_value, references_needed
from auditor.verification.holm import holm
from auditor.verification.layout import Layout, Numbers
from auditor.verification.measurements import Measurements
from auditor.verification.prediction import cautious_p_value, prediction_test
from auditor.verification.relearning import relearning_statistics

MEMBERSHIP = (membership.LIRA, membership.LIRA_AUGMENTED, membership.RMIA, membership.LOSS)
# CKA is described only: over models it has heavier tails than the others, and each test in the
# family makes all of them blunter.
LATENT = {
    "latent-residual": latent.PROCRUSTES,
    "latent-relative": latent.RELATIVE,
    "latent-probe": latent.PROBE,
}
RELEARNING = "relearning-speed"
NAMES = (*MEMBERSHIP, *LATENT)

Series = tuple[str, str, tuple[Numbers, ...]]


def names(*, relearned: bool) -> tuple[str, ...]:
    """The family, with relearning where the bank's models did."""
    return (*NAMES, RELEARNING) if relearned else NAMES


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Statistics:
    """What the tests read of some models, treated all alike; a candidate stands last.

    Attributes:
        members: by attack one number per model.
        depths: the same at each depth.
        relearned: the same of relearning speed; None where no model relearned anything.
    """

    members: Mapping[str, Numbers]
    depths: Sequence[DepthStatistics]
    relearned: Numbers | None = None

    @property
    def models(self) -> int:
        """How many there are."""
        return len(self.members[MEMBERSHIP[0]])

    @property
    def series(self) -> tuple[Series, ...]:
        """By test its name, its family, and one number per model at every depth it looks at."""
        found: list[Series] = [(name, "membership", (self.members[name],)) for name in MEMBERSHIP]
        for name, key in LATENT.items():
            found.append((name, "latent", tuple(item.values[key] for item in self.depths)))
        if self.relearned is not None:
            found.append((RELEARNING, "relearning", (self.relearned,)))
        return tuple(found)

    def ranks_decide(self, alpha: float) -> bool:
        """Whether there are so many models that ranks alone can reject (DESIGN section 4.6)."""
        return self.models > rank_references(len(self.series), len(self.depths), alpha)


def statistics_of(
    models: Sequence[Measurements], untouched: Sequence[Measurements], layout: Layout
) -> Statistics:
    """Take them from OUT models and a candidate, or from OUT models alone.

    Args:
        untouched: as in `latent_statistics`.

    Raises:
        EvidenceError: models that can't be compared, or weren't asked the same.
    """
    *others, last = models
    if len({(len(item.augmented), len(item.noisy), len(item.relearned)) for item in models}) > 1:
        raise EvidenceError(
            "the models weren't all asked the same about changed images, or relearned by other "
            "steps; measure them anew"
        )
    return Statistics(
        members=membership.membership_statistics(models, layout),
        depths=latent.latent_statistics(others, last, untouched, layout),
        relearned=relearning_statistics(models, layout),
    )


def secondary_tests(
    found: Statistics, alpha: float, *, doubt_alpha: float
) -> tuple[SecondaryTest, ...]:
    """Hold the candidate against OUT models by each test.

    A latent test takes the depth that speaks loudest and pays for having looked at all of them.

    Args:
        found: of OUT models and the candidate.
        alpha: chance that a true retrain is rejected by any test.
        doubt_alpha: chance that any test casts doubt on a true retrain.
    """
    series, ranks = found.series, found.ranks_decide(alpha)
    told = [_strongest(values) for *_, values in series]
    p_values = [item.rank if ranks else item.cautious for item in told]
    adjusted, doubts = holm(p_values), holm([item.rank if ranks else item.normal for item in told])
    return tuple(
        SecondaryTest(
            name=name,
            family=family,
            statistic=item.distance,
            p_value=p_value,
            rank_p_value=item.rank,
            adjusted=corrected,
            doubt=doubt,
            decisive=True,
            rejected=corrected <= alpha,
            doubted=doubt <= doubt_alpha,
        )
        for (name, family, _), item, p_value, corrected, doubt in zip(
            series, told, p_values, adjusted, doubts, strict=True
        )
    )


def doubted_models(found: Statistics, alpha: float, *, doubt_alpha: float) -> tuple[bool, ...]:
    """Which of these models the family casts doubt on, each held against all the others.

    Of OUT models it tells how often a true retrain will be doubted, whatever tails they have.

    Args:
        found: of OUT models alone.
        alpha: as in `secondary_tests`; so is ``doubt_alpha``.
    """
    series, ranks = found.series, found.ranks_decide(alpha)
    doubted = []
    for model in range(found.models):
        told = [
            _strongest([np.append(np.delete(item, model), item[model]) for item in values])
            for *_, values in series
        ]
        least = min(holm([item.rank if ranks else item.normal for item in told]))
        doubted.append(least <= doubt_alpha)
    return tuple(doubted)


def rank_references(tests: int, depths: int, alpha: float) -> int:
    """OUT models from which ranks alone can reject in a family that looks at so many depths.

    >>> rank_references(7, 3, 0.05 / 3)
    2519
    """
    return references_needed(tests * depths, alpha)


def describe_depths(depths: Sequence[DepthStatistics]) -> tuple[LatentDepth, ...]:
    """Each depth's measures as lines of evidence."""
    return tuple(
        LatentDepth(
            depth=item.depth,
            measures=tuple(_measure(name, values) for name, values in item.values.items()),
            noise_p_value=item.noise_p_value,
            nearer_untouched_p_value=item.nearer_untouched_p_value,
        )
        for item in depths
    )


def _measure(name: str, values: Numbers) -> LatentMeasure:
    value, others = float(values[-1]), values[:-1]
    return LatentMeasure(
        name=name,
        value=value,
        expected=float(np.mean(others)),
        distance=prediction_test(value, others)[0],
        rank_p_value=rank_p_value(value, others),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A distance in standard deviations, and its p-value by three ways of taking the others."""

    distance: float
    normal: float
    cautious: float
    rank: float


def _strongest(series: Sequence[Numbers]) -> _Found:
    """The clearest number, Bonferroni over all of them."""
    tests = [prediction_test(float(values[-1]), values[:-1]) for values in series]
    distance, normal = min(tests, key=lambda test: test[1])
    rank = min(rank_p_value(float(values[-1]), values[:-1]) for values in series)
    normal, cautious, rank = (
        min(1.0, len(series) * p_value)
        for p_value in (normal, cautious_p_value(distance, len(series[0]) - 1), rank)
    )
    return _Found(distance=distance, normal=normal, cautious=cautious, rank=rank)
