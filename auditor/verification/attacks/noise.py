"""Is what is left of the forgotten patients' features noise? An exact test by permutation.

If the candidate treats forgotten patients as it treats matched patients that nobody trained on,
their residuals may be exchanged for each other. The test exchanges patients, never images, within
classes and numbers of images, and asks whether the energy distance (Székely and Rizzo 2004)
between the two groups' residuals is larger than exchanging makes it.
"""

from __future__ import annotations

import numpy as np

from auditor.verification.attacks.cka import squared_distances
from auditor.verification.layout import Indices, Numbers
from auditor.verification.matching import Matched

_ROUNDS = 999
_SEED = 20260127


def noise_test(
    residuals: Numbers, expected: Numbers, matched: Matched, *, rounds: int = _ROUNDS
) -> float:
    """P-value of "indistinguishable from noise", at least 1 / (rounds + 1).

    Exact, whatever the residuals' distribution, where forgotten patients are exchangeable with
    the never-seen ones they were matched with. Patients who were picked *because* models treat
    them oddly are not: then the value describes and doesn't decide.

    Args:
        residuals: of the candidate, (n, axes).
        expected: size of an OUT model's residual of each image, (n,), by which they're divided,
            so that an odd picture isn't taken for a remembered one.
    """
    vectors = matched.means(residuals / expected[:, None])
    distances = np.sqrt(squared_distances(vectors, vectors))
    gone = (np.arange(len(vectors)) < matched.forgotten).astype(np.float64)
    energies = _energy(distances, np.vstack([gone, _exchanged(gone, matched.strata, rounds)]))
    return float((energies >= energies[0] - 1e-12).mean())


def _exchanged(group: Numbers, strata: Indices, rounds: int) -> Numbers:
    """The group's marks dealt out anew within each stratum, (rounds, patients)."""
    draw = np.random.default_rng(_SEED)
    dealt = np.argsort(strata + draw.random((rounds, len(group))), axis=1)
    changed = np.empty((rounds, len(group)))
    changed[:, np.argsort(strata, kind="stable")] = group[dealt]
    return changed


def _energy(distances: Numbers, groups: Numbers) -> Numbers:
    """Energy distance between each group (a row of 0 and 1) and the rest."""
    one = groups / groups.sum(axis=1, keepdims=True)
    rest = (1 - groups) / (1 - groups).sum(axis=1, keepdims=True)
    gap = one - rest
    return np.asarray(-((gap @ distances) * gap).sum(axis=1))
