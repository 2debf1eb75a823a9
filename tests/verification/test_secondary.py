"""The secondary family as a whole: level under the null, power under alternatives, ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from auditor.domain.codec import plain, typed
from auditor.domain.evidence import LatentDepth, MembershipAttack, SecondaryTest
from auditor.errors import EvidenceError
from auditor.verification.attacks.latent import DepthStatistics, latent_statistics
from auditor.verification.attacks.membership import describe_membership, membership_statistics
from auditor.verification.contrast import contrast
from auditor.verification.exchangeability import rank_p_value, references_needed
from auditor.verification.layout import Numbers
from auditor.verification.measurements import Measurements
from auditor.verification.prediction import cautious_p_value, prediction_test
from auditor.verification.secondary import (
    LATENT,
    MEMBERSHIP,
    NAMES,
    Statistics,
    describe_depths,
    doubted_models,
    secondary_tests,
    statistics_of,
)
from tests.campaigns import Campaign
from tests.verification.simulated import LAYOUT, model

ALPHA = 0.05
MODELS = 10


def family(
    out: Sequence[Measurements], candidate: Measurements, untouched: Sequence[Measurements]
) -> tuple[SecondaryTest, ...]:
    found = statistics_of([*out, candidate], untouched, LAYOUT)
    return secondary_tests(found, ALPHA / 3, doubt_alpha=ALPHA)


@pytest.mark.parametrize(
    ("tails", "sample", "times"),
    [(np.inf, 80, 1.0), (4.0, 40, 2.5)],
    ids=["normal", "heavy-tailed"],
)
def test_a_true_retrain_is_rejected_by_the_family_no_more_often_than_promised(
    tails: float, sample: int, times: float, campaign: Campaign
) -> None:
    """Though two of its forgotten patients are odd to every model, as memorised patients are.

    Rejections allow for heavy tails; doubt is for normal ones, and under heavy ones it falls on no
    more than 2.5 ``times`` as many.
    """
    draw = np.random.default_rng(1)
    untouched = [model(draw, rise=3.0, moved=1.0) for _ in range(4)]
    rounds = campaign.rounds(sample, of=2000)
    rejected = doubted = 0
    single = dict.fromkeys(NAMES, 0)
    for _ in range(rounds):
        *out, candidate = (model(draw, tails=tails) for _ in range(MODELS + 1))
        tests = family(out, candidate, untouched)
        rejected += any(test.rejected for test in tests)
        doubted += any(test.doubted for test in tests)
        for test in tests:
            assert test.doubt <= test.adjusted
            single[test.name] += test.p_value <= ALPHA
    campaign.count(rejected=rejected, doubted=doubted)
    for count, level in ((rejected, ALPHA / 3), (doubted, times * ALPHA)):
        assert stats.binomtest(count, rounds, level, alternative="greater").pvalue > 0.01
    for name, count in single.items():
        assert stats.binomtest(count, rounds, ALPHA, alternative="greater").pvalue > 0.01, name


@pytest.mark.parametrize("count", [10, 24])
@pytest.mark.parametrize("tails", [4.0, 8.0, np.inf])
def test_a_cautious_p_value_keeps_its_level_under_heavy_tails_and_finds_what_is_far_off(
    tails: float, count: int
) -> None:
    random = np.random.default_rng(8)
    rounds = 40_000
    models = random.standard_normal((rounds, count + 1))
    if np.isfinite(tails):
        models /= np.sqrt(random.chisquare(tails, models.shape) / tails)
    others = models[:, :-1]
    distances = (models[:, -1] - others.mean(axis=1)) / others.std(axis=1, ddof=1)
    p_values = np.array([cautious_p_value(item, count) for item in distances])
    for level in (0.05, 0.01, 0.002, 0.0007):
        wrong = int((p_values <= level).sum())
        assert stats.binomtest(wrong, rounds, level, alternative="greater").pvalue > 0.01
    far = distances + 15 * np.sqrt(tails / (tails - 2) if np.isfinite(tails) else 1.0)
    assert np.mean([cautious_p_value(item, count) <= 0.002 for item in far[:2000]]) > 0.8


@pytest.mark.parametrize(
    ("rise", "moved", "loud"),
    [
        (4.0, 0.0, {"lira-offline", "lira-augmented", "rmia-offline"}),  # its head remembers
        (-4.0, 0.0, {"lira-offline", "lira-augmented"}),  # over-forgotten
        (0.0, 1.5, {"latent-residual", "latent-relative"}),  # outputs suppressed, features kept
    ],
)
def test_what_remembers_or_forgets_too_much_is_doubted_by_the_tests_that_can_see_it(
    rise: float, moved: float, loud: set[str]
) -> None:
    draw = np.random.default_rng(2)
    untouched = [model(draw, rise=4.0, moved=1.5) for _ in range(4)]
    rounds, found = 12, dict.fromkeys(NAMES, 0)
    for _ in range(rounds):
        out = [model(draw) for _ in range(MODELS)]
        for test in family(out, model(draw, rise=rise, moved=moved), untouched):
            found[test.name] += test.doubted
    assert all(found[name] >= 0.8 * rounds for name in loud), found
    quiet = set(NAMES) - loud - {"loss-threshold", "rmia-offline", "latent-probe"}
    assert all(found[name] <= 0.2 * rounds for name in quiet), found


@pytest.mark.parametrize(("rise", "moved"), [(8.0, 0.0), (-8.0, 0.0), (0.0, 4.0)])
def test_what_remembers_clearly_is_rejected_however_heavy_the_tails(
    rise: float, moved: float
) -> None:
    draw = np.random.default_rng(9)
    untouched = [model(draw, rise=8.0, moved=4.0) for _ in range(4)]
    found = [
        any(
            test.rejected
            for test in family(
                [model(draw) for _ in range(24)], model(draw, rise=rise, moved=moved), untouched
            )
        )
        for _ in range(8)
    ]
    assert np.mean(found) >= 0.75


@pytest.mark.parametrize("tails", [3.0, np.inf])
def test_out_models_tell_how_often_a_retrain_will_be_doubted(tails: float) -> None:
    random = np.random.default_rng(11)

    def drawn(models: int) -> list[Numbers]:
        values = random.standard_normal((len(NAMES), models))
        if np.isfinite(tails):
            values /= np.sqrt(random.chisquare(tails, values.shape) / tails)
        return list(values)

    def told(series: Sequence[Numbers]) -> Statistics:
        count = len(MEMBERSHIP)
        depth = DepthStatistics(
            depth="head",
            values=dict(zip(LATENT.values(), series[count:], strict=True)),
            noise_p_value=1.0,
            nearer_untouched_p_value=1.0,
        )
        return Statistics(members=dict(zip(MEMBERSHIP, series, strict=False)), depths=[depth])

    def doubted(series: Sequence[Numbers]) -> bool:
        return any(
            test.doubted for test in secondary_tests(told(series), ALPHA / 3, doubt_alpha=ALPHA)
        )

    beforehand, afterwards, naive = 0, 0, 0
    banks, models, retrains = 40, 24, 25
    for _ in range(banks):
        out = drawn(models)
        beforehand += sum(doubted_models(told(out), ALPHA / 3, doubt_alpha=ALPHA))
        for k in range(models):
            naive += doubted([np.append(np.delete(item, k), item[k]) for item in out])
        new = drawn(retrains)
        for k in range(retrains):
            afterwards += doubted([np.append(a, b[k]) for a, b in zip(out, new, strict=True)])
    assert beforehand == naive
    share, found = beforehand / (banks * models), afterwards / (banks * retrains)
    assert abs(share - found) < 0.025
    assert (share > 0.08) if np.isfinite(tails) else (share < 0.07)


def test_ranks_decide_where_the_bank_is_large_enough_and_describe_below() -> None:
    random = np.random.default_rng(3)
    needed = references_needed(7 * 2, 0.1)  # seven tests, of which some look at two depths
    assert needed == 279

    def lira(models: int, last: float) -> SecondaryTest:
        def series() -> Numbers:
            return np.append(random.standard_t(2, models), last)

        depths = [
            DepthStatistics(
                depth=depth,
                values={name: series() for name in LATENT.values()},
                noise_p_value=1.0,
                nearer_untouched_p_value=1.0,
            )
            for depth in ("early", "head")
        ]
        members = {name: series() for name in MEMBERSHIP}
        found = Statistics(members=members, depths=depths)
        return secondary_tests(found, 0.1, doubt_alpha=0.1)[0]

    above, below = lira(needed, 1e9), lira(needed - 1, 1e9)
    assert above.p_value == above.rank_p_value == pytest.approx(2 / 280)
    assert above.rejected  # the least that ranks can say is enough, though all seven say it
    assert above.doubt == above.adjusted and above.doubted
    assert below.doubt < below.p_value < 1e-9 < below.rank_p_value


def test_a_latent_test_pays_for_every_depth_it_looked_at() -> None:
    random = np.random.default_rng(4)
    quiet, loud = random.normal(0, 1, 12), np.append(random.normal(0, 1, 11), 3.0)
    depths = [
        DepthStatistics(
            depth=str(number),
            values={"procrustes": values, "relative": quiet, "probe": quiet},
            noise_p_value=1.0,
            nearer_untouched_p_value=1.0,
        )
        for number, values in enumerate((quiet, loud, quiet))
    ]
    members = dict.fromkeys(MEMBERSHIP, quiet)
    told = Statistics(members=members, depths=depths)
    found = secondary_tests(told, ALPHA / 3, doubt_alpha=ALPHA)[4]
    distance, p_value = prediction_test(3.0, loud[:-1])
    assert (found.name, found.statistic) == ("latent-residual", distance)
    assert found.p_value == pytest.approx(3 * cautious_p_value(distance, 11))
    assert found.doubt == pytest.approx(7 * 3 * p_value)  # the first of seven by Holm
    assert found.rank_p_value == pytest.approx(3 * 2 / 12)


def test_rank_p_values_are_exact_for_any_distribution() -> None:
    random = np.random.default_rng(5)
    rounds = 2000
    p_values = []
    for _ in range(rounds):
        values = random.standard_cauchy(20)
        p_values.append(rank_p_value(values[0], values[1:]))
    for level in (0.1, 0.3, 0.5):
        found = int((np.array(p_values) <= level + 1e-9).sum())
        assert stats.binomtest(found, rounds, level).pvalue > 0.01
    assert rank_p_value(9.0, np.arange(5.0)) == pytest.approx(2 / 6)
    assert rank_p_value(0.0, np.zeros(5)) == 1.0  # ties never reject
    least = references_needed(4, 0.05)
    assert 2 * 4 / (least + 1) <= 0.05 < 2 * 4 / least


def test_the_evidence_survives_its_bytes() -> None:
    draw = np.random.default_rng(6)
    out = [model(draw) for _ in range(8)]
    untouched = [model(draw, rise=3.0, moved=1.0) for _ in range(6)]
    depths = describe_depths(latent_statistics(out, untouched[0], untouched, LAYOUT))
    attacks = describe_membership(untouched[0], out, untouched, LAYOUT)
    assert typed(tuple[LatentDepth, ...], plain(depths)) == depths  # type: ignore[type-var]  # a tuple of them
    assert typed(tuple[MembershipAttack, ...], plain(attacks)) == attacks  # type: ignore[type-var]  # the same
    assert [item.depth for item in depths] == ["early", "head"]


def test_scores_that_are_no_numbers_and_models_that_never_vary_are_refused() -> None:
    draw = np.random.default_rng(7)
    out = [model(draw) for _ in range(8)]
    broken = out[0].margins.copy()
    broken[LAYOUT.forgotten[0]] = np.nan
    with pytest.raises(EvidenceError, match="NaN"):
        contrast(broken, LAYOUT)
    with pytest.raises(EvidenceError, match="all score the same"):
        membership_statistics([out[0]] * 9, LAYOUT)
    for features in ({}, {"head": out[0].features["head"]}):
        with pytest.raises(EvidenceError, match="same depths"):
            latent_statistics(out, replace(out[0], features=features), out[:2], LAYOUT)
    with pytest.raises(EvidenceError, match="1 OUT models; at least 3"):
        membership_statistics(out[:2], LAYOUT)
