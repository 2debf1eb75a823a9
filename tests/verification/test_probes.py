"""The layer-wise probe against fits made one by one, its size and what it sees."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import Ridge

from auditor.verification.layout import Indices, Numbers
from auditor.verification.prediction import prediction_test
from auditor.verification.probes import separation

FORGOTTEN, NEVER, WIDTH = 10, 40, 6
CLASSES = np.arange(FORGOTTEN + NEVER) % 2
_SIGNS = np.where(CLASSES == 1, 1.0, -1.0)


def naive_separation(features: Numbers, classes: Indices, forgotten: int) -> float:
    """One ridge fit for each patient, without them."""
    member = (np.arange(len(features)) < forgotten).astype(float)
    scores = np.empty(len(features))
    for label in np.unique(classes):
        own = np.flatnonzero(classes == label)
        centred = features[own] - features[own].mean(axis=0)
        penalty = (centred**2).sum(axis=1).mean()
        for one in own:
            rest = own[own != one]
            fit = Ridge(alpha=penalty).fit(features[rest], member[rest])
            scores[one] = fit.predict(features[[one]])[0] - member[rest].mean()
    ranks = np.array([(scores <= score).sum() for score in scores])
    return float(np.mean(stats.norm.ppf(ranks[:forgotten] / (len(scores) + 1))))


def features(random: np.random.Generator, kept: float = 0.0) -> Numbers:
    """Classes lie apart; a model that remembers puts the forgotten further out on their side."""
    values = random.standard_normal((len(CLASSES), WIDTH))
    values[:, 0] += 2.0 * _SIGNS
    values[:FORGOTTEN, 0] += kept * _SIGNS[:FORGOTTEN]
    return values @ np.linalg.qr(random.standard_normal((WIDTH, WIDTH)))[0]


def test_leaving_out_by_formula_is_leaving_out_by_fitting_again() -> None:
    random = np.random.default_rng(1)
    for kept in (0.0, 1.0, 3.0):
        some = features(random, kept)
        assert separation(some, CLASSES, FORGOTTEN) == pytest.approx(
            naive_separation(some, CLASSES, FORGOTTEN)
        )
        assert separation(7 * some + 3, CLASSES, FORGOTTEN) == pytest.approx(
            separation(some, CLASSES, FORGOTTEN)
        )


def test_what_is_memorised_on_either_side_shows_and_a_retrain_is_seldom_blamed() -> None:
    random = np.random.default_rng(2)
    p_values: dict[float, list[float]] = {0.0: [], 2.5: []}
    for _ in range(150):
        out = np.array([separation(features(random), CLASSES, FORGOTTEN) for _ in range(12)])
        for kept, found in p_values.items():
            own = separation(features(random, kept), CLASSES, FORGOTTEN)
            found.append(prediction_test(own, out)[1])
    wrong = int((np.array(p_values[0.0]) <= 0.05).sum())
    assert stats.binomtest(wrong, 150, 0.05, alternative="greater").pvalue > 0.01
    assert np.mean(np.array(p_values[2.5]) <= 0.05) > 0.8


def test_nothing_to_tell_apart_by_is_no_separation() -> None:
    assert separation(np.ones((8, 3)), np.zeros(8, dtype=int), 4) == 0.0
    lone = np.random.default_rng(3).normal(size=(4, 3))  # one forgotten patient a class
    assert separation(lone, np.array([0, 1, 0, 1]), 2) == 0
