"""Bounds that hold however often one looks, where an exact interval of one look doesn't."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from auditor.verification.anytime import anytime_upper
from auditor.verification.clopper_pearson import clopper_pearson

MOST, RUNS, ALPHA = 600, 4000, 0.05


def one_look(events: int, trials: int) -> float:
    return clopper_pearson(events, trials, 0.9).upper


def let_in(bound: Callable[[int, int], float], share: float) -> float:
    """How often a bank with this share of false alarms is let in by whoever tries on and on."""
    most = np.full(MOST + 1, -1)  # that may have failed
    for trials in range(1, MOST + 1):
        most[trials] = most[trials - 1]
        while bound(int(most[trials]) + 1, trials) <= ALPHA:
            most[trials] += 1
    failed = (np.random.default_rng(1).random((RUNS, MOST)) < share).cumsum(axis=1)
    return float((failed <= most[1:]).any(axis=1).mean())


@pytest.mark.parametrize("share", [0.05, 0.051, 0.06])
def test_a_bank_that_fails_too_many_is_seldom_let_in_however_often_one_looks(share: float) -> None:
    assert let_in(anytime_upper, share) <= ALPHA


def test_the_exact_interval_of_one_look_would_let_in_more() -> None:
    assert let_in(one_look, 0.051) > 0.12


def test_a_bank_that_fails_few_is_let_in() -> None:
    assert let_in(anytime_upper, 0.01) > 0.97


@pytest.mark.parametrize("events", [0, 1, 7])
def test_the_bound_falls_with_trials_rises_with_events_and_is_wider_than_one_looks(
    events: int,
) -> None:
    bounds = [anytime_upper(events, trials) for trials in range(events, 400, 20)]
    assert bounds[0] == 1 and bounds == sorted(bounds, reverse=True)
    for trials in (10, 100, 100_000):
        bound = anytime_upper(events, trials)
        assert one_look(events, trials) < bound < anytime_upper(events + 1, trials)
        assert bound < anytime_upper(events, trials, level=0.99)


def test_nothing_tried_and_everything_failed_bound_nothing() -> None:
    assert anytime_upper(0, 0) == anytime_upper(9, 9) == 1
