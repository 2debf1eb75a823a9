"""Likelihood-ratio attack (LiRA): Carlini et al. 2022, Membership Inference from First Principles.

Confidences are signed logit margins or contrasts of them, which are near normal over models.
Where images are asked for several times (flips, shifts), average before.
"""

from __future__ import annotations

import numpy as np

from auditor.verification.attacks.scores import checked, checked_references
from auditor.verification.layout import Numbers

_ENOUGH_FOR_OWN_VARIANCE = (
    64  # below it one variance for all images does better, as the paper found
)


def lira_offline(scores: Numbers, out: Numbers) -> Numbers:
    """How far above OUT models each image's confidence lies, in standard deviations, (n,).

    The paper's offline attack is 1 - Pr[Z > score] with Z normal as over OUT models. Returned is
    the z-score, of which that is a rising function, since it doesn't run into 1.

    Args:
        scores: of the model under attack, (n,).
        out: of models that weren't trained on the images, (K, n).
    """
    checked(scores, "the model's scores")
    checked_references(out, "OUT")
    return np.asarray((scores - out.mean(axis=0)) / np.sqrt(_variance(out)))


def lira_online(scores: Numbers, out: Numbers, inside: Numbers) -> Numbers:
    """Log likelihood ratio of member to non-member for each image, (n,).

    The paper's online attack (algorithm 1), normal densities of each image's own.

    Args:
        scores: of the model under attack, (n,).
        out: of models that weren't trained on the images, (K, n).
        inside: of models that were, (L, n).
    """
    checked(scores, "the model's scores")
    checked_references(out, "OUT")
    checked_references(inside, "IN")
    return _log_normal(scores, inside) - _log_normal(scores, out)


def _log_normal(scores: Numbers, models: Numbers) -> Numbers:
    variance = _variance(models)
    squares = (scores - models.mean(axis=0)) ** 2 / variance
    return np.asarray(-0.5 * (squares + np.log(2 * np.pi * variance)))


def _variance(models: Numbers) -> Numbers:
    own = models.var(axis=0, ddof=1)
    return own if len(models) >= _ENOUGH_FOR_OWN_VARIANCE else np.full_like(own, own.mean())
