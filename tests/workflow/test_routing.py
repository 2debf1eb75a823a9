"""The ladder as a pure function of what is known beforehand."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from auditor.domain.evidence import Power
from auditor.domain.route import Due, LeftOut
from auditor.unlearning.task import Cost
from auditor.workflow.erasure.routing import (
    MethodFacts,
    Prospect,
    RouteFacts,
    Tuned,
    route,
    shortlist,
)

NEWTON = MethodFacts(name="newton", exact=False, cost=Cost.STEP)
RESET = MethodFacts(name="reset-and-heal", exact=False, cost=Cost.FINE_TUNING)
DISTIL = MethodFacts(name="reference-distillation", exact=False, cost=Cost.FINE_TUNING)
REWIND = MethodFacts(name="rewind", exact=True, cost=Cost.REPLAY, share=0.4)
RETRAIN = MethodFacts(name="retrain", exact=True, cost=Cost.TRAINING)


def prospect(power: float, reach: float) -> Prospect:
    return Prospect(power=Power(detect_untouched=power, pass_retrain=power), reach=reach)


FACTS = RouteFacts(
    memorisation=(0.7,),
    cohort=False,
    tail_from=3.0,
    methods=(RETRAIN, RESET, NEWTON, REWIND),
    prospects=(prospect(0.95, 0.2), prospect(0.85, 0.1)),
    required_power=0.8,
    recipe_fits=True,
    auc_margin_refused=False,
)
GOOD = {name: Tuned(found=True, residual=0.05) for name in ("newton", "reset-and-heal")}
TAIL = replace(FACTS, memorisation=(0.7, 5.0), cohort=True, qualified=frozenset(GOOD))
ONE_RUNG = replace(FACTS, prospects=(prospect(0.95, 0.2), prospect(0.7, 0.1)))


def reasons(facts: RouteFacts, tuned: dict[str, Tuned] | None = None) -> dict[str, LeftOut]:
    return {item.method: item.reason for item in route(facts, GOOD | (tuned or {})).left_out}


def test_a_routine_patient_goes_from_the_cheapest_method_to_the_dearest() -> None:
    found = route(FACTS, GOOD)
    assert found.ladder == ("newton", "reset-and-heal", "rewind", "retrain")
    assert found.rungs == 2
    assert found.left_out == ()


def test_the_tail_never_takes_a_single_step() -> None:
    assert TAIL.tail == 1
    assert route(TAIL, GOOD).ladder == ("reset-and-heal", "rewind", "retrain")
    assert reasons(TAIL) == {"newton": LeftOut.TAIL}
    at_the_edge = replace(FACTS, memorisation=(3.0,))
    assert reasons(at_the_edge) == {"newton": LeftOut.TAIL}
    assert reasons(replace(FACTS, memorisation=(2.99,))) == {}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (replace(FACTS, prospects=(prospect(0.79, 0.2),) * 2), LeftOut.POWER_TOO_LOW),
        (replace(FACTS, auc_margin_refused=True), LeftOut.AUC_MARGIN_REFUSED),
        (replace(FACTS, recipe_fits=False), LeftOut.RECIPE_MISMATCH),
        (replace(FACTS, surrogates=False), LeftOut.NO_SURROGATES),
        (replace(FACTS, cohort=True), LeftOut.NOT_QUALIFIED),
        (replace(FACTS, due=(Due.STEPS,)), LeftOut.EXACT_DUE),
    ],
)
def test_what_could_earn_nothing_is_not_even_tuned(facts: RouteFacts, reason: LeftOut) -> None:
    assert shortlist(facts).methods == ()
    found = route(facts, {})
    assert found.ladder == ("rewind", "retrain")
    assert found.rungs == 1
    assert {item.reason for item in found.left_out} == {reason}


def test_a_power_that_is_low_on_one_side_is_low() -> None:
    lopsided = Prospect(power=Power(detect_untouched=0.99, pass_retrain=0.5), reach=0.2)
    assert replace(FACTS, prospects=(lopsided, lopsided)).room == 0


def test_what_leaves_more_on_surrogates_than_could_pass_is_not_stepped_on() -> None:
    for residual in (0.21, -0.21):
        tuned = {"newton": Tuned(found=True, residual=residual)}
        assert route(FACTS, GOOD | tuned).approximate == ("reset-and-heal",)
        assert reasons(FACTS, tuned) == {"newton": LeftOut.RESIDUAL}


def test_a_method_without_parameters_inside_the_bounds_is_no_rung() -> None:
    tuned = {"newton": Tuned(found=False, residual=None)}
    assert reasons(FACTS, tuned) == {"newton": LeftOut.NO_PARAMETERS}


def test_a_second_rung_is_taken_only_where_both_reach_with_half_of_alpha_each() -> None:
    tuned = {"newton": Tuned(found=True, residual=0.15)}  # passes alone, not as one of two
    found = route(FACTS, GOOD | tuned)
    assert (found.approximate, found.rungs) == (("reset-and-heal",), 1)
    assert reasons(FACTS, tuned) == {"newton": LeftOut.NO_ROOM}


def test_what_is_known_to_reach_is_taken_before_what_is_not_known() -> None:
    tuned = {
        "newton": Tuned(found=True, residual=None),
        "reset-and-heal": Tuned(found=True, residual=0.15),  # passes alone, not as one of two
    }
    assert route(FACTS, tuned).approximate == ("reset-and-heal",)


def test_with_room_for_one_the_method_that_left_the_least_is_taken() -> None:
    for residual, taken in ((0.01, "newton"), (-0.06, "reset-and-heal"), (None, "reset-and-heal")):
        found = route(ONE_RUNG, GOOD | {"newton": Tuned(found=True, residual=residual)})
        assert (found.approximate, found.rungs) == ((taken,), 1)


def test_rewind_is_left_out_where_it_is_no_cheaper_or_has_no_history() -> None:
    whole = replace(FACTS, methods=(NEWTON, replace(REWIND, share=1.0), RETRAIN))
    assert reasons(whole) == {"rewind": LeftOut.NOT_CHEAPER}
    unknown = replace(FACTS, methods=(NEWTON, replace(REWIND, met=False), RETRAIN))
    assert reasons(unknown) == {"rewind": LeftOut.NEED_NOT_MET}


def test_a_method_that_lacks_what_it_needs_is_left_out() -> None:
    facts = replace(FACTS, methods=(NEWTON, replace(DISTIL, met=False), RETRAIN))
    assert reasons(facts) == {"reference-distillation": LeftOut.NEED_NOT_MET}


def test_a_demonstration_measures_the_cheapest_method_where_none_could_earn_anything() -> None:
    facts = replace(
        FACTS, prospects=(prospect(0.1, -2.0),) * 2, recipe_fits=False, measure_anyway=True
    )
    found = route(facts, {"newton": Tuned(found=True, residual=0.9)})
    assert found.ladder == ("newton", "rewind", "retrain")
    assert {item.reason for item in found.left_out} == {LeftOut.NO_ROOM}
    tail = replace(facts, memorisation=(9.0,))
    assert route(tail, GOOD).ladder == ("reset-and-heal", "rewind", "retrain")
    within = replace(FACTS, measure_anyway=True)
    assert route(within, GOOD) == route(FACTS, GOOD)


def test_every_ladder_keeps_its_promises() -> None:
    """Over a grid of facts: each method is a rung or has a reason, exact ones come last."""
    residuals = (None, 0.0, -0.15, 0.9)
    grid = product(
        (0.5, 0.9), (0.5, 0.85), ((0.2,), (4.0,), (0.1, 4.0)), (True, False), residuals, residuals
    )
    for one, two, memorised, anyway, newton, reset in grid:
        facts = replace(
            FACTS,
            memorisation=memorised,
            cohort=len(memorised) > 1,
            qualified=frozenset({"reset-and-heal"}),
            prospects=(prospect(one, 0.2), prospect(two, 0.1)),
            measure_anyway=anyway,
        )
        tuned = {
            "newton": Tuned(found=newton != 0.9, residual=newton),
            "reset-and-heal": Tuned(found=True, residual=reset),
        }
        found = route(facts, tuned)
        named = [*found.ladder, *(item.method for item in found.left_out)]
        assert sorted(named) == sorted(method.name for method in FACTS.methods)
        assert found.ladder[-2:] == ("rewind", "retrain")
        assert found.rungs == max(1, len(found.approximate)) <= max(1, facts.room)
        if facts.tail:
            assert "newton" not in found.ladder
        for name in found.approximate:
            left = tuned[name].residual
            assert facts.room == 0 or left is None or abs(left) <= (0.2, 0.1)[found.rungs - 1]
