"""The laboratory: what the bank says beforehand, and the audit of a candidate under a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from auditor.domain.artefact import Digest
from auditor.domain.evidence import CandidateRole, Evidence, Influence, Power, RecipeFit
from auditor.domain.verdict import Decision
from auditor.errors import EvidenceError
from auditor.verification import per_patient
from auditor.verification.attacks.membership import describe_membership
from auditor.verification.auc import (
    AucReference,
    compare,
    fix_margin,
    inferior_p_value,
    is_inferior,
)
from auditor.verification.contrast import contrast
from auditor.verification.decide import CONTROL_SHARE, decide
from auditor.verification.engine_code import engine_digest
from auditor.verification.influence import (
    Scale,
    estimate,
    fit_scale,
    measure_ins,
    measure_outs,
    outside_p_value,
    references_for,
)
from auditor.verification.layout import Indices, Layout, Numbers
from auditor.verification.measurements import Measurements
from auditor.verification.objections import objected_models
from auditor.verification.online import hold_across
from auditor.verification.plan import SHARES, Origin, Pinned, Plan
from auditor.verification.power import clear_power, detect_power, pass_power, reach
from auditor.verification.recipe_fit import fit_recipe, fit_retrain
from auditor.verification.relearning import relearning_images
from auditor.verification.reliability import describe_reliability
from auditor.verification.secondary import (
    describe_depths,
    names,
    rank_references,
    secondary_tests,
    statistics_of,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Readiness:
    """The bank, measured before the run; nothing of any candidate is in it.

    Attributes:
        origin: what the bank was trained for.
        reach: largest residual influence that would still pass.
        out_rho: each OUT model's rho, itself left out; the same for IN in ``untouched_rho``.
        control_detected: how many left-out IN models the rejection rule flags.
    """

    origin: Origin
    layout: Layout
    out: tuple[Measurements, ...]
    untouched: tuple[Measurements, ...]
    original: Measurements
    scale: Scale
    patient_scales: tuple[per_patient.PatientScale, ...]
    auc: AucReference
    recipe_fit: RecipeFit
    power: Power
    reach: float
    margin: float
    alpha: float
    rungs: int
    out_rho: tuple[float, ...]
    untouched_rho: tuple[float, ...]
    control_detected: int

    @property
    def relearning(self) -> Indices:
        """Images that a candidate must relearn; none where the bank's models relearned nothing."""
        asked = any(item.relearned.size for item in self.out)
        return relearning_images(self.layout) if asked else np.empty(0, dtype=np.int64)


def prepare(
    *,
    origin: Origin,
    out: Sequence[Measurements],
    untouched: Sequence[Measurements],
    original: Measurements,
    layout: Layout,
    margin: float = 0.35,
    alpha: float = 0.05,
    rungs: int = 1,
) -> Readiness:
    """Measure what the bank can tell, before any method runs.

    Args:
        origin: what the bank was trained for.
        out: OUT models, trained without the forgotten patients.
        untouched: IN models, trained with them.
        original: the model in service.
        layout: roles of the images.
        margin: of rho.
        alpha: of the whole plan.
        rungs: statistical rungs alpha is split among.

    Raises:
        EvidenceError: too few references, or scores that can't be compared.
    """
    needed = references_for(alpha / rungs / SHARES)
    if len(out) < needed:
        raise EvidenceError(
            f"{len(out)} OUT models are too few for alpha {alpha} over {rungs} rungs; at least "
            f"{needed} are needed"
        )
    out_scores = _contrasts(out, layout)
    in_scores = _contrasts(untouched, layout)
    patients = layout.patients[layout.forgotten]
    scale = fit_scale(out_scores, in_scores, patients)
    alone = per_patient.patient_scales(out_scores, in_scores, patients)
    share = alpha / rungs / SHARES
    equivalence, rejection = 1 - 2 * alpha / rungs, 1 - 2 * share
    outs = measure_outs(out_scores, in_scores, patients, equivalence)
    ins = measure_ins(out_scores, in_scores, patients, rejection)
    auc = fix_margin(original.scores, [item.scores for item in out], layout, equivalence)
    passing = pass_power(scale, margin, outs) * (0.0 if auc.refused else auc.power)
    fit = fit_recipe(original, untouched, layout, scale)
    decidable = float(fit.matches)  # on another recipe's bank no verdict rests: no power at all
    detected = sum(item.lower > margin or item.upper < -margin for item in ins)
    if detected < CONTROL_SHARE * len(ins):
        passing = 0.0  # nothing may pass by a bank that doesn't find its own untouched models
    if passing > 0:
        both = (original, *untouched)
        outside = per_patient.models_outside(alone, out_scores, in_scores, alpha)
        objected = objected_models(
            out, both, layout, outside=outside, alpha=share, doubt_alpha=alpha
        )
        passing *= clear_power(objected, outs, margin, alpha, alone=len(alone) == 1)
    return Readiness(
        origin=origin,
        layout=layout,
        out=tuple(out),
        untouched=tuple(untouched),
        original=original,
        scale=scale,
        patient_scales=alone,
        auc=auc,
        recipe_fit=fit,
        power=Power(
            detect_untouched=decidable * detect_power(scale, margin, ins),
            pass_retrain=decidable * passing,
        ),
        reach=reach(scale, margin, outs),
        margin=margin,
        alpha=alpha,
        rungs=rungs,
        out_rho=tuple(item.point for item in outs),
        untouched_rho=tuple(item.point for item in ins),
        control_detected=detected,
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


def declared_power(readiness: Readiness, required: float) -> Power:
    """The bank's powers; where an untouched model is found too rarely, nothing may pass."""
    power = readiness.power
    return power if power.detect_untouched >= required else replace(power, pass_retrain=0.0)


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
    pinned = (plan.margin, plan.alpha, plan.rungs, plan.auc_margin, plan.power)
    if pinned != (
        readiness.margin,
        readiness.alpha,
        readiness.rungs,
        readiness.auc.margin,
        power,
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


def _contrasts(models: Sequence[Measurements], layout: Layout) -> Numbers:
    return np.stack([contrast(item.margins, layout) for item in models])
