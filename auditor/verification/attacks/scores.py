"""What every attack's scores go through: are they numbers, are there enough, whose are they."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.errors import EvidenceError, UnauditableError
from auditor.verification.layout import Indices, Numbers

LEAST_REFERENCES = 3


def checked(values: Numbers, what: str) -> Numbers:
    """The values, all finite.

    Raises:
        EvidenceError: some are NaN or infinite.
    """
    if not np.isfinite(values).all():
        raise UnauditableError(f"{what} hold NaN or infinite values; the model can't be attacked")
    return values


def checked_references(values: Numbers, what: str, least: int = LEAST_REFERENCES) -> Numbers:
    """Scores of reference models, (K, n): finite, and K large enough.

    Raises:
        EvidenceError: too few models, or scores that are no numbers or never vary.
    """
    if len(values) < least:
        raise EvidenceError(f"{len(values)} {what} models; at least {least} are needed")
    checked(values, f"scores of {what} models")
    if not np.ptp(values, axis=0).any():
        raise UnauditableError(f"{what} models all score the same; were they trained by seed?")
    return values


def patient_means(values: Numbers, patients: Indices) -> Numbers:
    """One number per patient, in order of their codes: the mean over their images, last axis."""
    _, codes, counts = np.unique(patients, return_inverse=True, return_counts=True)
    member = codes == np.arange(len(counts))[:, None]
    return np.asarray(values @ member.T / counts)


def models_against_others(models: Numbers) -> Sequence[tuple[Numbers, Numbers]]:
    """Each model with all the others, (n,) and (K, n).

    Of K + 1 models, the candidate last, each is treated alike, so where the candidate is
    exchangeable with the OUT models so are the attack's results (DESIGN section 4 point 6).
    """
    return [(models[k], np.delete(models, k, 0)) for k in range(len(models))]
