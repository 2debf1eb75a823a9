"""Membership attacks against their definitions, and what they say against simulated truth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from auditor.errors import EvidenceError
from auditor.verification.attacks.carlini2022lira import lira_offline, lira_online
from auditor.verification.attacks.choquettechoo2021labels import label_only
from auditor.verification.attacks.hayes2024ulira import u_lira
from auditor.verification.attacks.membership import (
    averaged_margins,
    describe_membership,
    loss_threshold,
    membership_statistics,
)
from auditor.verification.attacks.rates import auc_interval, rate_attack
from auditor.verification.attacks.scores import patient_means
from auditor.verification.attacks.zarifzadeh2024rmia import (
    confidence,
    marginal_offline,
    marginal_online,
    rmia,
)
from auditor.verification.clopper_pearson import clopper_pearson, most_provable
from auditor.verification.contrast import contrast
from auditor.verification.measurements import Measurements
from auditor.verification.prediction import prediction_test
from tests.vectors import make_attack_vectors as maker
from tests.verification.simulated import LAYOUT, model

GOLDEN: dict[str, Any] = json.loads(maker.FILE.read_text(encoding="utf-8"))


def numbers(room: str, name: str) -> np.ndarray:
    return np.array(GOLDEN[room][name])


def test_the_golden_values_are_what_their_generator_makes() -> None:
    made = dict(_numbers(json.loads(json.dumps(maker.make()))))
    golden = dict(_numbers(GOLDEN))
    assert made.keys() == golden.keys()
    assert list(made.values()) == pytest.approx([golden[at] for at in made], rel=1e-9)


def _numbers(value: Any, at: str = "") -> Iterator[tuple[str, float]]:
    """Each number, by where it stands: in its last digits numpy's versions differ."""
    for key, inner in (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    ):
        yield from _numbers(inner, f"{at}/{key}")
    if isinstance(value, (int, float)):
        yield at, value


def test_lira_is_the_papers() -> None:
    target, out, inside, many = (
        numbers("lira", name) for name in ("target", "out", "inside", "many")
    )
    assert lira_offline(target, out) == pytest.approx(numbers("lira", "offline"))
    assert lira_offline(target, many) == pytest.approx(numbers("lira", "offline_many"))
    assert lira_online(target, out, inside) == pytest.approx(numbers("lira", "online"))


@pytest.mark.parametrize("case", GOLDEN["rmia"]["cases"], ids=lambda c: f"a{c['a']}g{c['gamma']}")
def test_rmia_is_the_papers(case: dict[str, Any]) -> None:
    target, out, inside, population, known = (
        numbers("rmia", name)
        for name in ("target", "out", "inside", "population", "population_out")
    )
    offline = rmia(
        target,
        marginal_offline(out, case["a"]),
        population,
        marginal_offline(known, case["a"]),
        gamma=case["gamma"],
    )
    online = rmia(
        target, marginal_online(out, inside), population, known.mean(axis=0), gamma=case["gamma"]
    )
    assert offline.tolist() == case["offline"]
    assert online.tolist() == case["online"]
    assert confidence(np.log(target / (1 - target))) == pytest.approx(target)
    half = np.array([0.5])
    assert rmia(half, half, half, half) == 1.0  # at least as large is enough


def test_u_lira_is_the_papers_on_models_that_taught_it_nothing() -> None:
    room = GOLDEN["u_lira"]
    found = u_lira(
        numbers("u_lira", "unlearned"), numbers("u_lira", "out"), numbers("u_lira", "patients")
    )
    assert found.cohort.auc.point == pytest.approx(room["together"])
    assert [item.auc.point for item in found.patients] == pytest.approx(room["each"])
    assert (found.cohort.members, found.cohort.others, found.cohort.unit) == (3, 3, "model")


def test_rates_count_what_lies_above_a_threshold_that_few_others_exceed() -> None:
    room = GOLDEN["rates"]
    members, others = numbers("rates", "members"), numbers("rates", "others")
    found = rate_attack("x", members, others, unit="patient")
    assert found.auc.point == pytest.approx(room["auc"])
    for rate in found.rates:
        wrong, right = room["found"][str(rate.limit)]
        assert rate.false_positives.point == wrong / len(others)
        assert rate.true_positives.point == right / len(members)
    # 150 others can't show a rate of 0.1 %: none may pass, and the bound says what that is worth
    assert found.rates[1].false_positives.point == 0
    assert found.rates[1].false_positives.upper == pytest.approx(1 - 0.025 ** (1 / 150))


def test_ties_with_the_threshold_are_no_findings() -> None:
    found = rate_attack("x", np.ones(5), np.array([1.0] * 9 + [0.0]), unit="patient")
    assert [rate.true_positives.point for rate in found.rates] == [0.0, 0.0]
    assert [rate.false_positives.point for rate in found.rates] == [0.0, 0.0]


@pytest.mark.parametrize("case", GOLDEN["clopper_pearson"], ids=lambda c: str(c["successes"]))
def test_clopper_pearson_is_the_binomial_turned_round(case: dict[str, Any]) -> None:
    found = clopper_pearson(case["successes"], case["trials"], case["level"])
    assert [found.lower, found.upper] == pytest.approx(case["interval"], abs=1e-9)


def test_a_perfect_attack_can_prove_no_more_than_its_numbers_allow() -> None:
    assert most_provable(256, 256) == pytest.approx(4.23, abs=0.01)
    assert most_provable(1000, 1000) == pytest.approx(5.60, abs=0.01)
    # epsilon for one patient against 200: what one can say is next to nothing
    assert most_provable(1, 200) < 0.5


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_clopper_pearson_covers_as_it_says(share: float) -> None:
    chances = stats.binom.pmf(np.arange(41), 40, share)
    covers = [
        clopper_pearson(k, 40).lower <= share <= clopper_pearson(k, 40).upper for k in range(41)
    ]
    assert 0.95 <= float(chances @ covers) < 1.0


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.5])
def test_the_interval_of_an_auc_covers_the_true_one(shift: float) -> None:
    draw = np.random.default_rng(1)
    true, rounds, hits = float(stats.norm.cdf(shift / np.sqrt(2))), 300, 0
    for _ in range(rounds):
        members, others = draw.normal(shift, 1, 20), draw.normal(0, 1, 60)
        area = rate_attack("x", members, others, unit="patient").auc
        hits += area.lower <= true <= area.upper
    assert stats.binomtest(hits, rounds, 0.95, alternative="less").pvalue > 0.01
    assert hits < rounds


def test_an_auc_of_one_from_few_patients_keeps_an_interval() -> None:
    assert auc_interval(1.0, 5, 50, 0.95).lower < 0.85
    assert auc_interval(1.0, 5, 50, 0.95).upper == 1.0
    assert auc_interval(0.0, 5, 50, 0.95).lower == 0.0
    mirrored = auc_interval(0.7, 12, 12, 0.9)
    turned = auc_interval(0.3, 12, 12, 0.9)
    assert (1 - turned.upper, 1 - turned.lower) == pytest.approx((mirrored.lower, mirrored.upper))


def test_lira_ranks_members_first_and_finds_nothing_where_nothing_is() -> None:
    draw = np.random.default_rng(2)
    hard = draw.normal(0, 3, 400)
    out, inside = hard + draw.normal(0, 1, (8, 400)), hard + 2 + draw.normal(0, 1, (8, 400))
    member = np.arange(400) < 200
    target = hard + 2 * member + draw.normal(0, 1, 400)
    for scores in (lira_offline(target, out), lira_online(target, out, inside)):
        found = rate_attack("x", scores[member], scores[~member], unit="patient")
        assert found.auc.lower > 0.8
    naive = rate_attack("x", target[member], target[~member], unit="patient")
    assert naive.auc.upper < 0.8  # what one threshold for all patients can't see
    nothing = lira_offline(hard + draw.normal(0, 1, 400), out)
    assert rate_attack("x", nothing[member], nothing[~member], unit="p").auc.lower < 0.5


def test_u_lira_tells_bad_unlearning_from_none_to_tell() -> None:
    draw = np.random.default_rng(3)
    patients = np.repeat(np.arange(3), 2)
    left = u_lira(
        draw.normal(0, 1, (24, 6)) + 3 * (patients == 0), draw.normal(0, 1, (24, 6)), patients
    )
    assert left.patients[0].auc.lower > 0.7
    assert left.patients[1].auc.lower < 0.5
    assert left.cohort.auc.lower > 0.6
    rounds, found = 150, []
    for _ in range(rounds):
        same = u_lira(draw.normal(0, 1, (16, 2)), draw.normal(0, 1, (16, 2)), np.zeros(2))
        found.append(same.cohort.auc)
    outside = sum(not item.lower <= 0.5 <= item.upper for item in found)
    assert stats.binomtest(outside, rounds, 0.05, alternative="greater").pvalue > 0.01
    assert abs(np.mean([item.point for item in found]) - 0.5) < 0.04


def test_labels_alone_show_how_firmly_an_image_is_known() -> None:
    margins, queried = np.array([1.0, 1.0, -1.0]), np.array([[1.0, -1.0, -1.0], [2.0, -1.0, 1.0]])
    assert label_only(margins, queried) == pytest.approx([1, 1 / 3, 1 / 3])
    # only signs count, so a model that shrinks its outputs shows as much
    assert label_only(margins / 100, queried / 7) == pytest.approx([1, 1 / 3, 1 / 3])
    with pytest.raises(EvidenceError, match="queries"):
        label_only(margins, np.empty((0, 3)))


def test_a_patient_counts_once_however_many_images_there_are() -> None:
    values = np.array([1.0, 2.0, 6.0, 5.0])
    assert patient_means(values, np.array([7, 3, 3, 3])) == pytest.approx([13 / 3, 1.0])
    doubled = patient_means(np.stack([values, 2 * values]), np.array([7, 3, 3, 3]))
    assert doubled[1] == pytest.approx(2 * doubled[0])
    margins = model(np.random.default_rng(4)).margins
    lone = margins.copy()
    lone[LAYOUT.forgotten[:2]] = margins[LAYOUT.forgotten[:2]].mean()
    assert loss_threshold(lone, LAYOUT) == loss_threshold(margins, LAYOUT)


def margins_above(models: list[Measurements]) -> np.ndarray:
    return models[0].margins - models[0].margins.min() + 1


def test_what_is_said_of_a_candidate_and_the_controls_beside_it() -> None:
    draw = np.random.default_rng(5)
    out = [model(draw) for _ in range(10)]
    inside = [model(draw, rise=3.0) for _ in range(8)]
    said = {item.name: item for item in describe_membership(inside[0], out, inside, LAYOUT)}
    assert list(said) == [
        "lira-offline",
        "lira-augmented",
        "rmia-offline",
        "loss-threshold",
        "label-only",
        "bank",
        "split-members",
        "split-others",
    ]
    assert said["lira-offline"].auc.lower > 0.7 and said["rmia-offline"].auc.lower > 0.7
    assert (said["lira-offline"].members, said["lira-offline"].others) == (6, 40)
    assert (said["split-members"].members, said["split-members"].others) == (6, 30)
    assert (said["split-others"].members, said["split-others"].others) == (6, 40)
    assert said["bank"].auc.lower > 0.5 and said["bank"].unit == "model"
    few = describe_membership(inside[0], out, inside[:5], LAYOUT)
    assert "bank" not in {item.name for item in few}  # too few to say anything by
    right = {part: np.abs(getattr(inside[0], part)) for part in ("augmented", "noisy")}
    sure = replace(inside[0], margins=margins_above(inside), **right)
    assert "label-only" not in {
        item.name for item in describe_membership(sure, out, inside, LAYOUT)
    }
    clean = {item.name: item for item in describe_membership(model(draw), out, inside, LAYOUT)}
    assert clean["lira-offline"].auc.lower < 0.5 < clean["lira-offline"].auc.upper


def test_a_models_number_is_the_mean_over_patients_held_against_all_other_models() -> None:
    draw = np.random.default_rng(8)
    models = [model(draw, rise=k / 3) for k in range(7)]
    found = membership_statistics(models, LAYOUT)
    contrasts = np.stack([contrast(item.margins, LAYOUT) for item in models])
    chances = confidence(np.stack([item.margins for item in models]))
    gone, never = LAYOUT.forgotten, LAYOUT.unseen
    for k in range(7):
        scores = lira_offline(contrasts[k], np.delete(contrasts, k, 0))
        naive = np.mean([scores[LAYOUT.patients[gone] == code].mean() for code in range(6)])
        assert found["lira-offline"][k] == pytest.approx(naive, rel=1e-9)
        averaged = np.stack([contrast(averaged_margins(item), LAYOUT) for item in models])
        scores = lira_offline(averaged[k], np.delete(averaged, k, 0))
        naive = np.mean([scores[LAYOUT.patients[gone] == code].mean() for code in range(6)])
        assert found["lira-augmented"][k] == pytest.approx(naive, rel=1e-9)
        pr = marginal_offline(np.delete(chances, k, 0))
        shares = rmia(chances[k][gone], pr[gone], chances[k][never], pr[never])
        naive = np.mean([shares[LAYOUT.patients[gone] == code].mean() for code in range(6)])
        assert np.sin(found["rmia-offline"][k]) ** 2 == pytest.approx(naive)
        ours, theirs = (
            np.array([models[k].margins[LAYOUT.patients == code].mean() for code in codes])
            for codes in (np.unique(LAYOUT.patients[gone]), np.unique(LAYOUT.patients[never]))
        )
        naive = np.mean(ours[:, None] > theirs)
        assert np.sin(found["loss-threshold"][k]) ** 2 == pytest.approx(naive)


def test_who_hides_the_very_images_is_betrayed_by_changed_ones() -> None:
    """A list of what to answer for the forgotten images: as a retrain would, features and all."""
    draw = np.random.default_rng(9)
    rounds, found = 12, {"lira-offline": 0, "lira-augmented": 0}
    for _ in range(rounds):
        out = [model(draw) for _ in range(10)]
        inside, honest = model(draw, rise=4.0), model(draw)
        guarded = replace(honest, augmented=inside.augmented, noisy=inside.noisy)
        numbers = membership_statistics([*out, guarded], LAYOUT)
        for name in found:
            found[name] += prediction_test(numbers[name][-1], numbers[name][:-1])[1] < 0.05 / 3 / 7
    assert found["lira-augmented"] >= 0.8 * rounds and found["lira-offline"] <= 1
    naive = np.mean([honest.margins, *inside.augmented], axis=0)
    assert averaged_margins(guarded) == pytest.approx(naive)
    with pytest.raises(EvidenceError, match="measure it with queries"):
        averaged_margins(replace(honest, augmented=np.empty((0, 0))))


def test_the_split_control_shows_an_attack_that_reads_the_split() -> None:
    """Forgotten patients who are easy for everybody look like members to a loss threshold."""
    draw = np.random.default_rng(6)
    easy = np.isin(np.arange(len(LAYOUT.labels)), LAYOUT.forgotten) * 6.0

    def eased(rise: float) -> Any:
        some = model(draw, rise=rise)
        return replace(some, margins=some.margins + easy, augmented=some.augmented + easy)

    out, inside = [eased(0.0) for _ in range(8)], [eased(0.0) for _ in range(8)]
    said = {item.name: item for item in describe_membership(eased(0.0), out, inside, LAYOUT)}
    assert said["loss-threshold"].auc.lower > 0.7  # and yet nobody was trained on them
    assert said["split-others"].auc.lower > 0.7 and said["split-members"].auc.lower > 0.7
    assert said["lira-offline"].auc.lower < 0.5  # which knows how easy each image is


def test_bad_scores_and_groups_are_refused_in_one_line() -> None:
    draw = np.random.default_rng(7)
    out, scores = draw.normal(0, 1, (8, 5)), draw.normal(0, 1, 5)
    broken = np.where(np.arange(5) == 2, np.nan, scores)
    for call, says in (
        (lambda: lira_offline(broken, out), "NaN"),
        (lambda: lira_offline(scores, out[:2]), "2 OUT models; at least 3"),
        (lambda: lira_offline(scores, np.ones((8, 5))), "all score the same"),
        (lambda: lira_online(scores, out, out[:2]), "2 IN models; at least 3"),
        (lambda: lira_online(scores, out, out * np.inf), "NaN"),
        (lambda: marginal_offline(out[:1]), "1 OUT models"),
        (lambda: rmia(broken, scores, scores, scores), "NaN"),
        (lambda: u_lira(out[:5], out, np.arange(5)), "5 unlearned models; U-LiRA needs at least 6"),
        (lambda: u_lira(out, out[:5], np.arange(5)), "5 OUT models; U-LiRA needs at least 6"),
        (lambda: rate_attack("x", scores, np.empty(0), unit="patient"), "one group is empty"),
        (lambda: rate_attack("x", scores, broken, unit="patient"), "NaN"),
        (lambda: rate_attack("x", np.ones(3), np.ones(4), unit="patient"), "same score"),
    ):
        with pytest.raises(EvidenceError, match=says) as caught:
            call()
        assert "\n" not in str(caught.value)
