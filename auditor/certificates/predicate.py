"""Facts to predicate: the form in which a document is signed (docs/predicate.md, field by field).

Decimals are fixed-point strings, ``yes``/``no`` stand for booleans, absent sections are left out;
the JSON Schema is templates/erasure-certificate-v1.schema.json.
"""

from __future__ import annotations

from base64 import b64encode

from auditor.certificates import wording
from auditor.certificates.catalogue import language_of
from auditor.certificates.facts import (
    AccountedArtefact,
    DocumentFacts,
    EarlierAudit,
    ModelVersion,
    PlanFacts,
    PolicyPack,
    ServedFacts,
    StartFacts,
)
from auditor.certificates.measured import estimate, measured, yes_or_no
from auditor.certificates.non_claims import non_claims
from auditor.certificates.reasons import reasons_in_words
from auditor.certificates.run_facts import Audit, Conclusion, Control, SkippedRung, TriedRung
from auditor.certificates.served import INSTANT
from auditor.domain.artefact import item_status
from auditor.domain.canonical import Canonical, decimal_text, power_text
from auditor.domain.request import Outcome
from auditor.domain.verdict import Decision, Finding

TEMPLATE_VERSION = "1"


def predicate_of(facts: DocumentFacts) -> dict[str, Canonical]:
    """The predicate of the in-toto statement."""
    certified = facts.outcome is Outcome.CERTIFIED
    foreign = frozenset[str]().union(*(pack.foreign for pack in facts.packs))
    predicate: dict[str, Canonical] = {
        "documentType": "certificate" if certified else "record",
        "templateVersion": TEMPLATE_VERSION,
        "locale": facts.locale,
        "outcome": facts.outcome.value,
        "issued": facts.issued.isoformat(),
        "syntheticData": yes_or_no(facts.synthetic),
        "notices": [{"about": about, "text": text} for about, text in wording.notices(facts)],
        "summary": list(wording.summary(facts)),
        "controller": {
            "name": facts.parties.controller,
            "dataProtectionOfficer": facts.parties.dpo,
        },
        "request": _request(facts),
        "model": _model(facts),
        "execution": _execution(facts),
        "policyPacks": [_pack(pack) for pack in facts.packs],
        "skippedRungs": [_skipped(rung) for rung in facts.skipped],
        "attempts": [_attempt(rung) for rung in facts.attempts],
        "controls": [_control(control) for control in facts.controls],
        "inventory": [_artefact(item) for item in facts.inventory],
        "findings": [_finding(finding, foreign) for finding in facts.findings],
        "nonClaims": list(non_claims(facts)),
        "approval": facts.approval.value,
        "seal": {"level": facts.seal.level, "trustedTime": facts.seal.trusted_time},
    }
    if facts.served is not None:
        predicate["served"] = _served(facts.served)
    if facts.plan is not None:
        predicate["plan"] = _plan(facts.plan)
    if facts.decisive is not None and facts.decisive.audit is not None:
        predicate["audit"] = measured(facts.decisive.audit)
    if facts.conclusion is not None:
        predicate["conclusion"] = _conclusion(facts, facts.conclusion)
    return predicate


def _served(served: ServedFacts) -> Canonical:
    return {
        "asked": served.asked.strftime(INSTANT),
        "weights": str(served.weights),
        "answer": b64encode(served.answer).decode("ascii"),
    }


def _request(facts: DocumentFacts) -> Canonical:
    request = facts.request
    images = request.training_images
    audited, planned = (
        [_earlier(item) for item in request.audited_before if item.audited is looked]
        for looked in (True, False)
    )
    return {
        "case": request.case,
        "regime": request.regime.value,
        "ground": request.ground.value,
        "received": request.received.isoformat(),
        "decided": request.decided.isoformat(),
        **({"timeZone": request.time_zone} if request.time_zone else {}),
        "decidedBy": request.decided_by.value,
        "subjects": request.subjects,
        **({} if images is None else {"trainingImages": images}),
        **({"auditedBefore": audited} if audited else {}),
        **({"plannedBefore": planned} if planned else {}),
    }


def _earlier(item: EarlierAudit) -> Canonical:
    return {"case": item.case, "plan": str(item.plan), "margin": decimal_text(item.margin)}


def _model(facts: DocumentFacts) -> Canonical:
    model: dict[str, Canonical] = {
        "name": facts.model.name,
        "architecture": facts.model.architecture,
        "recipe": str(facts.model.recipe),
        "before": _version(facts.model.before),
    }
    if facts.model.after is not None:
        model["after"] = _version(facts.model.after)
    if facts.model.start is not None:
        model["startsFrom"] = _start(facts.model.start)
    return model


def _start(start: StartFacts) -> Canonical:
    return {
        "weights": str(start.weights),
        "name": start.name,
        "madeOf": start.made_of.value,
        "declared": start.declared.isoformat(),
        "withdrawn": yes_or_no(start.withdrawn),
    }


def _version(version: ModelVersion) -> Canonical:
    return {
        "version": version.version,
        "trainingImages": version.training_images,
        "weights": str(version.weights),
    }


def _execution(facts: DocumentFacts) -> Canonical:
    ran = {} if facts.device is None else {"device": facts.device}
    return {"codeVersion": facts.code_version, **ran}


def _plan(plan: PlanFacts) -> Canonical:
    return {
        "plan": str(plan.plan),
        "bank": str(plan.bank),
        "margin": decimal_text(plan.margin),
        "alpha": decimal_text(plan.alpha),
        "detectUntouched": power_text(plan.power.detect_untouched),
        "passRetrain": power_text(plan.power.pass_retrain),
        **({} if plan.detect_one is None else {"detectOne": power_text(plan.detect_one)}),
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
        "exact": yes_or_no(rung.exact),
        "parameters": dict(rung.parameters),
        "seconds": decimal_text(rung.milliseconds / 1000, 1),
        "replayed": yes_or_no(rung.replayed),
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
        short["influence"] = estimate(audit.evidence.influence.equivalence)
    return short


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
        found["qualification"] = str(conclusion.qualification.report)
        found["qualificationNumber"] = conclusion.qualification.number
        found["qualificationsShort"] = conclusion.qualification.short
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


def _pack(pack: PolicyPack) -> Canonical:
    return {"name": pack.name, "digest": str(pack.digest), **_shipped(no=bool(pack.foreign))}


def _shipped(*, no: bool) -> dict[str, Canonical]:
    return {"shipped": "no"} if no else {}


def _finding(finding: Finding, foreign: frozenset[str]) -> Canonical:
    return {
        "rule": finding.rule_id,
        "citation": finding.citation,
        "title": finding.title,
        "status": finding.status.value,
        "leaves": list(finding.leaves),
        "explanation": finding.explanation,
        **_shipped(no=finding.rule_id in foreign),
    }
