"""The decision: PASSED, FAILED or INDETERMINATE, each with its reasons (DESIGN section 4 point 4).

Pure: no files, no models. Secondary tests can veto, never grant; "not rejected" is never a pass,
and neither is what they leave in doubt, or what is said to be a retrain and doesn't look like one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from auditor.domain.evidence import (
    AucComparison,
    AucRegression,
    Evidence,
    Influence,
    PatientInfluence,
)
from auditor.domain.verdict import Decision, Reason, ReasonCode, Verdict
from auditor.verification.plan import Plan
from auditor.verification.power import signal_needed

CONTROL_SHARE = 0.8  # of left-out untouched models that must be detected
_WHERE = {
    "forgotten": "margins of forgotten patients",
    "retained": "margins of retained patients",
    "never-seen": "margins of never-seen patients",
    "weights": "length of all layers' weights",
    "head": "length of the last layer's weights",
}
_OPEN = (
    "open instead: an exact basis (retrain, or rewind and replay), or a cohort's verdict once its "
    "method is qualified"
)


def decide(plan: Plan, evidence: Evidence, *, auc_inferior: bool) -> Decision:
    """Turn evidence into a verdict under its plan."""
    if not evidence.recipe_fit.matches:
        return Decision(verdict=Verdict.INDETERMINATE, reasons=(_mismatch(evidence),))
    if failures := _failures(plan, evidence, auc_inferior):
        return Decision(verdict=Verdict.FAILED, reasons=failures)
    if gaps := _missing(plan, evidence):
        return Decision(verdict=Verdict.INDETERMINATE, reasons=gaps)
    return Decision(verdict=Verdict.PASSED, reasons=_passes(plan, evidence))


def _mismatch(evidence: Evidence) -> Reason:
    fit = evidence.recipe_fit
    return _reason(
        ReasonCode.RECIPE_MISMATCH,
        "recipe mismatch: the model doesn't look like models trained by the registered recipe: "
        f"{_WHERE[fit.worst]} (p = {fit.p_value:.2g}); the bank says nothing about it",
    )


def _failures(plan: Plan, evidence: Evidence, auc_inferior: bool) -> tuple[Reason, ...]:
    influence, found = evidence.influence, []
    wide = influence.rejection
    if influence.established and (wide.lower > plan.margin or wide.upper < -plan.margin):
        found.append(
            _reason(
                ReasonCode.INFLUENCE_OUTSIDE,
                f"residual influence {wide.point:.2f} [{wide.lower:.2f}, {wide.upper:.2f}] lies "
                f"outside the margin of {plan.margin:g}",
            )
        )
    if auc_inferior:
        found.append(
            _reason(
                ReasonCode.AUC_INFERIOR,
                f"AUC fell by more than the margin of {plan.auc_margin:.3f}: "
                f"{_auc_text(evidence.auc)}{_groups_text(evidence.auc)}",
            )
        )
    found += [
        _reason(
            ReasonCode.SECONDARY_REJECTED,
            f"{test.name} tells the model from true retrains (adjusted p = {test.adjusted:.2g})",
        )
        for test in evidence.secondary
        if test.decisive and test.rejected
    ]
    return tuple(found)


def _missing(plan: Plan, evidence: Evidence) -> tuple[Reason, ...]:
    """What a PASSED would still need."""
    return (
        *_retrain_gaps(evidence),
        *_influence_gaps(plan, evidence.influence),
        *_patient_gaps(evidence.patients),
        *_auc_gaps(plan, evidence.auc),
        *_secondary_gaps(evidence),
    )


def _retrain_gaps(evidence: Evidence) -> tuple[Reason, ...]:
    """Whoever was trained by another recipe holds nothing of the forgotten, and is no retrain."""
    fit = evidence.retrain_fit
    if fit.matches or not evidence.by_recipe:
        return ()
    text = (
        "said to be a retrain by the registered recipe, the model doesn't look like those trained "
        f"by it: {_WHERE[fit.worst]} (p = {fit.p_value:.2g})"
    )
    return (_reason(ReasonCode.NOT_BY_RECIPE, text),)


def _influence_gaps(plan: Plan, influence: Influence) -> tuple[Reason, ...]:
    if not influence.established:
        return (
            _reason(
                ReasonCode.GAP_NOT_ESTABLISHED,
                "models trained with and without these images can't be told apart "
                f"(gap of {influence.gap_t:.1f} standard errors): there is nothing to measure by; "
                f"{_OPEN}",
            ),
        )
    found, inner = [], influence.equivalence
    if not -plan.margin < inner.lower <= inner.upper < plan.margin:
        found.append(
            _reason(
                ReasonCode.INTERVAL_STRADDLES,
                _straddles(influence, plan.margin),
            )
        )
    controls = len(influence.untouched)
    if influence.control_detected < CONTROL_SHARE * controls:
        found.append(
            _reason(
                ReasonCode.CONTROL_NOT_DETECTED,
                f"only {influence.control_detected} of {controls} untouched models were detected",
            )
        )
    if plan.power.detect_untouched < plan.required_power:
        found.append(
            _reason(
                ReasonCode.POWER_TOO_LOW,
                "declared power to detect an untouched model is "
                f"{plan.power.detect_untouched:.2f}, below {plan.required_power:.2f}: "
                f"{_signal(plan, influence)}; {_OPEN}",
            )
        )
    return tuple(found)


def _patient_gaps(patients: Sequence[PatientInfluence]) -> tuple[Reason, ...]:
    """A cohort doesn't pass over the head of one who can be told from a true retrain's."""
    outside = sum(item.outside for item in patients)
    if outside == 0:
        return ()
    text = f"of {len(patients)} patients {outside} can be told from a true retrain's on their own"
    return (_reason(ReasonCode.PATIENT_TOLD_APART, text),)


def _signal(plan: Plan, influence: Influence) -> str:
    """What the images would have to show for a verdict to be within reach."""
    shares = plan.alpha / plan.rungs, plan.rejection_alpha
    needed = signal_needed(plan.margin, *shares, plan.required_power)
    signal = 1 / influence.standard_error
    moved = (
        f"being trained on moves these images by {signal:.1f} standard deviations of a retrain, "
        f"and {needed:.1f} would"
    )
    if signal < needed:
        return f"{moved} be needed with any number of references"
    return f"{moved} do with more references, or if every model remembered the same patients"


def _auc_gaps(plan: Plan, auc: AucRegression) -> tuple[Reason, ...]:
    if plan.auc_margin_refused:
        return (
            _reason(
                ReasonCode.AUC_MARGIN_REFUSED,
                f"{auc.positives + auc.negatives} never-seen images can only show an AUC margin of "
                f"{auc.margin:.3f}; above 0.05 it means nothing",
            ),
        )
    if all(item.difference.lower > -plan.auc_margin for item in auc.comparisons):
        return ()
    return (
        _reason(
            ReasonCode.AUC_UNDECIDED,
            f"AUC isn't shown to be within {plan.auc_margin:.3f}: {_auc_text(auc)}",
        ),
    )


def _secondary_gaps(evidence: Evidence) -> tuple[Reason, ...]:
    """What may be the tail of true retrains, or may not."""
    return tuple(
        _reason(
            ReasonCode.SECONDARY_DOUBTED,
            f"{test.name} may tell the model from true retrains (adjusted p = {test.doubt:.2g}, "
            "were they normally distributed)",
        )
        for test in evidence.secondary
        if test.decisive and test.doubted
    )


def _passes(plan: Plan, evidence: Evidence) -> tuple[Reason, ...]:
    inner = evidence.influence.equivalence
    return (
        _reason(
            ReasonCode.EQUIVALENT,
            f"residual influence {inner.point:.2f} [{inner.lower:.2f}, {inner.upper:.2f}] lies "
            f"inside the margin of {plan.margin:g}",
        ),
        _reason(
            ReasonCode.AUC_NON_INFERIOR,
            f"AUC is within {plan.auc_margin:.3f}: {_auc_text(evidence.auc)}",
        ),
    )


def _straddles(influence: Influence, margin: float) -> str:
    inner = influence.equivalence
    if not (isfinite(inner.lower) and isfinite(inner.upper)):
        return (
            f"the gap of {influence.gap_t:.1f} standard errors is too small for residual influence "
            "to have a bounded interval"
        )
    return (
        f"residual influence {inner.point:.2f} [{inner.lower:.2f}, {inner.upper:.2f}] "
        f"isn't wholly inside the margin of {margin:g}"
    )


def _auc_text(auc: AucRegression) -> str:
    return "; ".join(_difference_text(item) for item in auc.comparisons)


def _groups_text(auc: AucRegression) -> str:
    """Decisive subgroups whose whole interval lies below the margin."""
    return "".join(
        f"; {group.attribute} {group.value}: {_difference_text(item)}"
        for group in auc.subgroups
        if group.decisive
        for item in group.comparisons
        if item.difference.upper < -auc.margin
    )


def _difference_text(item: AucComparison) -> str:
    found = item.difference
    return f"{found.point:+.3f} [{found.lower:+.3f}, {found.upper:+.3f}] against {item.against}"


def _reason(code: ReasonCode, text: str) -> Reason:
    return Reason(code=code, text=text)
