"""The decision, line by line of its definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf

import pytest

from auditor.domain.artefact import Digest
from auditor.domain.evidence import CandidateRole, Estimate, Evidence, Power
from auditor.domain.verdict import ReasonCode, Verdict
from auditor.errors import EvidenceError
from auditor.verification.decide import decide
from auditor.verification.plan import Origin, Plan
from tests.certificates import examples

X = Digest.of(b"x")
PLAN = Plan(
    case="c",
    origin=Origin(model=X, data=X, recipe=X, bank=X),
    request=X,
    policies=X,
    code=X,
    margin=0.35,
    alpha=0.05,
    rungs=1,
    required_power=0.8,
    auc_margin=0.032,
    auc_margin_refused=False,
    power=Power(detect_untouched=0.97, pass_retrain=0.84),
    detect_one=0.9,
    tests=("lira-offline",),
    rank_references=2159,
    seeds=(("newton", 1), ("control", 2)),
    ladder=(("newton", X), ("retrain", X)),
)


def measured(point: float = 0.05, width: float = 0.2, *, rejected: bool = False) -> Evidence:
    return examples.evidence(
        weights=X, point=point, width=width, role=CandidateRole.REQUEST, rejected=rejected
    )


def verdict_of(evidence: Evidence, plan: Plan = PLAN, *, inferior: bool = False) -> object:
    decision = decide(plan, evidence, auc_inferior=inferior)
    assert decision.reasons
    assert all(reason.text for reason in decision.reasons)
    return decision.verdict, decision.reasons[0].code


@pytest.mark.parametrize(
    ("evidence", "verdict", "code"),
    [
        (measured(), Verdict.PASSED, ReasonCode.EQUIVALENT),
        (measured(0.9, 0.2), Verdict.FAILED, ReasonCode.INFLUENCE_OUTSIDE),
        (measured(-0.9, 0.2), Verdict.FAILED, ReasonCode.INFLUENCE_OUTSIDE),
        (measured(0.3, 0.2), Verdict.INDETERMINATE, ReasonCode.INTERVAL_STRADDLES),
        (measured(0, float("inf")), Verdict.INDETERMINATE, ReasonCode.INTERVAL_STRADDLES),
        (measured(rejected=True), Verdict.FAILED, ReasonCode.SECONDARY_REJECTED),
    ],
)
def test_influence_and_secondary_tests(
    evidence: Evidence, verdict: Verdict, code: ReasonCode
) -> None:
    assert verdict_of(evidence) == (verdict, code)


def test_a_loss_of_auc_fails() -> None:
    assert verdict_of(measured(), inferior=True) == (Verdict.FAILED, ReasonCode.AUC_INFERIOR)


def test_a_group_that_lost_its_auc_is_named_where_it_decides() -> None:
    evidence = measured()
    fallen = Estimate(lower=-0.15, point=-0.11, upper=-0.07, level=0.9)
    for decisive in (True, False):
        groups = tuple(
            replace(
                group,
                decisive=decisive,
                comparisons=(replace(group.comparisons[0], difference=fallen),),
            )
            for group in evidence.auc.subgroups
        )
        hurt = replace(evidence, auc=replace(evidence.auc, subgroups=groups))
        (reason,) = decide(PLAN, hurt, auc_inferior=True).reasons
        assert ("sex F: -0.110 [-0.150, -0.070]" in reason.text) == decisive


@pytest.mark.parametrize(
    ("standard_error", "told"), [(0.2, "would be needed with any number"), (0.03, "would do with")]
)
def test_a_strong_signal_is_not_told_to_be_too_weak(standard_error: float, told: str) -> None:
    """With few references, or models that remember other patients each, little is found by it."""
    weak = replace(PLAN, power=replace(PLAN.power, detect_untouched=0.0))
    evidence = measured()
    asked = replace(evidence, influence=replace(evidence.influence, standard_error=standard_error))
    texts = {item.code: item.text for item in decide(weak, asked, auc_inferior=False).reasons}
    assert told in texts[ReasonCode.POWER_TOO_LOW]


def test_an_interval_without_bounds_is_told_with_the_gap_it_hangs_on() -> None:
    evidence = measured()
    unbounded = replace(evidence.influence.equivalence, lower=-inf, upper=inf)
    asked = replace(evidence, influence=replace(evidence.influence, equivalence=unbounded))
    texts = {item.code: item.text for item in decide(PLAN, asked, auc_inferior=False).reasons}
    assert f"gap of {evidence.influence.gap_t:.1f} " in texts[ReasonCode.INTERVAL_STRADDLES]


Change = Callable[[Evidence], Evidence]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (
            lambda e: replace(e, influence=replace(e.influence, established=False)),
            ReasonCode.GAP_NOT_ESTABLISHED,
        ),
        (
            lambda e: replace(e, influence=replace(e.influence, control_detected=4)),
            ReasonCode.CONTROL_NOT_DETECTED,
        ),
        (
            lambda e: replace(e, recipe_fit=replace(e.recipe_fit, matches=False)),
            ReasonCode.RECIPE_MISMATCH,
        ),
        (
            lambda e: replace(
                e,
                auc=replace(
                    e.auc,
                    comparisons=tuple(
                        replace(c, difference=replace(c.difference, lower=-0.04))
                        for c in e.auc.comparisons
                    ),
                ),
            ),
            ReasonCode.AUC_UNDECIDED,
        ),
        (
            lambda e: replace(
                e, secondary=tuple(replace(t, doubt=0.04, doubted=True) for t in e.secondary)
            ),
            ReasonCode.SECONDARY_DOUBTED,
        ),
    ],
)
def test_what_cannot_be_told_is_indeterminate(change: Change, code: ReasonCode) -> None:
    assert verdict_of(change(measured())) == (Verdict.INDETERMINATE, code)


def test_a_plan_without_power_or_with_too_wide_an_auc_margin_passes_nothing() -> None:
    weak = replace(PLAN, power=Power(detect_untouched=0.5, pass_retrain=0.9))
    assert verdict_of(measured(), weak) == (Verdict.INDETERMINATE, ReasonCode.POWER_TOO_LOW)
    wide = replace(PLAN, auc_margin_refused=True)
    assert verdict_of(measured(), wide) == (Verdict.INDETERMINATE, ReasonCode.AUC_MARGIN_REFUSED)
    assert PLAN.within_reach and not weak.within_reach and not wide.within_reach


@pytest.mark.parametrize(("by_recipe", "verdict"), [(True, "INDETERMINATE"), (False, "PASSED")])
def test_only_what_is_said_to_be_a_retrain_must_look_like_one(
    by_recipe: bool, verdict: str
) -> None:
    evidence = replace(measured(), by_recipe=by_recipe)
    assert verdict_of(evidence) == (Verdict.PASSED, ReasonCode.EQUIVALENT)
    strange = replace(evidence, retrain_fit=replace(evidence.retrain_fit, matches=False))
    found = decide(PLAN, strange, auc_inferior=False)
    assert found.verdict == verdict
    codes = {reason.code for reason in found.reasons}
    assert (ReasonCode.NOT_BY_RECIPE in codes) == by_recipe


def test_what_is_no_retrain_but_still_knows_the_patients_is_failed() -> None:
    strange = replace(measured(0.9), by_recipe=True)
    strange = replace(strange, retrain_fit=replace(strange.retrain_fit, matches=False))
    assert verdict_of(strange) == (Verdict.FAILED, ReasonCode.INFLUENCE_OUTSIDE)


def test_a_model_the_recipe_does_not_describe_is_not_even_failed() -> None:
    strange = measured(0.9)
    strange = replace(strange, recipe_fit=replace(strange.recipe_fit, matches=False))
    assert verdict_of(strange) == (Verdict.INDETERMINATE, ReasonCode.RECIPE_MISMATCH)


def test_a_plan_shares_alpha_among_its_rungs() -> None:
    assert PLAN.equivalence_level == pytest.approx(0.9)
    two = replace(PLAN, rungs=2)
    assert two.rejection_alpha == pytest.approx(0.05 / 2 / 3)
    assert two.digest != PLAN.digest
    for changes in ({"margin": 0.51}, {"margin": 0.0}, {"alpha": 0.2}, {"rungs": 0}):
        with pytest.raises(EvidenceError):
            replace(PLAN, **changes)
