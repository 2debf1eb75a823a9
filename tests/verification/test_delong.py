"""DeLong's variance by patient, against pairs counted one by one and another implementation."""

from __future__ import annotations

import numpy as np
import pytest
from MLstatkit import Delong_test
from scipy import stats

from auditor.errors import EvidenceError
from auditor.verification.delong import auc, clustered_variance, components
from auditor.verification.layout import Indices, Numbers
from tests.campaigns import Campaign


def naive_variance(scores: Numbers, labels: Indices, patients: Indices) -> float:
    """Obuchowski 1997, equations 2 to 5, for patients who have images of one class each."""
    kernel = np.array(
        [
            [1.0 if one > zero else 0.5 if one == zero else 0.0 for zero in scores[labels != 1]]
            for one in scores[labels == 1]
        ]
    )
    area, total = kernel.mean(), 0.0
    for axis, of in ((1, labels == 1), (0, labels != 1)):
        placements, codes = kernel.mean(axis=axis), patients[of]
        people = np.unique(codes)
        sums = [sum(placements[codes == one] - area) for one in people]
        total += (
            len(people) / (len(people) - 1) * sum(value**2 for value in sums) / len(placements) ** 2
        )
    return float(total)


def clustered(random: np.random.Generator, people: int, gap: float) -> tuple[Numbers, ...]:
    """Scores whose images share most of their patient; some patients have six images."""
    sizes = random.choice([1, 1, 2, 6], people)
    patients = np.repeat(np.arange(people), sizes)
    labels = (np.arange(people) % 2)[patients]
    scores = gap * labels + random.standard_normal(people)[patients]
    return scores + 0.5 * random.standard_normal(len(patients)), labels, patients


def test_the_variance_by_patient_is_obuchowskis() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        scores, labels, patients = clustered(random, 14, 1.0)
        scores = np.round(scores, 1)  # ties
        found = clustered_variance(components(scores, labels, patients), patients)
        assert found == pytest.approx(naive_variance(scores, labels, patients), rel=1e-9)


def test_a_paired_difference_agrees_with_another_implementation() -> None:
    random = np.random.default_rng(2)
    labels, alone = np.arange(80) % 2, np.arange(80)
    hard = random.standard_normal(80)
    for _ in range(10):
        one, other = (labels + hard + 0.6 * random.standard_normal(80) for _ in range(2))
        difference = auc(one, labels) - auc(other, labels)
        parts = components(one, labels, alone) - components(other, labels, alone)
        z = difference / np.sqrt(clustered_variance(parts, alone))
        theirs = Delong_test(labels, other, one)  # theirs is the second less the first
        assert z == pytest.approx(theirs[0], abs=1e-9)
        assert 2 * stats.norm.sf(abs(z)) == pytest.approx(theirs[1], rel=1e-6)


def test_intervals_by_patient_cover_the_truth_and_those_by_image_do_not(campaign: Campaign) -> None:
    random = np.random.default_rng(3)
    gap, rounds = 1.2, campaign.rounds(400, of=2000)
    truth = float(stats.norm.cdf(gap / np.sqrt(2 * 1.25)))
    hits = np.zeros(2)
    for _ in range(rounds):
        scores, labels, patients = clustered(random, 80, gap)
        for kind, unit in enumerate((patients, np.arange(len(scores)))):
            error = np.sqrt(clustered_variance(components(scores, labels, unit), unit))
            hits[kind] += abs(auc(scores, labels) - truth) <= 1.645 * error
    campaign.count(covered=int(hits[0]))
    assert stats.binomtest(int(hits[0]), rounds, 0.885, alternative="less").pvalue > 0.01
    assert hits[1] < 0.8 * rounds


@pytest.mark.parametrize("alone", [0, 1])
def test_a_class_of_one_patient_has_no_variance(alone: int) -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])
    patients = np.where(labels == alone, 9, np.arange(6))
    with pytest.raises(EvidenceError, match="two patients of each class"):
        components(np.arange(6.0), labels, patients)
