"""The laboratory: the plan of a case, and the audit of a candidate under it."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.domain.artefact import Digest
from auditor.domain.evidence import CandidateRole, Evidence, Influence
from auditor.domain.verdict import Decision
from auditor.errors import EvidenceError
from auditor.verification import per_patient
from auditor.verification.attacks.membership import describe_membership
from auditor.verification.auc import (
    compare,
    inferior_p_value,
    is_inferior,
)
from auditor.verification.contrast import contrast
from auditor.verification.decide import decide
from auditor.verification.engine_code import engine_digest
from auditor.verification.influence import (
    estimate,
    outside_p_value,
)
from auditor.verification.layout import Numbers
from auditor.verification.measurements import Measurements
from auditor.verification.online import hold_across
from auditor.verification.plan import SHARES, Origin, Pinned, Plan
from auditor.verification.readiness import Readiness, declared_power
from auditor.verification.recipe_fit import fit_retrain
from auditor.verification.reliability import describe_reliability
from auditor.verification.secondary import (
    describe_depths,
    names,
    rank_references,
    secondary_tests,
    statistics_of,
)


def draw_up(
    readiness: Readiness,
    *,
    case: str,
    origin: Origin,
    request: Digest,
    policies: Digest,
    required_power: float,
    seeds: Sequence[tuple[str, int]],
    ladder: Sequence[tuple[str, Digest]],
) -> Plan:
    """The plan of a case, to be pinned before any method runs.

    Args:
        origin: model, data and recipe of the case, and the bank it means to use.

    Raises:
        EvidenceError: the bank was trained for another model, data set or recipe.
    """
    tests = names(relearned=len(readiness.relearning) > 0)
    plan = Plan(
        case=case,
        origin=origin,
        request=request,
        policies=policies,
        code=engine_digest(),
        margin=readiness.margin,
        alpha=readiness.alpha,
        rungs=readiness.rungs,
        required_power=required_power,
        auc_margin=readiness.auc.margin,
        auc_margin_refused=readiness.auc.refused,
        power=declared_power(readiness, required_power),
        detect_one=readiness.detect_one,
        tests=tests,
        rank_references=rank_references(
            len(tests),
            len(readiness.original.features),
            readiness.alpha / readiness.rungs / SHARES,
        ),
        seeds=tuple(seeds),
        ladder=tuple(ladder),
    )
    _require_fits(plan, readiness)
    return plan


def audit(
    pinned: Pinned,
    readiness: Readiness,
    candidate: Measurements,
    *,
    role: CandidateRole,
    by_recipe: bool,
    weights: Digest,
) -> tuple[Evidence, Decision]:
    """Measure one candidate under a pinned plan and decide.

    Args:
        by_recipe: it is said to be a retrain by the recipe, so it must look like one.

    Raises:
        EvidenceError: the plan is of another bank or of other code.
    """
    return assess(
        pinned.plan,
        readiness,
        candidate,
        role=role,
        by_recipe=by_recipe,
        weights=weights,
        place=pinned.place,
    )


def assess(
    plan: Plan,
    readiness: Readiness,
    candidate: Measurements,
    *,
    role: CandidateRole,
    by_recipe: bool,
    weights: Digest,
    place: int = 1,
) -> tuple[Evidence, Decision]:
    """What `audit` does, for trials of the engine itself, whose candidates are nobody's request.

    Raises:
        EvidenceError: the plan is of another bank or of other code; or the candidate relearned
            nothing where the bank's models did.
    """
    _require_fits(plan, readiness)
    scores = contrast(candidate.margins, readiness.layout)
    auc = compare(readiness.auc, candidate.scores, plan.equivalence_level)
    out, layout = readiness.out, readiness.layout
    untouched = (readiness.original, *readiness.untouched)
    found = statistics_of([*out, candidate], untouched, layout)
    secondary = secondary_tests(found, plan.rejection_alpha, doubt_alpha=plan.doubt_alpha)
    least = min(
        outside_p_value(readiness.scale, scores, plan.margin),
        inferior_p_value(readiness.auc, auc),
        *(test.adjusted for test in secondary if test.decisive),
    )
    evidence = Evidence(
        plan=plan.digest,
        weights=weights,
        role=role,
        by_recipe=by_recipe,
        influence=_influence(plan, readiness, scores),
        patients=per_patient.measure_patients(
            readiness.patient_scales, scores, plan.equivalence_level, plan.doubt_alpha
        ),
        auc=auc,
        reliability=describe_reliability(
            candidate.scores,
            readiness.original.scores,
            [item.scores for item in out],
            layout,
            plan.equivalence_level,
        ),
        secondary=secondary,
        membership=describe_membership(candidate, out, readiness.untouched, layout),
        latent=describe_depths(found.depths),
        recipe_fit=readiness.recipe_fit,
        retrain_fit=fit_retrain(candidate, out, layout),
        across=hold_across(min(1.0, plan.rungs * SHARES * least), place, plan.alpha),
    )
    inferior = is_inferior(readiness.auc, auc, plan.rejection_alpha)
    return evidence, decide(plan, evidence, auc_inferior=inferior)


def _require_fits(plan: Plan, readiness: Readiness) -> None:
    """Refuse a plan of other code, of another bank, or of other numbers than the bank gave."""
    if plan.code != engine_digest():
        raise EvidenceError(
            "the plan was pinned under other code (auditor's engine, Python, numpy, scipy or torch "
            "changed since); go back to that version, or withdraw and file the request anew"
        )
    for name in ("recipe", "data", "model", "bank"):
        meant, found = getattr(plan.origin, name), getattr(readiness.origin, name)
        if meant != found:
            raise EvidenceError(
                f"the reference bank is of another {name} ({found.value[:12]}, the plan names "
                f"{meant.value[:12]}); train references for this model anew"
            )
    power = declared_power(readiness, plan.required_power)
    pinned = (plan.margin, plan.alpha, plan.rungs, plan.auc_margin, plan.power, plan.detect_one)
    if pinned != (
        readiness.margin,
        readiness.alpha,
        readiness.rungs,
        readiness.auc.margin,
        power,
        readiness.detect_one,
    ):
        raise EvidenceError(
            "the pinned plan holds other margins or powers than the bank gives; pin a new one"
        )


def _influence(plan: Plan, readiness: Readiness, scores: Numbers) -> Influence:
    scale = readiness.scale
    return Influence(
        established=scale.established,
        equivalence=estimate(scale, scores, plan.equivalence_level),
        rejection=estimate(scale, scores, 1 - 2 * plan.rejection_alpha),
        standard_error=scale.standard_error,
        degrees=scale.degrees,
        gap_t=scale.gap_t,
        out=readiness.out_rho,
        untouched=readiness.untouched_rho,
        control_detected=readiness.control_detected,
    )
