"""What an audit found, in the form in which it is signed (docs/predicate.md, ``audit``)."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.certificates.run_facts import Audit
from auditor.domain.canonical import Canonical, decimal_text, power_text
from auditor.domain.evidence import (
    AucComparison,
    AucRegression,
    Estimate,
    Influence,
    LatentDepth,
    MembershipAttack,
    RecipeFit,
    Reliability,
    SecondaryTest,
    SubgroupAuc,
)

FEWEST_MEMBERS = 5
"""Below this, what an attack finds among patients is nearly a score of each of them."""


def measured(audit: Audit) -> Canonical:
    """The decisive audit; no score of an image or a patient."""
    evidence = audit.evidence
    return {
        "influence": _influence(evidence.influence),
        "auc": _auc(evidence.auc),
        "reliability": _reliability(evidence.reliability),
        "secondary": [_secondary(test) for test in evidence.secondary],
        "membership": _membership(evidence.membership),
        "latent": [_latent(depth) for depth in evidence.latent],
        "recipeFit": _fit(evidence.recipe_fit),
        **({"retrainFit": _fit(evidence.retrain_fit)} if evidence.by_recipe else {}),
    }


def _fit(fit: RecipeFit) -> Canonical:
    return {
        "matches": yes_or_no(fit.matches),
        "pValue": decimal_text(fit.p_value),
        "worst": fit.worst,
    }


def _influence(influence: Influence) -> Canonical:
    """Where the gap isn't established the numbers mean nothing and aren't published."""
    common: dict[str, Canonical] = {
        "established": yes_or_no(influence.established),
        "gapT": decimal_text(influence.gap_t, 2),
        "controlDetected": influence.control_detected,
        "controlModels": len(influence.untouched),
    }
    if not influence.established:
        return common
    return common | {
        "equivalence": estimate(influence.equivalence),
        "rejection": estimate(influence.rejection),
        "standardError": decimal_text(influence.standard_error),
        "degrees": influence.degrees,
        "out": _decimals(influence.out),
        "untouched": _decimals(influence.untouched),
    }


def _auc(auc: AucRegression) -> Canonical:
    return {
        "before": estimate(auc.original),
        "after": estimate(auc.candidate),
        "comparisons": _comparisons(auc.comparisons),
        "margin": decimal_text(auc.margin),
        "marginRefused": yes_or_no(auc.margin_refused),
        "detectableMargin": decimal_text(auc.detectable_margin),
        "positives": auc.positives,
        "negatives": auc.negatives,
        "subgroups": [_subgroup(group) for group in auc.subgroups],
        "tooSmall": list(auc.too_small),
    }


def _subgroup(group: SubgroupAuc) -> Canonical:
    return {
        "attribute": group.attribute,
        "value": group.value,
        "positives": group.positives,
        "negatives": group.negatives,
        "after": estimate(group.candidate),
        "comparisons": _comparisons(group.comparisons),
        "detectableMargin": decimal_text(group.detectable_margin),
        "power": power_text(group.power),
        "decisive": yes_or_no(group.decisive),
    }


def _comparisons(comparisons: Sequence[AucComparison]) -> Canonical:
    return [
        {"against": item.against, "difference": estimate(item.difference)} for item in comparisons
    ]


def _reliability(reliability: Reliability) -> Canonical:
    return {
        "brier": estimate(reliability.brier),
        "againstOriginal": estimate(reliability.brier_against_original),
        "againstRetrained": estimate(reliability.brier_against_retrained),
        "calibrationError": decimal_text(reliability.calibration_error),
        "calibrationErrorOriginal": decimal_text(reliability.calibration_error_original),
        "calibrationErrorRetrained": decimal_text(reliability.calibration_error_retrained),
    }


def _secondary(test: SecondaryTest) -> Canonical:
    return {
        "name": test.name,
        "family": test.family,
        "statistic": decimal_text(test.statistic, 2),
        "pValue": decimal_text(test.p_value),
        "adjusted": decimal_text(test.adjusted),
        "doubt": decimal_text(test.doubt),
        "decisive": yes_or_no(test.decisive),
        "rejected": yes_or_no(test.rejected),
        "doubted": yes_or_no(test.doubted),
    }


def _membership(attacks: Sequence[MembershipAttack]) -> Canonical:
    """Among very few patients an attack's rate tells how single ones scored; it stays here."""
    told = [item for item in attacks if item.unit != "patient" or item.members >= FEWEST_MEMBERS]
    return {
        "attacks": [_attack(item) for item in told],
        "tooFew": [item.name for item in attacks if item not in told],
    }


def _attack(attack: MembershipAttack) -> Canonical:
    return {
        "name": attack.name,
        "unit": attack.unit,
        "members": attack.members,
        "others": attack.others,
        "auc": estimate(attack.auc),
        "rates": [
            {
                "limit": decimal_text(rate.limit),
                "falsePositives": estimate(rate.false_positives),
                "truePositives": estimate(rate.true_positives),
            }
            for rate in attack.rates
        ],
        "ceiling": decimal_text(attack.ceiling, 2),
    }


def _latent(depth: LatentDepth) -> Canonical:
    return {
        "depth": depth.depth,
        "measures": [
            {
                "name": measure.name,
                "value": decimal_text(measure.value),
                "expected": decimal_text(measure.expected),
                "distance": decimal_text(measure.distance, 2),
                "rankPValue": decimal_text(measure.rank_p_value),
            }
            for measure in depth.measures
        ],
        "noisePValue": decimal_text(depth.noise_p_value),
        "nearerUntouchedPValue": decimal_text(depth.nearer_untouched_p_value),
    }


def estimate(value: Estimate) -> Canonical:
    """An estimate with its interval."""
    return {
        "lower": decimal_text(value.lower),
        "point": decimal_text(value.point),
        "upper": decimal_text(value.upper),
        "level": decimal_text(value.level, 2),
    }


def _decimals(values: Sequence[float]) -> Canonical:
    return [decimal_text(value) for value in values]


def yes_or_no(value: bool) -> str:
    """``yes`` or ``no``, in the place of a boolean."""
    return "yes" if value else "no"
