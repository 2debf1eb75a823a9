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

MEMBERSHIP = (membership.LIRA, membership.LIRA_AUGMENTED, membership.RMIA, membership.LOSS)
# CKA is described only: over models it has heavier tails than the normal distribution, so at the
# small levels that Holm asks for it would reject true retrains more often than promised.
LATENT = {
    "latent-residual": latent.PROCRUSTES,
    "latent-relative": latent.RELATIVE,
    "latent-probe": latent.PROBE,
}
RELEARNING = "relearning-speed"
NAMES = (*MEMBERSHIP, *LATENT)


def names(*, relearned: bool) -> tuple[str, ...]:
    """The family, with relearning where the bank's models did."""
    return (*NAMES, RELEARNING) if relearned else NAMES


def secondary_tests(
    members: Mapping[str, Numbers],
    depths: Sequence[DepthStatistics],
    alpha: float,
    relearned: Numbers | None = None,
) -> tuple[SecondaryTest, ...]:
    """Hold the candidate against OUT models by each test; reject at family-wise ``alpha``.

    A latent test takes the depth that speaks loudest and pays for having looked at all of them.
    Where the bank is so large that ranks alone can reject, they do (DESIGN section 4 point 6);
    else the numbers are taken as draws of a normal distribution. What hangs on that: of 2,000
    simulated true retrains against 10 models a family of seven tests at 1.67 % rejected 1.7 %
    where the noise of images was normal, and 2.3 % where it had the tails of a t distribution of 4
    degrees.

    Args:
        members: by attack one number per model, the candidate last.
        depths: the same at each depth.
        relearned: the same of relearning speed, where models relearned.
    """
    series = [(name, "membership", (members[name],)) for name in MEMBERSHIP] + [
        (name, "latent", tuple(item.values[key] for item in depths)) for name, key in LATENT.items()
    ]
    if relearned is not None:
        series.append((RELEARNING, "relearning", (relearned,)))
    ranks = len(members[MEMBERSHIP[0]]) > rank_references(len(series), len(depths), alpha)
    found = [_strongest(values) for *_, values in series]
    adjusted = holm([rank if ranks else normal for _, normal, rank in found])
    return tuple(
        SecondaryTest(
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
            series, found, adjusted, strict=True
        )
    )


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


def _strongest(series: Sequence[Numbers]) -> tuple[float, float, float]:
    """Distance, normal and rank p-value of the clearest number, Bonferroni over all of them."""
    tests = [prediction_test(float(values[-1]), values[:-1]) for values in series]
    distance, normal = min(tests, key=lambda test: test[1])
    rank = min(rank_p_value(float(values[-1]), values[:-1]) for values in series)
    return distance, min(1.0, len(series) * normal), min(1.0, len(series) * rank)
