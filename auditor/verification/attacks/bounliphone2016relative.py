"""Three-sample relative test: does the candidate lie nearer to a retrain or to the original?

Bounliphone et al. 2016, A Test of Relative Similarity for Model Selection in Generative Models;
for unlearning Ribero, Schrab and Gretton 2026 (arXiv 2601.19755): a plain two-sample test fails
true retrains for differences that have nothing to do with forgetting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from auditor.errors import EvidenceError, UnauditableError
from auditor.verification.attacks.cka import squared_distances
from auditor.verification.layout import Numbers

LEAST_PATIENTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """MMD^2 to the original less MMD^2 to the retrain: below 0 it's nearer to the original.

    Attributes:
        p_value: one-sided, small where the candidate is nearer to the original. From the normal
            limit over many patients, for these three models only: another seed is another draw.
    """

    difference: float
    standard_error: float
    p_value: float


def relative_test(candidate: Numbers, retrain: Numbers, original: Numbers) -> Relative:
    """Compare three models' features of the same patients, in one frame, (n, d) each.

    The paper's samples are independent of each other; here all three hold the same patients, so
    the difference is taken as one U-statistic over patients, whose variance knows what they share.

    Raises:
        EvidenceError: fewer than four patients.
    """
    terms = u_terms(candidate, retrain, original)
    count = len(terms)
    if count < LEAST_PATIENTS:
        raise EvidenceError(
            f"relative test on {count} patients; at least {LEAST_PATIENTS} are needed"
        )
    rows = terms.sum(axis=1) / (count - 1)
    pairs = terms[~np.eye(count, dtype=bool)]
    # Hoeffding 1948, equation 5.13: variance of a U-statistic of degree 2
    variance = (
        4 * (count - 2) / (count * (count - 1)) * rows.var(ddof=1)
        + 2 / (count * (count - 1)) * pairs.var()
    )
    difference, error = float(rows.mean()), float(np.sqrt(variance))
    p_value = float(stats.norm.cdf(difference / error)) if error > 0 else 1.0
    return Relative(difference=difference, standard_error=error, p_value=p_value)


def u_terms(candidate: Numbers, retrain: Numbers, original: Numbers) -> Numbers:
    """What each two patients add to MMD^2 to the original less MMD^2 to the retrain, (n, n).

    Each MMD^2 is the unbiased one of Gretton et al. 2012, equation 4. The diagonal is 0.
    """
    pooled = np.concatenate([candidate, retrain, original])
    width = float(np.median(squared_distances(pooled, pooled)[np.triu_indices(len(pooled), 1)]))
    if width <= 0:
        raise UnauditableError("models give most images the same features; they can't be compared")

    def kernel(a: Numbers, b: Numbers) -> Numbers:
        return np.asarray(np.exp(-squared_distances(a, b) / (2 * width)))

    cross = kernel(candidate, retrain) - kernel(candidate, original)
    terms = kernel(original, original) - kernel(retrain, retrain) + cross + cross.T
    np.fill_diagonal(terms, 0.0)
    return terms
