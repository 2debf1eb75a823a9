"""Secondary tests: vetoes that hold the candidate against OUT models, Holm over the family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from auditor.domain.evidence import LatentDepth, LatentMeasure, SecondaryTest
from auditor.verification.attacks import latent, membership
from auditor.verification.attacks.latent import DepthStatistics
from auditor.verification.exchangeability import rank_p_value, references_needed
from auditor.verification.holm import holm
from auditor.verification.layout import Numbers
from auditor.verification.prediction import prediction_test

MEMBERSHIP = (membership.LIRA, membership.RMIA, membership.LOSS)
LATENT = {
    "latent-residual": latent.PROCRUSTES,
    "latent-cka": latent.CKA_LINEAR,
    "latent-relative": latent.RELATIVE,
}
NAMES = (*MEMBERSHIP, *LATENT)


def secondary_tests(
    members: Mapping[str, Numbers], depths: Sequence[DepthStatistics], alpha: float
) -> tuple[SecondaryTest, ...]:
    """Hold the candidate against OUT models by each test; reject at family-wise ``alpha``.

    A latent test takes the depth that speaks loudest and pays for having looked at all of them.
    Where the bank is so large that ranks alone can reject, they do (DESIGN section 4 point 6);
    else the numbers are taken as draws of a normal distribution.

    Args:
        members: by attack one number per model, the candidate last.
        depths: the same at each depth.
    """
    series = [(name, "membership", (members[name],)) for name in MEMBERSHIP] + [
        (name, "latent", tuple(item.values[key] for item in depths if key in item.values))
        for name, key in LATENT.items()
    ]
    asked = [(name, family, values) for name, family, values in series if values]
    compared = len(asked) * max(len(values) for *_, values in asked)
    ranks = len(members[MEMBERSHIP[0]]) > references_needed(compared, alpha)
    found = [_strongest(values) for *_, values in asked]
    adjusted = holm([rank if ranks else normal for _, normal, rank in found])
    tests = {
        name: SecondaryTest(
            name=name,
            family=family,
            statistic=distance,
            p_value=rank if ranks else normal,
            rank_p_value=rank,
            adjusted=corrected,
            decisive=True,
            rejected=corrected <= alpha,
        )
        for (name, family, _), (distance, normal, rank), corrected in zip(
            asked, found, adjusted, strict=True
        )
    }
    return tuple(tests.get(name) or _without_numbers(name, family) for name, family, _ in series)


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
    distance, p_value = prediction_test(float(values[-1]), values[:-1])
    return LatentMeasure(
        name=name,
        value=float(values[-1]),
        expected=float(np.mean(values[:-1])),
        distance=distance,
        p_value=p_value,
    )


def _strongest(series: Sequence[Numbers]) -> tuple[float, float, float]:
    """Distance, normal and rank p-value of the clearest number, Bonferroni over all of them."""
    tests = [prediction_test(float(values[-1]), values[:-1]) for values in series]
    distance, normal = min(tests, key=lambda test: test[1])
    rank = min(rank_p_value(float(values[-1]), values[:-1]) for values in series)
    return distance, min(1.0, len(series) * normal), min(1.0, len(series) * rank)


def _without_numbers(name: str, family: str) -> SecondaryTest:
    """A test that needs more patients than there are: named in the plan, and silent."""
    return SecondaryTest(
        name=name,
        family=family,
        statistic=0.0,
        p_value=1.0,
        rank_p_value=1.0,
        adjusted=1.0,
        decisive=False,
        rejected=False,
    )
