"""Latent similarity against definitions, and its tests' size and power on simulated features."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import stats

from auditor.errors import EvidenceError
from auditor.verification.attacks.bounliphone2016relative import relative_test
from auditor.verification.attacks.cka import debiased_cka, linear_gram, rbf_gram
from auditor.verification.attacks.latent import latent_statistics, nearness
from auditor.verification.attacks.noise import noise_test
from auditor.verification.attacks.procrustes import align, residuals, rotation
from auditor.verification.layout import Layout, Numbers
from auditor.verification.matching import Matched, match_patients
from tests.vectors import make_attack_vectors as maker
from tests.verification.simulated import LAYOUT, model, rotated

GOLDEN: dict[str, Any] = json.loads(maker.FILE.read_text(encoding="utf-8"))
ALPHA = 0.05


def cka_of(*features: Numbers, gram: Any = linear_gram) -> Numbers:
    return debiased_cka(np.stack([gram(item) for item in features]))


@pytest.mark.parametrize(("name", "gram"), [("linear", linear_gram), ("rbf", rbf_gram)])
def test_cka_is_the_ratio_of_u_statistics_over_quadruples(name: str, gram: Any) -> None:
    one, two = (np.array(GOLDEN["cka"][key]) for key in ("one", "two"))
    found = cka_of(one, two, gram=gram)
    assert found[0, 1] == pytest.approx(GOLDEN["cka"][name])
    assert np.allclose(found.diagonal(), 1) and found[0, 1] == found[1, 0]


def test_cka_of_unrelated_features_is_0_on_average_and_of_turned_ones_1() -> None:
    draw = np.random.default_rng(1)
    unrelated = [
        cka_of(draw.normal(0, 1, (12, 40)), draw.normal(0, 1, (12, 40)))[0, 1] for _ in range(300)
    ]
    assert abs(stats.ttest_1samp(unrelated, 0).statistic) < 3  # biased CKA: about 0.8
    some = draw.normal(0, 1, (12, 5))
    for gram in (linear_gram, rbf_gram):
        assert cka_of(some, 7 * rotated(draw, some) + 3, gram=gram)[0, 1] == pytest.approx(1)
    with pytest.raises(EvidenceError, match="at least 4"):
        cka_of(some[:3], some[:3])
    for gram in (linear_gram, rbf_gram):
        with pytest.raises(EvidenceError, match="same features"):
            cka_of(some, np.ones((12, 5)), gram=gram)


def test_cka_can_be_moved_by_one_picture_where_a_second_measure_is_not() -> None:
    """Davari et al. 2023: why CKA never speaks alone."""
    draw = np.random.default_rng(2)
    some = draw.normal(0, 1, (60, 8))
    moved = some.copy()
    moved[0] += 60.0
    assert cka_of(some, moved)[0, 1] < 0.2
    anchors = np.arange(1, 60)
    frame = align([some.astype(np.float32), moved.astype(np.float32)], anchors, 8)
    assert ((frame[0] - frame[1])[anchors] ** 2).sum(axis=1).max() < 1e-6


def test_the_best_rotation_is_found() -> None:
    draw = np.random.default_rng(3)
    some = draw.normal(0, 1, (30, 4))
    turned = rotated(draw, some)
    found = rotation(turned, some)
    assert np.allclose(found @ found.T, np.eye(4)) and np.allclose(turned @ found, some)
    target = draw.normal(0, 1, (30, 4))
    best = ((some @ rotation(some, target) - target) ** 2).sum()
    others = [((rotated(draw, some) - target) ** 2).sum() for _ in range(200)]
    assert best < min(others)


def test_models_that_differ_by_a_rotation_and_a_scale_have_no_residuals() -> None:
    draw = np.random.default_rng(4)
    some = draw.normal(0, 1, (40, 6)) * np.arange(1, 7)
    models = [(3 * rotated(draw, some) + 2).astype(np.float32) for _ in range(5)]
    frame = align(models, np.arange(30))
    assert np.abs(residuals(frame)).max() < 1e-4
    assert (frame[0, :30] ** 2).sum(axis=1).mean() == pytest.approx(1)
    left = np.array([frame[k] - np.delete(frame, k, 0).mean(axis=0) for k in range(5)])
    assert np.allclose(residuals(frame), left)
    with pytest.raises(EvidenceError, match="same features"):
        align([np.ones((9, 3), dtype=np.float32)], np.arange(9))


def test_images_in_question_choose_neither_axes_nor_rotation() -> None:
    draw = np.random.default_rng(5)
    models = [draw.normal(0, 1, (40, 6)).astype(np.float32) for _ in range(4)]
    anchors = np.arange(30)
    changed = [item.copy() for item in models]
    changed[1][30:] += 50.0
    before, after = align(models, anchors), align(changed, anchors)
    assert np.array_equal(before[:, anchors], after[:, anchors])
    assert np.abs(before[1, 30:] - after[1, 30:]).max() > 1


def statistics_of(draw: np.random.Generator, moved: float) -> Any:
    out = [model(draw) for _ in range(8)]
    untouched = [model(draw, moved=1.0) for _ in range(4)]
    return latent_statistics(out, model(draw, moved=moved), untouched, LAYOUT)


def test_all_models_are_treated_alike_so_a_retrain_is_exchangeable_with_them() -> None:
    draw = np.random.default_rng(6)
    models = [model(draw) for _ in range(7)]
    untouched = [model(draw, moved=1.0) for _ in range(3)]
    order = [3, 0, 6, 1, 5, 2, 4]
    first = latent_statistics(models[:-1], models[-1], untouched, LAYOUT)
    again = [models[k] for k in order]
    other = latent_statistics(again[:-1], again[-1], untouched, LAYOUT)
    for one, two in zip(first, other, strict=True):
        assert list(one.values) == ["procrustes", "relative", "probe", "cka-linear", "cka-rbf"]
        for name, values in one.values.items():
            assert two.values[name] == pytest.approx(values[order], abs=1e-3), name


def test_features_that_moved_are_seen_by_every_measure() -> None:
    draw = np.random.default_rng(7)
    for depth in statistics_of(draw, moved=2.0):
        ratios, near = depth.values["procrustes"], depth.values["relative"]
        assert ratios[-1] > ratios[:-1].max()
        assert near[-1] < near[:-1].min()
        assert depth.noise_p_value < 0.05
    clean = statistics_of(draw, moved=0.0)
    assert all(item.noise_p_value > 0.05 for item in clean)


def test_a_model_that_places_every_picture_worse_is_not_taken_for_one_that_remembers() -> None:
    draw = np.random.default_rng(14)
    out, untouched = [model(draw) for _ in range(8)], [model(draw, moved=1.0) for _ in range(3)]
    for depth in latent_statistics(out, model(draw, blur=0.9), untouched, LAYOUT):
        ratios = depth.values["procrustes"]
        assert abs(ratios[-1] - ratios[:-1].mean()) < 3 * ratios[:-1].std(ddof=1)


def test_too_few_patients_for_cka_leave_the_other_measures() -> None:
    few = replace(
        LAYOUT,
        forgotten=LAYOUT.forgotten[:2],
        retained=np.concatenate([LAYOUT.forgotten[2:], LAYOUT.retained]),
    )
    draw = np.random.default_rng(8)
    out = [model(draw) for _ in range(6)]
    for item in latent_statistics(out, out[0], out[1:3], few):
        assert list(item.values) == ["procrustes", "relative", "probe"]
        assert item.nearer_untouched_p_value == 1.0


def test_nearness_forgives_inherited_weights_but_not_inherited_memory() -> None:
    """A candidate that is the original everywhere but about the forgotten has forgotten."""
    draw = np.random.default_rng(9)
    places = draw.normal(0, 1, (30, 4))
    memory = np.where(np.arange(30) < 10, 1.5, 0.0)[:, None]
    out = places + draw.normal(0, 1, (12, 30, 4))
    own = places + draw.normal(0, 1, (30, 4))
    original = own + memory

    def place(candidate: Numbers) -> float:
        values = nearness(np.concatenate([out, candidate[None]]), original, 10)
        return float((values[-1] - values[:-1].mean()) / values[:-1].std(ddof=1))

    assert place(original) < -4
    assert abs(place(own)) < 3
    assert place(own - memory) > 3  # over-forgotten, as visible


def matched_of(own: int = 5, never: int = 20) -> Matched:
    """Most forgotten patients are of stratum 0, most of the others of stratum 1."""
    sizes = [2] * own + [2] * never
    starts = np.cumsum([0, *sizes])
    return Matched(
        images=tuple(np.arange(a, b) for a, b in pairwise(starts)),
        forgotten=own,
        strata=np.repeat([0, 1, 0, 1], [own - 1, 1, 7, never - 7]),
    )


def patient_noise(random: np.random.Generator, matched: Matched) -> Numbers:
    """Heavy-tailed, larger in one stratum, and the images of a patient hang together."""
    size = np.where(matched.strata == 0, 3.0, 1.0)[:, None, None]
    per_patient = size * random.standard_t(3, (len(matched.images), 1, 3))
    within = 0.2 * random.normal(0, 1, (len(matched.images), 2, 3))
    return (per_patient + within).reshape(-1, 3)


def test_the_noise_test_is_exact_for_any_noise_with_the_patient_as_unit() -> None:
    random = np.random.default_rng(10)
    rounds, p_values = 400, []
    for _ in range(rounds):
        matched = matched_of()
        noise = patient_noise(random, matched)
        p_values.append(noise_test(noise, np.ones(len(noise)), matched, rounds=99))
    for level in (0.05, 0.2, 0.5):
        found = int((np.array(p_values) <= level).sum())
        assert stats.binomtest(found, rounds, level).pvalue > 0.01
    assert min(p_values) >= 0.01


def test_the_noise_test_sees_a_shift_and_a_swelling_and_needs_patients() -> None:
    random = np.random.default_rng(11)
    matched = replace(matched_of(), strata=np.zeros(25, dtype=np.int64))
    noise = random.normal(0, 1, (50, 3))
    gone = np.arange(50) < 10
    for residual in (noise + 1.5 * gone[:, None], noise * np.where(gone, 5, 1)[:, None]):
        assert noise_test(residual, np.ones(50), matched) < 0.02
    # an image that every model finds odd is measured by what is expected of it
    swollen = noise * np.where(gone, 5, 1)[:, None]
    expected = np.where(gone, 5.0, 1.0)
    assert noise_test(swollen, expected, matched) == noise_test(noise, np.ones(50), matched)
    alone = Matched(
        images=tuple(np.arange(8).reshape(4, 2)), forgotten=1, strata=np.zeros(4, dtype=np.int64)
    )
    far = np.where(np.arange(8) < 2, 100.0, 0.0)[:, None] + random.normal(0, 1, (8, 3))
    assert noise_test(far, np.ones(8), alone) == pytest.approx(0.25, abs=0.05)


def test_the_relative_difference_is_that_of_two_unbiased_distances() -> None:
    room = {key: np.array(value) for key, value in GOLDEN["relative"].items()}
    found = relative_test(room["candidate"], room["retrain"], room["original"])
    assert found.difference == pytest.approx(float(room["difference"]))
    turned = relative_test(room["candidate"], room["original"], room["retrain"])
    assert turned.difference == pytest.approx(-found.difference)
    assert turned.p_value == pytest.approx(1 - found.p_value)
    with pytest.raises(EvidenceError, match="at least 4"):
        relative_test(*(room[key][:3] for key in ("candidate", "retrain", "original")))


def test_the_relative_test_keeps_its_level_where_both_are_as_near_and_finds_the_nearer() -> None:
    random = np.random.default_rng(12)
    rounds, wrong, right = 400, 0, 0
    shift = np.array([1.5, 0.0])
    for _ in range(rounds):
        patients = random.normal(0, 1, (40, 2))
        candidate, retrain, original = (
            patients + 0.5 * random.normal(0, 1, (40, 2)) for _ in range(3)
        )
        wrong += relative_test(candidate, retrain + shift, original - shift).p_value <= ALPHA
        right += relative_test(candidate + shift, retrain, original + shift).p_value <= ALPHA
    assert stats.binomtest(wrong, rounds, ALPHA, alternative="greater").pvalue > 0.01
    assert right > 0.9 * rounds


def test_a_match_has_the_class_and_as_many_images_and_is_used_once() -> None:
    matched = match_patients(LAYOUT)
    codes = [set(LAYOUT.patients[own].tolist()) for own in matched.images]
    assert all(len(code) == 1 for code in codes)
    assert len(set.union(*codes)) == len(codes)
    assert {code for own in codes[: matched.forgotten] for code in own} == set(range(6))
    assert len(codes) == 6 * 5
    for stratum in np.unique(matched.strata):
        kinds = {
            (int(LAYOUT.labels[own[0]]), len(own))
            for own, code in zip(matched.images, matched.strata, strict=True)
            if code == stratum
        }
        assert len(kinds) == 1
    values = np.random.default_rng(13).normal(0, 1, (len(LAYOUT.labels), 3))
    naive = np.stack([values[own].mean(axis=0) for own in matched.images])
    assert np.allclose(matched.means(values), naive)
    assert np.allclose(matched.means(values[:, 0]), naive[:, 0])


def layout_of(own: list[int], never: list[int], label: int = 0) -> Layout:
    """Patients with so many images each; one more never-seen patient is of class 1."""
    sizes = [*own, 3, *never, 1]
    patients = np.repeat(np.arange(len(sizes)), sizes)
    labels = np.where(patients == len(sizes) - 1, 1, np.where(patients < len(own), label, 0))
    return Layout(
        labels=labels,
        patients=patients,
        forgotten=np.flatnonzero(patients < len(own)),
        retained=np.flatnonzero(patients == len(own)),
        unseen=np.flatnonzero(patients > len(own)),
    )


@pytest.mark.parametrize(
    ("own", "never", "sizes"),
    [
        ([3, 1], [1, 1, 3, 3], [3, 1, 3, 3, 1, 1]),  # the largest is served first, by the least
        ([5], [2, 4], [2, 2, 2]),  # thinned to what two have
        ([1, 1, 2], [1, 4], [1, 1, 1, 1]),  # more forgotten than never-seen
    ],
)
def test_matches_are_made_with_what_there_is(
    own: list[int], never: list[int], sizes: list[int]
) -> None:
    matched = match_patients(layout_of(own, never))
    assert [len(images) for images in matched.images] == sizes


def test_a_class_nobody_else_has_cannot_be_matched() -> None:
    lone = layout_of([1, 1], [1, 1], label=2)
    with pytest.raises(EvidenceError, match="class"):
        match_patients(lone)
