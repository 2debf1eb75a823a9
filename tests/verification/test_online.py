"""Confirmed across cases: wrong in a quarter no more often than promised, whatever cases share."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from auditor.errors import EvidenceError
from auditor.verification.online import hold_across, spent_on

ALPHA = 0.05


def test_a_quarter_of_any_length_spends_no_more_than_alpha() -> None:
    places = np.arange(1, 200_001)
    spent = np.array([spent_on(int(place), ALPHA) for place in places])
    assert (np.diff(spent) < 0).all()
    beyond = ALPHA / (2.10975 * np.log(places[-1] + 1))  # the integral of the rest
    assert 0.999 * ALPHA < spent.sum() + beyond <= ALPHA
    with pytest.raises(EvidenceError, match="from 1"):
        spent_on(0, ALPHA)


@pytest.mark.parametrize("shared", [0.0, 0.9, 1.0])
def test_the_chance_of_a_wrong_finding_is_at_most_alpha_however_alike_the_cases_are(
    shared: float,
) -> None:
    """A case that shares its bank and model with another shares its luck."""
    draw, quarters, cases = np.random.default_rng(1), 2000, 120
    levels = np.array([spent_on(place, ALPHA) for place in range(1, cases + 1)])
    common = draw.normal(0, 1, (quarters, 1))
    luck = np.sqrt(shared) * common + np.sqrt(1 - shared) * draw.normal(0, 1, (quarters, cases))
    p_values = stats.norm.sf(luck)
    wrong = int((p_values <= levels).any(axis=1).sum())
    assert stats.binomtest(wrong, quarters, ALPHA, alternative="greater").pvalue > 0.01
    alone = int((p_values <= ALPHA).any(axis=1).sum())
    assert shared == 1.0 or alone > 2 * wrong  # one line for each case isn't enough


def test_a_clear_finding_is_confirmed_in_any_place_and_a_narrow_one_in_none() -> None:
    assert all(hold_across(1e-8, place, ALPHA).confirmed for place in (1, 10, 300))
    assert not any(hold_across(0.04, place, ALPHA).confirmed for place in (1, 10, 300))
    found = hold_across(0.001, 3, ALPHA)
    assert (found.place, found.p_value, found.level) == (3, 0.001, spent_on(3, ALPHA))
