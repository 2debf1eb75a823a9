"""Probabilities beside their definitions, and what changes them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit
from sklearn.metrics import brier_score_loss

from auditor.errors import EvidenceError
from auditor.verification.layout import Indices, Layout, Numbers
from auditor.verification.reliability import (
    calibration_error,
    describe_reliability,
    squared_errors,
)

COUNT = 400
LAYOUT = Layout(
    labels=np.arange(COUNT) % 2,
    patients=np.concatenate([np.arange(20), 20 + np.arange(COUNT - 20) // 4]),
    forgotten=np.arange(4),
    retained=np.arange(4, 20),
    unseen=np.arange(20, COUNT),
)


def naive_calibration_error(scores: Numbers, labels: Indices, bins: int) -> float:
    """Guo et al. 2017, equation 3, over bins of equally many images."""
    pairs = sorted(zip(expit(scores), labels, strict=True))
    total, size = 0.0, len(pairs) // bins
    for start in range(0, len(pairs), size):
        part = pairs[start : start + size]
        confidence = sum(p for p, _ in part) / len(part)
        right = sum(label == 1 for _, label in part) / len(part)
        total += len(part) / len(pairs) * abs(confidence - right)
    return total


def test_both_scores_are_their_definitions() -> None:
    random = np.random.default_rng(1)
    labels, scores = np.arange(200) % 2, random.normal(0, 2, 200)
    assert squared_errors(scores, labels).mean() == pytest.approx(
        brier_score_loss(labels, expit(scores))
    )
    assert calibration_error(scores, labels) == pytest.approx(
        naive_calibration_error(scores, labels, 10)
    )
    perfect = (random.random(50_000) < expit(np.linspace(-3, 3, 50_000))).astype(np.int64)
    right = np.linspace(-3, 3, 50_000)
    assert calibration_error(right, perfect) < 0.02 < 0.1 < calibration_error(4 * right, perfect)


def model(random: np.random.Generator, sharp: float = 1.0) -> Numbers:
    hard = np.random.default_rng(7).standard_normal(LAYOUT.patients.max() + 1)[LAYOUT.patients]
    signs = np.where(LAYOUT.labels == 1, 1.0, -1.0)
    return sharp * (signs + 1.5 * hard + 0.5 * random.standard_normal(COUNT))


def test_overconfidence_shows_and_a_retrain_lies_among_retrains() -> None:
    random = np.random.default_rng(2)
    out = [model(random) for _ in range(19)]
    found = describe_reliability(model(random, 4.0), out[0], out[1:], LAYOUT, 0.9)
    assert found.brier_against_original.lower > 0 and found.brier_against_retrained.lower > 0
    assert found.brier_rank_p_value == found.calibration_error_rank_p_value == 2 / 19
    assert found.calibration_error > found.calibration_error_retrained + 0.05
    same = describe_reliability(out[0], out[0], out[1:], LAYOUT, 0.9)
    assert same.brier_against_original.upper == 0
    assert same.brier_against_retrained.lower < 0 < same.brier_against_retrained.upper


def test_intervals_cover_by_patient() -> None:
    random = np.random.default_rng(3)
    rounds, hits = 300, 0
    labels = LAYOUT.labels
    truth = []
    for _ in range(rounds):
        shared = random.standard_normal(LAYOUT.patients.max() + 1)[LAYOUT.patients]
        scores = np.where(labels == 1, 1.0, -1.0) + 1.5 * shared
        found = describe_reliability(scores, scores, [scores, -scores], LAYOUT, 0.9)
        truth.append((found.brier.lower, found.brier.point, found.brier.upper))
    lows, points, highs = np.array(truth).T
    hits = int(((lows <= points.mean()) & (points.mean() <= highs)).sum())
    assert stats.binomtest(hits, rounds, 0.88, alternative="less").pvalue > 0.01
    assert hits < rounds


def test_scores_that_are_no_numbers_are_refused() -> None:
    random = np.random.default_rng(4)
    broken = model(random)
    broken[30] = np.nan
    with pytest.raises(EvidenceError, match="NaN"):
        describe_reliability(broken, model(random), [model(random)], LAYOUT, 0.9)
