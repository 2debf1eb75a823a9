"""Whole plans against simulated truth: the size of every verdict, and the power that was declared.

The table for many worlds is `benchmarks/power.py`'s.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from auditor.domain.verdict import Decision, ReasonCode, Verdict
from tests.campaigns import Campaign
from tests.verification.plans import World, carry_out

ALPHA = 0.05
COHORT = World(patients=8, gap=2.6, unseen=250)
UNEVEN = World(patients=8, gap=4.0, uneven=1.0)
NO_GAP = World(patients=100, images=4, gap=0.0, unseen=450)
ONE_IMAGE = World(patients=1, images=1, gap=0.4)


def codes(decision: Decision) -> set[ReasonCode]:
    return {reason.code for reason in decision.reasons}


def no_more_often(count: int, rounds: int, level: float) -> bool:
    return bool(stats.binomtest(count, rounds, level, alternative="greater").pvalue > 0.01)


def test_a_plan_errs_as_rarely_as_it_promises_and_has_the_power_it_declares(
    campaign: Campaign,
) -> None:
    rounds = campaign.rounds(40, of=2000)
    outcomes = [carry_out(COHORT, seed, (0.0, 1.0, 0.35)) for seed in range(rounds)]
    retrains, untouched, fakes = zip(*(item.decisions for item in outcomes), strict=True)
    failed = sum(item.verdict is Verdict.FAILED for item in retrains)
    passed = np.array([item.verdict is Verdict.PASSED for item in retrains])
    found = np.array([ReasonCode.INFLUENCE_OUTSIDE in codes(item) for item in untouched])
    slipped = sum(item.verdict is Verdict.PASSED for item in fakes)
    campaign.count(retrains_failed=failed, fakes_passed=slipped)
    assert no_more_often(failed, rounds, ALPHA)
    assert no_more_often(slipped, rounds, ALPHA)
    assert not any(item.verdict is Verdict.PASSED for item in untouched)
    for measured, declared in (
        (passed, [item.power.pass_retrain for item in outcomes]),
        (found, [item.power.detect_untouched for item in outcomes]),
    ):
        # What two points allow, and what chance does.
        chance = 2.6 * float(np.std(measured)) / np.sqrt(rounds)
        assert abs(measured.mean() - np.mean(declared)) <= 0.02 + chance
    for item in outcomes:  # the p-value is the rule, read the other way round
        for decision, across in zip(item.decisions, item.across, strict=True):
            if ReasonCode.RECIPE_MISMATCH not in codes(decision):
                assert (decision.verdict is Verdict.FAILED) == (across.p_value <= ALPHA)
    assert 0.7 < passed.mean() < 0.99  # or the comparison would show nothing


@pytest.mark.parametrize(
    ("world", "kept", "at_most"),
    [
        (World(uneven=0.0), [1.0] + [0.0] * 11, 0.2),
        (World(patients=2, images=3, gap=5.0, uneven=0.0), [0.5, -0.5], ALPHA),
        (World(patients=4, images=3, gap=4.0, uneven=0.0), [0.7, 0.7, -0.7, -0.7], ALPHA),
    ],
    ids=["one of twelve is kept", "two that cancel", "four that cancel"],
)
def test_a_cohort_seldom_passes_over_the_head_of_one(
    world: World, kept: list[float], at_most: float, campaign: Campaign
) -> None:
    """In a cohort's mean one who is kept, or over-forgot as much as another is kept, is lost."""
    rounds = campaign.rounds(16, of=500)
    share = np.repeat(kept, world.sizes)
    outcomes = [carry_out(world, seed, (share,)) for seed in range(rounds)]
    passed = sum(item.decisions[0].verdict is Verdict.PASSED for item in outcomes)
    campaign.count(passed=passed)
    assert no_more_often(passed, rounds, at_most)


@pytest.mark.parametrize("kept", [[0.0] + [1.0] * 5, [1.0] + [0.0] * 5], ids=["five", "the one"])
def test_nobody_is_hidden_by_how_many_images_another_has(
    kept: list[float], campaign: Campaign
) -> None:
    """One of six has sixty images, the others one each: five are kept, or the one."""
    world, rounds = World(patients=6, images=1, first=60, gap=1.3), campaign.rounds(6, of=300)
    share = np.repeat(kept, world.sizes)
    decisions = [carry_out(world, seed, (share,)).decisions[0] for seed in range(rounds)]
    passed = sum(item.verdict is Verdict.PASSED for item in decisions)
    campaign.count(passed=passed)
    assert no_more_often(passed, rounds, ALPHA)


@pytest.mark.parametrize("keeping", [2, 6])
def test_a_fake_at_the_margin_passes_as_seldom_where_patients_are_remembered_unevenly(
    keeping: int, campaign: Campaign
) -> None:
    """Two or six of eight keep what is left: no interval over patients guards the margin."""
    rounds = campaign.rounds(12, of=500)
    passed = 0
    for seed in range(rounds):
        keep = np.random.default_rng((7, seed)).permutation(8)[:keeping]
        outcome = carry_out(UNEVEN, seed, (UNEVEN.kept_by_some(0.35, keep),))
        passed += outcome.decisions[0].verdict is Verdict.PASSED
    campaign.count(passed=passed)
    assert no_more_often(passed, rounds, ALPHA)


def test_a_retrain_passes_as_declared_where_patients_are_remembered_unevenly(
    campaign: Campaign,
) -> None:
    """Two of the eight carry seven tenths of what is remembered."""
    rounds = campaign.rounds(24, of=500)
    outcomes = [carry_out(UNEVEN, seed, (0.0, 1.0)) for seed in range(rounds)]
    passed = np.array([item.decisions[0].verdict is Verdict.PASSED for item in outcomes])
    failed = sum(item.decisions[1].verdict is Verdict.FAILED for item in outcomes)
    campaign.count(retrains_passed=int(passed.sum()), untouched_failed=failed)
    declared = np.mean([item.power.pass_retrain for item in outcomes])
    assert declared > 0.7 and failed >= 0.9 * rounds
    assert abs(passed.mean() - declared) <= 0.02 + 2.6 * float(np.std(passed)) / np.sqrt(rounds)


def test_whoever_is_told_much_is_not_told_too_much(campaign: Campaign) -> None:
    """One patient, of whom nobody knows beforehand how well models remember them."""
    rounds = campaign.rounds(30, of=1000)
    told, passed = [], []
    for seed in range(rounds):
        gap = float(np.random.default_rng([seed, 20261201]).uniform(3.0, 9.0))
        world = World(patients=1, images=3, gap=gap)
        outcome = carry_out(world, seed, (0.0, 0.0, 0.0, 0.0))
        if outcome.power.pass_retrain >= 0.8:
            told.append(outcome.power.pass_retrain)
            passed.append(np.mean([i.verdict is Verdict.PASSED for i in outcome.decisions]))
    assert max(told) <= 0.9 * 0.95 + 1e-9  # by the margin of AUC, and by the secondary tests
    campaign.count(plans=len(told), declared=int(1000 * np.mean(told)))
    chance = 2.6 * float(np.std(passed)) / np.sqrt(len(passed))
    assert np.mean(told) - np.mean(passed) <= 0.02 + chance


def test_without_a_gap_four_hundred_images_pass_an_untouched_model_never_or_almost(
    campaign: Campaign,
) -> None:
    rounds = campaign.rounds(6, of=2000)
    outcomes = [carry_out(NO_GAP, seed, (1.0,)) for seed in range(rounds)]
    passed = sum(item.decisions[0].verdict is Verdict.PASSED for item in outcomes)
    campaign.count(passed=passed)
    assert no_more_often(passed, rounds, ALPHA)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_one_image_of_a_patient_nobody_remembers_is_indeterminate_and_says_why(
    share: float,
) -> None:
    drawn = [carry_out(ONE_IMAGE, seed, (share,)).decisions[0] for seed in range(9)]
    decisions = [item for item in drawn if codes(item) != {ReasonCode.RECIPE_MISMATCH}]
    assert len(decisions) >= 8  # one original in a hundred looks like a stranger
    undecided = [item for item in decisions if item.verdict is Verdict.INDETERMINATE]
    assert len(undecided) >= len(decisions) - 1  # the one is alpha's
    for decision in undecided:
        text = " ".join(reason.text for reason in decision.reasons)
        assert codes(decision) & {ReasonCode.GAP_NOT_ESTABLISHED, ReasonCode.POWER_TOO_LOW}
        assert "standard errors" in text or "8.4 would be needed" in text
        assert "an exact basis" in text and "a cohort's" in text
