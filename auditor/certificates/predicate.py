"""Facts to predicate: the form in which a document is signed (docs/predicate.md, field by field).

Decimals are fixed-point strings, ``yes``/``no`` stand for booleans, absent sections are left out;
the JSON Schema is templates/erasure-certificate-v1.schema.json.
"""

from __future__ import annotations

from collections.abc import Sequence

from auditor.certificates import wording
from auditor.certificates.catalogue import language_of
from auditor.certificates.facts import (
    AccountedArtefact,
    Audit,
    Conclusion,
    Control,
    DocumentFacts,
    ModelVersion,
    PlanFacts,
    SkippedRung,
    TriedRung,
)
from auditor.certificates.reasons import reasons_in_words
from auditor.domain.artefact import item_status
from auditor.domain.canonical import Canonical, decimal_text
from auditor.domain.evidence import (
    AucComparison,
    AucRegression,
    Estimate,
    Influence,
    LatentDepth,
    MembershipAttack,
    Reliability,
    SecondaryTest,
    SubgroupAuc,
)
from auditor.domain.request import Outcome
from auditor.domain.verdict import Decision, Finding

TEMPLATE_VERSION = "1"
FEWEST_MEMBERS = 5
"""Below this, what an attack finds among patients is nearly a score of each of them."""


def predicate_of(facts: DocumentFacts) -> dict[str, Canonical]:
    """The predicate of the in-toto statement."""
    certified = facts.outcome is Outcome.CERTIFIED
    predicate: dict[str, Canonical] = {
        "documentType": "certificate" if certified else "record",
        "templateVersion": TEMPLATE_VERSION,
        "locale": facts.locale,
        "outcome": facts.outcome.value,
        "issued": facts.issued.isoformat(),
        "syntheticData": _yes(facts.synthetic),
        "notices": [{"about": about, "text": text} for about, text in wording.notices(facts)],
        "summary": list(wording.summary(facts)),
        "controller": {
            "name": facts.parties.controller,
            "dataProtectionOfficer": facts.parties.dpo,
        },
        "request": _request(facts),
        "model": _model(facts),
        "execution": {"codeVersion": facts.code_version, "device": facts.device},
        "policyPacks": [{"name": pack.name, "digest": str(pack.digest)} for pack in facts.packs],
        "skippedRungs": [_skipped(rung) for rung in facts.skipped],
        "attempts": [_attempt(rung) for rung in facts.attempts],
        "controls": [_control(control) for control in facts.controls],
        "inventory": [_artefact(item) for item in facts.inventory],
        "findings": [_finding(finding) for finding in facts.findings],
        "nonClaims": list(wording.non_claims(facts)),
        "approval": facts.approval.value,
        "seal": {"level": facts.seal.level, "trustedTime": facts.seal.trusted_time},
    }
    if facts.plan is not None:
        predicate["plan"] = _plan(facts.plan)
    if facts.decisive is not None and facts.decisive.audit is not None:
        predicate["audit"] = _audit(facts.decisive.audit)
    if facts.conclusion is not None:
        predicate["conclusion"] = _conclusion(facts, facts.conclusion)
    return predicate


def _request(facts: DocumentFacts) -> Canonical:
    request = facts.request
    return {
        "case": request.case,
        "regime": request.regime.value,
        "ground": request.ground.value,
        "received": request.received.isoformat(),
        "decided": request.decided.isoformat(),
        "subjects": request.subjects,
        "trainingImages": request.training_images,
    }


def _model(facts: DocumentFacts) -> Canonical:
    model: dict[str, Canonical] = {
        "name": facts.model.name,
        "architecture": facts.model.architecture,
        "recipe": str(facts.model.recipe),
        "before": _version(facts.model.before),
    }
    if facts.model.after is not None:
        model["after"] = _version(facts.model.after)
    return model


def _version(version: ModelVersion) -> Canonical:
    return {
        "version": version.version,
        "trainingImages": version.training_images,
        "weights": str(version.weights),
    }


def _plan(plan: PlanFacts) -> Canonical:
    return {
        "plan": str(plan.plan),
        "bank": str(plan.bank),
        "margin": decimal_text(plan.margin),
        "alpha": decimal_text(plan.alpha),
        "detectUntouched": decimal_text(plan.power.detect_untouched),
        "passRetrain": decimal_text(plan.power.pass_retrain),
        "outModels": plan.out_models,
        "inModels": plan.in_models,
        "ladder": list(plan.ladder),
    }


def _skipped(rung: SkippedRung) -> Canonical:
    return {"method": rung.method, "reason": rung.reason}


def _attempt(rung: TriedRung) -> Canonical:
    attempt: dict[str, Canonical] = {
        "attempt": rung.attempt,
        "method": rung.method,
        "exact": _yes(rung.exact),
        "parameters": dict(rung.parameters),
        "seconds": decimal_text(rung.milliseconds / 1000, 1),
        "replayed": _yes(rung.replayed),
    }
    if rung.weights is not None:
        attempt["weights"] = str(rung.weights)
    if rung.record is not None:
        attempt["record"] = str(rung.record)
    if rung.audit is not None:
        attempt.update(_short(rung.audit))
    return attempt


def _control(control: Control) -> Canonical:
    weights = str(control.audit.evidence.weights)
    return {"role": control.role.value, "weights": weights, **_short(control.audit)}


def _short(audit: Audit) -> dict[str, Canonical]:
    short: dict[str, Canonical] = {"verdict": audit.decision.verdict.value}
    short["reasons"] = _reasons(audit.decision)
    if audit.evidence.influence.established:
        short["influence"] = _estimate(audit.evidence.influence.equivalence)
    return short


def _audit(audit: Audit) -> Canonical:
    evidence = audit.evidence
    return {
        "influence": _influence(evidence.influence),
        "auc": _auc(evidence.auc),
        "reliability": _reliability(evidence.reliability),
        "secondary": [_secondary(test) for test in evidence.secondary],
        "membership": _membership(evidence.membership),
        "latent": [_latent(depth) for depth in evidence.latent],
        "recipeFit": {
            "matches": _yes(evidence.recipe_fit.matches),
            "pValue": decimal_text(evidence.recipe_fit.p_value),
            "worst": evidence.recipe_fit.worst,
        },
    }


def _influence(influence: Influence) -> Canonical:
    """Where the gap isn't established the numbers mean nothing and aren't published."""
    common: dict[str, Canonical] = {
        "established": _yes(influence.established),
        "gapT": decimal_text(influence.gap_t, 2),
        "controlDetected": influence.control_detected,
        "controlModels": len(influence.untouched),
    }
    if not influence.established:
        return common
    return common | {
        "equivalence": _estimate(influence.equivalence),
        "rejection": _estimate(influence.rejection),
        "standardError": decimal_text(influence.standard_error),
        "degrees": influence.degrees,
        "out": _decimals(influence.out),
        "untouched": _decimals(influence.untouched),
    }


def _auc(auc: AucRegression) -> Canonical:
    return {
        "before": _estimate(auc.original),
        "after": _estimate(auc.candidate),
        "comparisons": _comparisons(auc.comparisons),
        "margin": decimal_text(auc.margin),
        "marginRefused": _yes(auc.margin_refused),
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
        "after": _estimate(group.candidate),
        "comparisons": _comparisons(group.comparisons),
        "detectableMargin": decimal_text(group.detectable_margin),
        "power": decimal_text(group.power),
        "decisive": _yes(group.decisive),
    }


def _comparisons(comparisons: Sequence[AucComparison]) -> Canonical:
    return [
        {"against": item.against, "difference": _estimate(item.difference)} for item in comparisons
    ]


def _reliability(reliability: Reliability) -> Canonical:
    return {
        "brier": _estimate(reliability.brier),
        "againstOriginal": _estimate(reliability.brier_against_original),
        "againstRetrained": _estimate(reliability.brier_against_retrained),
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
        "decisive": _yes(test.decisive),
        "rejected": _yes(test.rejected),
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
        "auc": _estimate(attack.auc),
        "rates": [
            {
                "limit": decimal_text(rate.limit),
                "falsePositives": _estimate(rate.false_positives),
                "truePositives": _estimate(rate.true_positives),
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


def _conclusion(facts: DocumentFacts, conclusion: Conclusion) -> Canonical:
    found: dict[str, Canonical] = {
        "verdict": conclusion.decision.verdict.value,
        "reasons": [
            {"code": reason.code.value, "text": reason.text}
            for reason in reasons_in_words(conclusion.decision, facts, language_of(facts.locale))
        ],
        "basis": conclusion.basis.value,
        "basisExplanation": wording.basis_explanation(facts, conclusion.basis),
    }
    if conclusion.qualification is not None:
        found["qualification"] = str(conclusion.qualification)
    return found


def _reasons(decision: Decision) -> Canonical:
    return [{"code": reason.code.value, "text": reason.text} for reason in decision.reasons]


def _artefact(item: AccountedArtefact) -> Canonical:
    artefact: dict[str, Canonical] = {
        "artefact": str(item.artefact),
        "kind": item.kind.value,
        "fate": item.fate.value,
        "status": item_status(item.fate, item.ground).value,
        "ground": item.ground,
    }
    if item.review is not None:
        artefact["review"] = item.review.isoformat()
    return artefact


def _finding(finding: Finding) -> Canonical:
    return {
        "rule": finding.rule_id,
        "citation": finding.citation,
        "title": finding.title,
        "status": finding.status.value,
        "leaves": list(finding.leaves),
        "explanation": finding.explanation,
    }


def _estimate(estimate: Estimate) -> Canonical:
    return {
        "lower": decimal_text(estimate.lower),
        "point": decimal_text(estimate.point),
        "upper": decimal_text(estimate.upper),
        "level": decimal_text(estimate.level, 2),
    }


def _decimals(values: Sequence[float]) -> Canonical:
    return [decimal_text(value) for value in values]


def _yes(value: bool) -> str:
    return "yes" if value else "no"
