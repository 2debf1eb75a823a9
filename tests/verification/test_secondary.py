"""The secondary family as a whole: level under the null, power under alternatives, ranks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from auditor.domain.codec import plain, typed
from auditor.domain.evidence import LatentDepth, MembershipAttack, SecondaryTest
from auditor.errors import EvidenceError
from auditor.verification.attacks.latent import latent_statistics
from auditor.verification.attacks.membership import describe_membership, membership_statistics
from auditor.verification.contrast import contrast
from auditor.verification.exchangeability import rank_p_value, references_needed
from auditor.verification.measurements import Measurements
from auditor.verification.secondary import NAMES, describe_depths, secondary_tests
from tests.verification.simulated import LAYOUT, model

ALPHA = 0.05
MODELS = 10


def family(
    out: Sequence[Measurements], candidate: Measurements, untouched: Sequence[Measurements]
) -> tuple[SecondaryTest, ...]:
    return secondary_tests(
        membership_statistics([*out, candidate], LAYOUT),
        latent_statistics(out, candidate, untouched, LAYOUT),
        ALPHA,
    )


@pytest.mark.parametrize(
    ("tails", "rounds"), [(np.inf, 120), (4.0, 60)], ids=["normal", "heavy-tailed"]
)
def test_a_true_retrain_is_rejected_by_the_family_no_more_often_than_promised(
    tails: float, rounds: int
) -> None:
    """Though two of its forgotten patients are odd to every model, as memorised patients are."""
    draw = np.random.default_rng(1)
    untouched = [model(draw, rise=3.0, moved=1.0) for _ in range(4)]
    rejected, single = 0, dict.fromkeys(NAMES, 0)
    for _ in range(rounds):
        *out, candidate = (model(draw, tails=tails) for _ in range(MODELS + 1))
        tests = family(out, candidate, untouched)
        rejected += any(test.rejected for test in tests)
        for test in tests:
            single[test.name] += test.p_value <= ALPHA
    assert stats.binomtest(rejected, rounds, ALPHA, alternative="greater").pvalue > 0.01
    for name, count in single.items():
        assert stats.binomtest(count, rounds, ALPHA, alternative="greater").pvalue > 0.001, name


@pytest.mark.parametrize(
    ("rise", "moved", "loud"),
    [
        (4.0, 0.0, {"lira-offline", "rmia-offline"}),  # its head remembers
        (-4.0, 0.0, {"lira-offline"}),  # over-forgotten
        (0.0, 1.5, {"latent-residual", "latent-relative"}),  # outputs suppressed, features kept
    ],
)
def test_what_remembers_or_forgets_too_much_is_rejected_by_the_tests_that_can_see_it(
    rise: float, moved: float, loud: set[str]
) -> None:
    draw = np.random.default_rng(2)
    untouched = [model(draw, rise=4.0, moved=1.5) for _ in range(4)]
    rounds, found = 12, dict.fromkeys(NAMES, 0)
    for _ in range(rounds):
        out = [model(draw) for _ in range(MODELS)]
        for test in family(out, model(draw, rise=rise, moved=moved), untouched):
            found[test.name] += test.rejected
    assert all(found[name] >= 0.8 * rounds for name in loud), found
    quiet = set(NAMES) - loud - {"loss-threshold", "rmia-offline", "latent-cka"}
    assert all(found[name] <= 0.2 * rounds for name in quiet), found


def test_ranks_decide_where_the_bank_is_large_enough_and_describe_below() -> None:
    random = np.random.default_rng(3)
    names = ("lira-offline", "rmia-offline", "loss-threshold")

    def tests(models: int, last: float) -> dict[str, SecondaryTest]:
        values = {name: np.append(random.standard_t(2, models), last) for name in names}
        return {test.name: test for test in secondary_tests(values, [], 0.1)}

    needed = references_needed(3, 0.1)
    assert needed == 59
    far = tests(needed, 1e9)["lira-offline"]
    assert far.p_value == far.rank_p_value == pytest.approx(2 / 60)
    assert far.rejected
    assert not tests(needed - 1, 5.0)["lira-offline"].rejected
    below = tests(needed - 1, 5.0)["lira-offline"]
    assert below.p_value != below.rank_p_value


def test_a_test_without_numbers_never_rejects_and_does_not_decide() -> None:
    random = np.random.default_rng(4)
    values = {name: random.normal(0, 1, 11) for name in NAMES[:3]}
    for test in secondary_tests(values, [], ALPHA)[3:]:
        assert (test.decisive, test.rejected, test.p_value) == (False, False, 1.0)


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
    assert typed(tuple[LatentDepth, ...], plain(depths)) == depths  # type: ignore[type-var]
    assert typed(tuple[MembershipAttack, ...], plain(attacks)) == attacks  # type: ignore[type-var]
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
    with pytest.raises(EvidenceError, match="1 OUT models; at least 3"):
        membership_statistics(out[:2], LAYOUT)
