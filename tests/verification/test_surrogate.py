"""A variant is chosen by the influence it leaves, inside bounds; a weak group has no say."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from auditor.domain.calibration import Bounds, Choice, Group, Reading, Trial, left
from auditor.verification.surrogate import LEAST_GAP, bounds_from, choose

BOUNDS = Bounds(loss=0.5, auc=0.7)


def trial(*influence: float, loss: float = 0.1, auc: float = 0.8) -> Trial:
    readings = tuple(Reading(influence=item, loss=loss, auc=auc) for item in influence)
    return Trial(parameters={"strength": repr(influence)}, readings=readings)


def chosen(trials: Sequence[Trial], *strengths: float) -> tuple[Choice, int]:
    groups = [Group(strength=strength, error=0.1) for strength in strengths or (9.0,)]
    return choose(trials, groups, BOUNDS)


def test_a_bound_on_the_loss_alone_would_pick_a_step_that_overshoots() -> None:
    trials = [trial(0.9), trial(0.4), trial(-0.1), trial(-1.2), trial(-4.0, loss=0.6)]
    strongest = max(
        place for place, item in enumerate(trials) if item.readings[0].loss <= BOUNDS.loss
    )
    assert trials[strongest].readings[0].influence < -1
    assert chosen(trials) == (Choice.LEAST_INFLUENCE, 2)


def test_what_costs_too_much_loss_or_auc_for_any_group_is_out() -> None:
    dear = Trial(
        parameters={},
        readings=(*trial(0.0).readings, *trial(0.0, loss=0.51).readings),
    )
    blind = Trial(parameters={}, readings=(*trial(0.0, auc=0.69).readings, *trial(0.0).readings))
    trials = [trial(0.9, 0.9), dear, trial(0.5, 0.5), blind]
    assert chosen(trials, 9.0, 9.0) == (Choice.LEAST_INFLUENCE, 2)
    assert chosen([dear, blind], 9.0, 9.0) == (Choice.NONE_INSIDE_BOUNDS, -1)


def test_a_variant_may_cost_three_times_the_worst_references_loss_and_no_auc() -> None:
    assert bounds_from([0.1, 0.2], [0.8, 0.7]) == Bounds(loss=pytest.approx(0.6), auc=0.7)
    assert bounds_from([0.001], [0.8]).loss == pytest.approx(0.051)


def test_a_group_with_a_weak_gap_has_no_say() -> None:
    trials = [trial(0.1, 5.0), trial(0.5, 0.0)]
    assert chosen(trials, 9.0, LEAST_GAP - 0.1) == (Choice.LEAST_INFLUENCE, 0)
    assert chosen(trials, 9.0, LEAST_GAP) == (Choice.LEAST_INFLUENCE, 1)


def test_what_overshoots_on_one_group_makes_up_for_nothing_on_another() -> None:
    trials = [trial(0.75, -0.75), trial(0.5, 0.5)]
    assert chosen(trials, 9.0, 9.0) == (Choice.LEAST_INFLUENCE, 1)
    groups = [Group(strength=9.0, error=0.1)] * 2
    assert left(trials[0], groups, LEAST_GAP) == 0.75


def test_a_group_counts_by_its_precision() -> None:
    groups = [Group(strength=9.0, error=0.1), Group(strength=9.0, error=0.2)]
    assert left(trial(1.0, 0.0), groups, LEAST_GAP) == pytest.approx(0.8)
    assert choose([trial(0.5, 0.0), trial(0.2, 0.9)], groups, BOUNDS)[1] == 1


def test_without_any_gap_the_strongest_inside_the_bounds_is_taken() -> None:
    trials = [trial(0.0), trial(0.9), trial(0.1, loss=0.6)]
    assert chosen(trials, LEAST_GAP - 0.1) == (Choice.STRONGEST, 1)


def test_a_tie_goes_to_the_milder() -> None:
    assert chosen([trial(0.9), trial(-0.25), trial(0.25)]) == (Choice.LEAST_INFLUENCE, 1)


def test_a_variant_that_was_not_made_for_every_group_is_out() -> None:
    assert chosen([trial(0.5, 0.5), trial(0.0)], 9.0, 9.0) == (Choice.LEAST_INFLUENCE, 0)
    assert chosen([], 9.0) == (Choice.NO_VARIANT, -1)
    assert choose([], (), BOUNDS) == (Choice.NO_VARIANT, -1)
