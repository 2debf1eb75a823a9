"""Robust membership inference (RMIA): Zarifzadeh, Liu and Shokri 2024 (ICML, arXiv 2312.03262).

An image is held against other images of the population: how many of them does its likelihood
ratio dominate? Probabilities are those of the true class; with a margin m that is 1 / (1 + e^-m).
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from auditor.verification.attacks.scores import checked, checked_references
from auditor.verification.layout import Numbers

OFFLINE_A = 0.3  # between 0, IN models as sure as can be, and 1, IN models like OUT models


def confidence(margins: Numbers) -> Numbers:
    """Probability of the true class from its signed logit margin."""
    return np.asarray(expit(margins))


def marginal_online(out: Numbers, inside: Numbers) -> Numbers:
    """Pr(x) from OUT (K, n) and IN models (L, n): half of each, (n,).

    Raises:
        EvidenceError: too few models, or scores that are no numbers.
    """
    checked_references(out, "OUT")
    checked_references(inside, "IN")
    return np.asarray((out.mean(axis=0) + inside.mean(axis=0)) / 2)


def marginal_offline(out: Numbers, a: float = OFFLINE_A) -> Numbers:
    """Pr(x) where no model was trained on x, (n,): ((1 + a) Pr_OUT(x) + 1 - a) / 2. Equation 9."""
    checked_references(out, "OUT")
    return np.asarray(((1 + a) * out.mean(axis=0) + 1 - a) / 2)


def rmia(
    target: Numbers,
    marginal: Numbers,
    population: Numbers,
    population_marginal: Numbers,
    *,
    gamma: float = 1.0,
) -> Numbers:
    """Share of the population whose likelihood ratio each image dominates, (n,).

    Pr_z[ (Pr(x|model) / Pr(x)) / (Pr(z|model) / Pr(z)) >= gamma ].

    Args:
        target: the attacked model's probabilities of the images in question, (n,).
        marginal: their Pr(x), (n,).
        population: the model's probabilities of population images, members of nothing, (z,).
        population_marginal: their Pr(z), (z,).
    """
    ratios = checked(target / marginal, "likelihood ratios")
    others = np.sort(checked(population / population_marginal, "likelihood ratios"))
    return np.searchsorted(gamma * others, ratios, side="right") / len(others)
