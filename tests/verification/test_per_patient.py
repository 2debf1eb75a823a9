"""Patient by patient: intervals that cover, nobody who is told apart by chance, nobody hidden."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import stats

from auditor.domain.evidence import PatientInfluence
from auditor.domain.verdict import ReasonCode, Verdict
from auditor.verification.engine import assess, draw_up
from auditor.verification.layout import Numbers
from auditor.verification.per_patient import detect_one, measure_patients, patient_scales
from tests.verification.plans import ORIGIN, SOME, World, ready
from tests.verification.test_decide import PLAN, measured, verdict_of

MARGIN, LEVEL, ALPHA = 0.35, 0.9, 0.05
PATIENTS = np.repeat(np.arange(5), 2)
RISE = np.repeat([0.0, 3.0, 3.0, 4.0, 5.0], 2)  # the first is not remembered at all


def models(draw: np.random.Generator, count: int, share: float | Numbers) -> Numbers:
    shared, own = draw.normal(0, 0.3, (count, 1)), draw.normal(0, 0.5, (count, len(RISE)))
    return share * RISE + shared + own


def lines(draw: np.random.Generator, share: float | Numbers) -> tuple[PatientInfluence, ...]:
    scales = patient_scales(models(draw, 16, 0.0), models(draw, 16, 1.0), PATIENTS)
    return measure_patients(scales, models(draw, 1, share)[0], LEVEL, ALPHA)


def test_each_patients_interval_covers_what_is_left_of_them() -> None:
    draw, rounds = np.random.default_rng(1), 150
    for share in (0.0, 0.4, 1.0):
        hits = np.zeros(5)
        for _ in range(rounds):
            for number, line in enumerate(lines(draw, share)):
                hits[number] += line.interval.lower <= share <= line.interval.upper
        for count in hits[1:]:
            assert stats.binomtest(int(count), rounds, LEVEL, alternative="less").pvalue > 0.002


def test_who_is_not_remembered_has_no_number_and_the_others_have_their_own() -> None:
    draw, established = np.random.default_rng(2), np.zeros(5)
    for _ in range(60):
        found = lines(draw, 0.0)
        assert [(line.patient, line.images) for line in found] == [(k, 2) for k in range(5)]
        established += [line.established for line in found]
    assert established[0] <= 4  # one in a hundred, each
    assert (established[1:] == 60).all()


def test_a_true_retrain_is_told_apart_no_more_often_than_promised() -> None:
    """On any of the patients, though each is looked at."""
    draw, rounds = np.random.default_rng(3), 400
    wrong = sum(any(line.outside for line in lines(draw, 0.0)) for _ in range(rounds))
    assert stats.binomtest(wrong, rounds, ALPHA, alternative="greater").pvalue > 0.01
    assert wrong > 0


def test_one_patient_alone_is_left_to_the_residual_influence() -> None:
    draw, one = np.random.default_rng(8), PATIENTS == 4
    out, untouched = models(draw, 16, 0.0)[:, one], models(draw, 16, 1.0)[:, one]
    scales = patient_scales(out, untouched, PATIENTS[one])
    (line,) = measure_patients(scales, untouched[0], LEVEL, ALPHA)
    assert line.interval.lower > MARGIN and not line.outside


def test_a_fake_that_forgot_all_but_one_is_told_by_that_one() -> None:
    draw, found = np.random.default_rng(4), np.zeros(5)
    for _ in range(40):
        found += [line.outside for line in lines(draw, np.repeat([0.0, 0, 0, 0, 1.0], 2))]
    assert found[4] >= 36
    assert found[:4].sum() <= 4


def test_how_often_one_who_was_kept_is_told_apart_is_declared() -> None:
    """Though patients are remembered by 0 to 5 standard deviations, each as often as it is so."""
    draw, rounds, declared, told = np.random.default_rng(9), 250, [], 0
    for kept in np.arange(rounds) % 5:
        out, untouched = models(draw, 16, 0.0), models(draw, 16, 0.5)
        scales = patient_scales(out, untouched, PATIENTS)
        declared.append(detect_one(scales, out, untouched, ALPHA))
        candidate = models(draw, 1, 0.5 * (kept == PATIENTS))[0]
        told += measure_patients(scales, candidate, LEVEL, ALPHA)[kept].outside
    assert 0.3 < np.mean(declared) < 0.8  # or the comparison would show nothing
    assert stats.binomtest(told, rounds, float(np.mean(declared))).pvalue > 0.01


def test_a_cohort_does_not_pass_over_the_head_of_one_patient() -> None:
    (first, *others) = lines(np.random.default_rng(5), 0.0)
    evidence = replace(measured(), patients=(replace(first, outside=True), *others))
    assert verdict_of(evidence) == (Verdict.INDETERMINATE, ReasonCode.PATIENT_TOLD_APART)
    assert verdict_of(replace(evidence, patients=tuple(others)))[0] is Verdict.PASSED


def test_an_audit_holds_a_line_for_every_forgotten_patient_at_the_cohorts_level() -> None:
    world, draw = World(patients=3, gap=4.0), np.random.default_rng(6)
    readiness = ready(world, draw)
    plan = draw_up(
        readiness,
        case="c",
        origin=ORIGIN,
        request=SOME,
        policies=SOME,
        required_power=PLAN.required_power,
        seeds=(),
        ladder=(),
    )
    evidence, _ = assess(
        plan, readiness, readiness.original, role=measured().role, by_recipe=False, weights=SOME
    )
    assert [line.patient for line in evidence.patients] == [0, 1, 2]
    assert {line.interval.level for line in evidence.patients} == {plan.equivalence_level}
    assert sum(line.outside for line in evidence.patients) >= 2
