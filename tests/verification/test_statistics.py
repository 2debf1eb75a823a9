"""The statistics against simulated truth, from both sides: size and power, coverage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from auditor.domain.evidence import LEAST_IN, LEAST_OUT
from auditor.errors import EvidenceError
from auditor.verification.auc import compare, fix_margin, is_inferior
from auditor.verification.contrast import contrast
from auditor.verification.delong import auc, clustered_variance, components
from auditor.verification.fieller import Ratio
from auditor.verification.holm import holm
from auditor.verification.influence import (
    estimate,
    fit_scale,
    measure_ins,
    measure_outs,
    outside_p_value,
)
from auditor.verification.layout import Indices, Layout, Numbers
from auditor.verification.power import detect_power, pass_over_banks, pass_power
from auditor.verification.prediction import prediction_test

MARGIN = 0.35
IMAGES = 6
ONE_PATIENT = np.zeros(IMAGES, dtype=np.int64)


def models(random: np.random.Generator, count: int, gap: float) -> Numbers:
    """Contrasts of models: a noise all images of a model share, and one of each image's own."""
    shared = 0.25 * random.standard_normal((count, 1))
    own = 0.3 * random.standard_normal((count, IMAGES))
    strengths = np.linspace(0.5, 1.5, IMAGES)
    return gap * strengths + shared + own


def test_true_retrains_are_failed_no_more_often_than_declared_and_passed_as_declared() -> None:
    random = np.random.default_rng(1)
    gap, rounds, failed, passed, declared = 2.0, 400, 0, 0, []
    for _ in range(rounds):
        out, untouched = models(random, 16, 0.0), models(random, 16, gap)
        scale = fit_scale(out, untouched, ONE_PATIENT)
        candidate = models(random, 1, 0.0)[0]
        wide = estimate(scale, candidate, 1 - 2 * 0.05 / 3)
        inner = estimate(scale, candidate, 0.9)
        failed += wide.lower > MARGIN or wide.upper < -MARGIN
        passed += inner.lower > -MARGIN and inner.upper < MARGIN
        outs = measure_outs(out, untouched, ONE_PATIENT, 0.9)
        declared.append(pass_power(scale, MARGIN, outs))
    assert stats.binomtest(failed, rounds, 0.05, alternative="greater").pvalue > 0.01
    assert abs(passed / rounds - np.mean(declared)) < 0.06
    assert passed / rounds > 0.3


@pytest.mark.parametrize(
    ("count", "patients", "strengths"),
    [
        (8, ONE_PATIENT, np.full(IMAGES, 4.0)),
        (16, ONE_PATIENT, np.full(IMAGES, 1.6)),
        (16, np.arange(IMAGES), np.array([0.5, 1.0, 3.0, 5.0, 5.0, 6.0])),
    ],
    ids=["few references", "a weak gap", "unevenly remembered"],
)
def test_the_power_to_pass_is_declared_to_two_points_on_average_over_banks(
    count: int, patients: Indices, strengths: Numbers
) -> None:
    """Where half an interval and the bank's spread, taken for the truth, are 2.3 to 3.9 off."""
    random, fresh = np.random.default_rng(9), 10
    passed, declared = [], []
    for _ in range(500):
        out = models(random, count, 0.0)
        untouched = models(random, count, 0.0) + strengths
        scale = fit_scale(out, untouched, patients)
        outs = measure_outs(out, untouched, patients, 0.9)
        declared.append(scale.established and pass_over_banks(scale, MARGIN, outs))
        assert pass_power(scale, MARGIN, outs) <= declared[-1]
        for candidate in models(random, fresh, 0.0):
            inner = estimate(scale, candidate, 0.9)
            passed.append(inner.lower > -MARGIN and inner.upper < MARGIN)
    assert abs(np.mean(declared) - np.mean(passed)) < 0.02


def test_patients_weigh_alike_however_many_images_each_has() -> None:
    random, codes = np.random.default_rng(23), np.repeat(np.arange(6), [60, 1, 1, 1, 1, 1])

    def drawn(count: int, kept: Numbers) -> Numbers:
        return np.asarray(2.0 * kept + 0.3 * random.standard_normal((count, len(codes))))

    scale = fit_scale(drawn(16, codes < 0), drawn(16, codes >= 0), codes)
    for kept, share in ((codes > 0, 5 / 6), (codes == 0, 1 / 6), (codes == 3, 1 / 6)):
        found = [estimate(scale, candidate, 0.9).point for candidate in drawn(20, kept)]
        assert np.mean(found) == pytest.approx(share, abs=0.05)


def test_power_is_as_declared_for_whoever_is_told_the_number() -> None:
    """Of banks of all strengths, those that declare much are lucky ones among others."""
    random, fresh = np.random.default_rng(21), 20
    passed, declared = [], []
    for _ in range(400):
        out, untouched = models(random, 12, 0.0), models(random, 12, random.uniform(1.0, 5.0))
        scale = fit_scale(out, untouched, ONE_PATIENT)
        outs = measure_outs(out, untouched, ONE_PATIENT, 0.9)
        declared.append(pass_power(scale, MARGIN, outs))
        found = [estimate(scale, item, 0.9) for item in models(random, fresh, 0.0)]
        passed.append(np.mean([item.lower > -MARGIN and item.upper < MARGIN for item in found]))
    told = np.array(declared)
    much = (told >= 0.8) & (told < 0.99)
    assert much.sum() > 100  # by what is right over banks alone: 0.926 declared, 0.853 passed
    assert told[much].mean() - np.array(passed)[much].mean() < 0.02


@pytest.mark.parametrize("gap", [0.25, 0.6, 2.0])
def test_a_fake_at_the_margin_passes_no_more_often_than_declared(gap: float) -> None:
    """Also where the gap is weak, where naive weights would pass it far too often."""
    random = np.random.default_rng(2)
    rounds, passed = 400, 0
    for _ in range(rounds):
        scale = fit_scale(models(random, 16, 0.0), models(random, 16, gap), ONE_PATIENT)
        inner = estimate(scale, models(random, 1, MARGIN * gap)[0], 0.9)
        passed += scale.established and inner.lower > -MARGIN and inner.upper < MARGIN
    assert stats.binomtest(passed, rounds, 0.05, alternative="greater").pvalue > 0.01


def test_an_untouched_model_is_found_as_often_as_declared() -> None:
    random = np.random.default_rng(3)
    level, found, declared = 1 - 2 * 0.05 / 3, [], []
    for _ in range(300):
        out, untouched = models(random, 16, 0.0), models(random, 16, 1.4)
        scale = fit_scale(out, untouched, ONE_PATIENT)
        ins = measure_ins(out, untouched, ONE_PATIENT, level)
        declared.append(detect_power(scale, MARGIN, ins))
        wide = estimate(scale, models(random, 1, 1.4)[0], level)
        found.append(wide.lower > MARGIN or wide.upper < -MARGIN)
    assert abs(np.mean(found) - np.mean(declared)) < 0.06
    assert 0.2 < np.mean(found) < 0.98  # or the comparison would show nothing


def test_without_a_gap_nothing_is_established() -> None:
    random = np.random.default_rng(4)
    established = [
        fit_scale(models(random, 16, 0.0), models(random, 16, 0.0), ONE_PATIENT).established
        for _ in range(400)
    ]
    assert stats.binomtest(sum(established), 400, 0.02, alternative="greater").pvalue > 0.01


def test_fiellers_interval_covers_the_ratio_and_knows_when_it_cannot() -> None:
    random = np.random.default_rng(5)
    hits, rounds = 0, 2000
    for _ in range(rounds):
        top, bottom = random.normal(0.6, 0.1), random.normal(2.0, 0.2)
        low, high = ratio(top, bottom).interval(0.9)
        hits += low <= 0.3 <= high
    assert stats.binomtest(hits, rounds, 0.9).pvalue > 0.01
    assert ratio(1.0, 0.1).interval(0.95) == (-np.inf, np.inf)


def ratio(top: float, bottom: float) -> Ratio:
    many = 10**9  # degrees of freedom: the normal distribution
    return Ratio(
        top=top, bottom=bottom, var_top=0.01, covariance=0.0, var_bottom=0.04, degrees=many
    )


@given(st.floats(-2, 3), st.floats(-1.0, 3.0), st.floats(-0.005, 0.01), st.floats(0.001, 0.2))
def test_the_least_alpha_is_where_the_interval_begins_to_lie_beyond(
    top: float, bottom: float, covariance: float, alpha: float
) -> None:
    found = replace(ratio(top, bottom), covariance=covariance, degrees=14)
    lower, upper = found.interval(1 - 2 * alpha)
    for bound, side, outside in ((0.35, 1.0, lower > 0.35), (-0.35, -1.0, upper < -0.35)):
        least = found.beyond(bound, side)
        if abs(least - alpha) > 1e-9 and bottom > 0:
            assert outside == (least < alpha)


def test_one_model_dividing_its_logits_or_shifting_them_changes_nothing() -> None:
    random = np.random.default_rng(6)
    layout = layout_of(random)
    margins = random.standard_normal(len(layout.labels))
    signs = np.where(layout.labels == 1, 1.0, -1.0)
    for changed in (margins / 7, margins + 3 * signs, 0.2 * margins - signs):
        assert np.allclose(contrast(changed, layout), contrast(margins, layout))
    with pytest.raises(EvidenceError):
        contrast(np.zeros(len(margins)), layout)


def layout_of(random: np.random.Generator, unseen: int = 60) -> Layout:
    count = 4 + 30 + unseen
    return Layout(
        labels=np.arange(count) % 2,
        patients=np.arange(count),
        forgotten=np.arange(4),
        retained=np.arange(4, 34),
        unseen=np.arange(34, count),
    )


def test_a_layout_that_would_compare_a_patient_with_themselves_is_refused() -> None:
    good = layout_of(np.random.default_rng(0))
    mixed = good.patients.copy()
    mixed[40] = 0
    for changes in (
        {"patients": mixed},
        {"forgotten": np.array([], dtype=np.int64)},
        {"unseen": np.arange(34, 94, 2)},
    ):
        fields = {
            name: getattr(good, name)
            for name in ("labels", "patients", "forgotten", "retained", "unseen")
        }
        with pytest.raises(EvidenceError):
            Layout(**{**fields, **changes})


def naive_components(scores: Numbers, labels: Numbers) -> float:
    """DeLong 1988, equations 3 to 6, by comparing every pair."""
    ones, zeros = scores[labels == 1], scores[labels == 0]
    wins = (ones[:, None] > zeros) + 0.5 * (ones[:, None] == zeros)
    return float(
        wins.mean(axis=1).var(ddof=1) / len(ones) + wins.mean(axis=0).var(ddof=1) / len(zeros)
    )


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=8, max_size=40))
def test_auc_and_its_variance_are_delongs(pairs: list[tuple[int, bool]]) -> None:
    scores = np.array([score for score, _ in pairs], dtype=np.float64)
    labels = np.array([int(label) for _, label in pairs])
    each_alone = np.arange(len(labels))
    if min(labels.sum(), len(labels) - labels.sum()) < 2:
        with pytest.raises(EvidenceError):
            components(scores, labels, each_alone)
        return
    assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))
    variance = clustered_variance(components(scores, labels, each_alone), each_alone)
    assert variance == pytest.approx(naive_components(scores, labels), abs=1e-12)


def test_several_images_of_a_patient_count_as_one_source_of_error() -> None:
    random = np.random.default_rng(7)
    labels = np.repeat(np.arange(60) % 2, 3)
    patients = np.repeat(np.arange(60), 3)
    scores = np.repeat(random.standard_normal(60), 3) + labels
    parts = components(scores, labels, patients)
    naive = clustered_variance(parts, np.arange(180))
    assert clustered_variance(parts, patients) == pytest.approx(3 * naive, rel=0.1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_stepwise_rule(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for alpha in (0.01, 0.05, 0.3):
        rejected = set()
        for rank, index in enumerate(sorted(range(len(p_values)), key=lambda k: p_values[k])):
            if (len(p_values) - rank) * p_values[index] > alpha:
                break
            rejected.add(index)
        assert {k for k, p in enumerate(adjusted) if p <= alpha} == rejected


def test_the_prediction_test_keeps_its_level_and_sees_what_is_far() -> None:
    random = np.random.default_rng(8)
    draws = random.standard_normal((3000, 13))
    p_values = [prediction_test(float(row[0]), row[1:])[1] for row in draws]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    far = [prediction_test(float(row[0]) + 6, row[1:])[1] for row in draws[:200]]
    assert np.mean(np.array(far) < 0.01) > 0.9
    assert prediction_test(1.0, np.ones(5)) == (0.0, 1.0)


def test_the_least_alpha_of_a_cohort_counts_its_patients_too() -> None:
    random, patients, outside = np.random.default_rng(11), np.arange(IMAGES), []
    scale = fit_scale(models(random, 16, 0.0), models(random, 16, 2.0), patients)
    for _ in range(60):
        candidate = models(random, 1, 0.0)[0] + 2.5 * (random.random(IMAGES) < 0.5)
        least = outside_p_value(scale, candidate, MARGIN)
        for alpha in (0.002, 0.02, 0.1):
            wide = estimate(scale, candidate, 1 - 2 * alpha)
            outside.append(wide.lower > MARGIN or wide.upper < -MARGIN)
            assert outside[-1] == (least < alpha)
    assert 10 < sum(outside) < 170  # or the comparison would show nothing


def test_auc_errors_known_beforehand_are_those_of_a_fresh_retrain() -> None:
    random = np.random.default_rng(12)
    layout = layout_of(random, unseen=200)
    known, found = [], []
    for _ in range(40):
        out = list(scores_of(random, layout, 8, 1.5))
        reference = fix_margin(scores_of(random, layout, 1, 1.5)[0], out, layout, 0.9)
        known.append([item.errors.mean() for item in reference.ground.comparators])
        result = compare(reference, scores_of(random, layout, 1, 1.5)[0], 0.9)
        half = [item.difference.upper - item.difference.point for item in result.comparisons]
        found.append(np.array(half) / stats.norm.ppf(0.95))
    assert np.mean(known, axis=0) == pytest.approx(np.mean(found, axis=0), rel=0.04)


def scores_of(random: np.random.Generator, layout: Layout, count: int, skill: float) -> Numbers:
    """Models of one skill: what is hard about an image is hard for all of them."""
    hard = np.random.default_rng(99).standard_normal(len(layout.labels))
    own = 0.3 * random.standard_normal((count, len(layout.labels)))
    return skill * layout.labels + hard + own


def test_a_retrain_is_called_inferior_as_rarely_as_declared_and_damage_is_found() -> None:
    random = np.random.default_rng(9)
    layout = layout_of(random, unseen=300)
    alpha, rounds = 0.05, 200
    wrong = right = 0
    for _ in range(rounds):
        out = scores_of(random, layout, 16, 1.5)
        reference = fix_margin(scores_of(random, layout, 1, 1.5)[0], list(out), layout, 0.9)
        true = scores_of(random, layout, 1, 1.5)[0]
        damaged = scores_of(random, layout, 1, 0.3)[0]
        wrong += is_inferior(reference, compare(reference, true, 0.9), alpha)
        right += is_inferior(reference, compare(reference, damaged, 0.9), alpha)
    assert stats.binomtest(wrong, rounds, alpha, alternative="greater").pvalue > 0.01
    assert right > 0.9 * rounds


def test_the_smallest_bank_can_leave_each_of_its_models_out() -> None:
    random = np.random.default_rng(10)
    smallest = models(random, LEAST_OUT, 0.0), models(random, LEAST_IN, 5.0)
    outs = measure_outs(*smallest, ONE_PATIENT, 0.9)
    ins = measure_ins(*smallest, ONE_PATIENT, 0.9)
    assert all(np.isfinite([item.lower, item.point, item.upper]).all() for item in (*outs, *ins))
    with pytest.raises(EvidenceError, match=f"at least {LEAST_OUT} and {LEAST_IN} are needed"):
        fit_scale(smallest[0], smallest[1][1:], ONE_PATIENT)


def test_a_bank_too_small_or_broken_is_refused() -> None:
    random = np.random.default_rng(10)
    good, few = models(random, 16, 0.0), models(random, 3, 1.0)
    with pytest.raises(EvidenceError, match="at least"):
        fit_scale(good, few, ONE_PATIENT)
    broken = good.copy()
    broken[0, 0] = np.nan
    with pytest.raises(EvidenceError, match="NaN"):
        fit_scale(broken, good, ONE_PATIENT)
    with pytest.raises(EvidenceError, match="vary"):
        fit_scale(np.zeros((16, IMAGES)), good, ONE_PATIENT)
    with pytest.raises(EvidenceError, match="same"):
        fit_scale(good, good, ONE_PATIENT)


@pytest.mark.parametrize("count", [11, 16, 20, 23, 48])
@pytest.mark.parametrize("height", [np.pi / 2, 0.1, -3e7])
def test_equal_numbers_tell_nothing_though_their_mean_is_rounded(count: int, height: float) -> None:
    """Their standard deviation by numpy isn't always 0: by it a true retrain was FAILED."""
    assert prediction_test(height - 0.05, np.full(count, height)) == (0.0, 1.0)
