"""Gathering what a document states: from the ledger, the store and the configuration alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime

from auditor import __version__
from auditor.certificates.catalogue import language_of
from auditor.certificates.facts import (
    AccountedArtefact,
    Approval,
    DocumentFacts,
    EarlierAudit,
    ModelFacts,
    ModelVersion,
    Parties,
    PlanFacts,
    PolicyPack,
    RequestFacts,
    StartFacts,
)
from auditor.certificates.run_facts import (
    Audit,
    CitedQualification,
    Conclusion,
    Control,
    SkippedRung,
    TriedRung,
)
from auditor.domain.artefact import ArtefactFate, Digest
from auditor.domain.case import Attempt, ErasureCase
from auditor.domain.codec import typed
from auditor.domain.event import CandidateVerified, ModelRegistered, RequestDecided
from auditor.domain.evidence import Evidence, Power
from auditor.domain.request import DecisionKind
from auditor.domain.route import Obstacle
from auditor.domain.verdict import Basis, Decision, Reason, ReasonCode, Verdict
from auditor.errors import CertificateError
from auditor.policies.dates import keep_until
from auditor.policies.evaluate import evaluate
from auditor.policies.load import is_shipped
from auditor.policies.rule import RulePack
from auditor.policies.zone import local_day
from auditor.workflow.audit.qualification_book import cite
from auditor.workflow.desk.library import case_facts, packs_of
from auditor.workflow.desk.signing import decided_by
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream
from auditor.workflow.homes.registry import data_record, require_model
from auditor.workflow.homes.starts import start_of
from auditor.workflow.homes.steps import EXACT_METHODS, last_audit, outcome_of
from auditor.workflow.log.seals import seal_facts
from auditor.workflow.models.earlier_audits import audited_before, was_audited
from auditor.workflow.models.shared_bank_book import kept_until

_REVIEW_YEARS = 3


def document_facts(home: Home, case: str, state: ErasureCase) -> DocumentFacts:
    """Everything the case's certificate or record will state.

    Raises:
        CertificateError: the case isn't ready for a document.
    """
    if state.requested is None or state.decided is None:
        raise CertificateError(f"case {case} isn't decided yet")
    packs = packs_of(home, case)
    issued = datetime.now(UTC).date()
    versions = require_model(home, state.requested.model).versions
    registered, _ = data_record(home, versions[0].data_set)
    return DocumentFacts(
        outcome=outcome_of(state),
        parties=Parties(controller=home.config.controller, dpo=home.config.dpo),
        request=_request(home, case, state),
        issued=issued,
        synthetic=registered.synthetic == "yes",
        model=_model(home, state, versions),
        code_version=__version__,
        device=_device(state),
        packs=tuple(map(_pack, packs)),
        findings=evaluate(packs, case_facts(home, case), language_of(home.config.locale)),
        locale=home.config.locale,
        seal=seal_facts(home),
        plan=_plan(home, state),
        skipped=tuple(SkippedRung(method=s.method, reason=s.reason) for s in state.skipped),
        attempts=tuple(_attempt(home, attempt) for attempt in state.attempts),
        controls=tuple(
            Control(role=item.role, audit=_audit(home, item)) for item in state.controls
        ),
        conclusion=_conclusion(home, state),
        approval=Approval.FOUR_EYES if home.config.four_eyes else Approval.NONE,
        inventory=_inventory(state, issued, _last_days(home, state, state.requested.model)),
    )


def _request(home: Home, case: str, state: ErasureCase) -> RequestFacts:
    requested = state.requested
    if requested is None:
        raise CertificateError(f"case {case} has no request")
    decisions = [
        item
        for item in home.ledger.replay(case_stream(case))
        if isinstance(item.event, RequestDecided)
        and item.event.decision is not DecisionKind.EXTENDED
    ]
    return RequestFacts(
        case=case,
        regime=requested.regime,
        ground=requested.ground,
        received=requested.received,
        decided=local_day(datetime.fromisoformat(decisions[-1].recorded_at), requested.time_zone),
        time_zone=requested.time_zone,
        subjects=requested.subjects,
        training_images=None if state.scope is None else state.scope.training_images,
        held_out_images=0 if state.scope is None else state.scope.held_out_images,
        earlier=() if state.scope is None else state.scope.earlier,
        audited_before=_audited_before(home, case, state),
        obstacle=state.obstacle,
        decided_by=decided_by(home, case),
    )


def _audited_before(home: Home, case: str, state: ErasureCase) -> tuple[EarlierAudit, ...]:
    found = []
    for other, past in audited_before(home, case, state):
        if past.plan is not None:
            plan = home.read_mapping(past.plan.plan)
            margin = float(str(plan["margin"]))
            found.append(
                EarlierAudit(
                    case=other, plan=past.plan.plan, margin=margin, audited=was_audited(past)
                )
            )
    return tuple(found)


def _model(home: Home, state: ErasureCase, versions: tuple[ModelRegistered, ...]) -> ModelFacts:
    by_weights = {version.weights: version for version in versions}
    before = versions[-1] if state.scope is None else by_weights[state.scope.weights]
    reached = state.reached
    after = None
    if reached is not None and reached.basis is not Basis.NONE:
        after = _version(by_weights[reached.weights])
    return ModelFacts(
        name=before.model,
        architecture=before.architecture,
        recipe=before.recipe,
        before=_version(before),
        after=after,
        start=_start(home, before),
    )


def _start(home: Home, version: ModelRegistered) -> StartFacts | None:
    start = start_of(home, version)
    if start is None:
        return None
    return StartFacts(
        weights=start.weights,
        name=start.name,
        made_of=start.made_of,
        declared=date.fromisoformat(start.declared[:10]),
        withdrawn=start.withdrawn,
    )


def _version(registered: ModelRegistered) -> ModelVersion:
    return ModelVersion(
        version=registered.version,
        training_images=registered.training_images,
        weights=registered.weights,
    )


def _plan(home: Home, state: ErasureCase) -> PlanFacts | None:
    if state.plan is None or state.bank is None:
        return None
    plan = json.loads(home.store.get(state.plan.plan))
    several = state.requested is not None and state.requested.subjects > 1
    return PlanFacts(
        plan=state.plan.plan,
        bank=state.plan.bank,
        margin=float(plan["margin"]),
        alpha=float(plan["alpha"]),
        power=typed(Power, plan["power"]),
        detect_one=float(plan["detect_one"]) if several and "detect_one" in plan else None,
        out_models=state.bank.out_models,
        in_models=state.bank.in_models,
        ladder=state.plan.ladder,
    )


def _attempt(home: Home, attempt: Attempt) -> TriedRung:
    completed, verified = attempt.completed, attempt.verified
    return TriedRung(
        attempt=attempt.started.attempt,
        method=attempt.started.method,
        exact=attempt.started.method in EXACT_METHODS,
        parameters={} if completed is None else home.read_mapping(completed.parameters),
        milliseconds=0 if completed is None else completed.milliseconds,
        replayed=attempt.replayed,
        weights=None if completed is None else completed.after,
        record=None if completed is None else completed.record,
        audit=None if verified is None else _audit(home, verified),
    )


def _audit(home: Home, verified: CandidateVerified) -> Audit:
    stored = json.loads(home.store.get(verified.evidence))
    return Audit(
        evidence=typed(Evidence, stored["evidence"]),
        decision=typed(Decision, stored["decision"]),
    )


def _conclusion(home: Home, state: ErasureCase) -> Conclusion | None:
    if state.reached is None:
        return None
    audited = last_audit(state)
    decision = _impossible(state) if audited is None else _audit(home, audited).decision
    return Conclusion(
        decision=decision, basis=state.reached.basis, qualification=_qualification(home, state)
    )


def _qualification(home: Home, state: ErasureCase) -> CitedQualification | None:
    """What a cohort's basis rests on."""
    requested, reached = state.requested, state.reached
    if requested is None or reached is None or reached.basis is not Basis.STATISTICAL_COHORT:
        return None
    cleared = state.attempts[-1].cleared
    return None if cleared is None else cite(home, requested.model, cleared.report)


def _impossible(state: ErasureCase) -> Decision:
    """Nothing was tried, or nothing came of it: there was nothing to audit."""
    obstacle = state.obstacle.value.replace("-", " ")
    text = "no method made a usable model" if state.obstacle is Obstacle.NONE else obstacle
    reason = Reason(code=ReasonCode.NO_MODEL_POSSIBLE, text=text)
    return Decision(verdict=Verdict.INDETERMINATE, reasons=(reason,))


def _device(state: ErasureCase) -> str | None:
    devices = [item.completed.device for item in state.attempts if item.completed is not None]
    return devices[-1] if devices else None


def _last_days(home: Home, state: ErasureCase, model: str) -> Mapping[Digest, date]:
    """Of whatever is retained until a day that the ledger names."""
    scores = {kept.scores: kept.destroy_by for kept in state.scores}
    return {**kept_until(home, model), **scores}


def _inventory(
    state: ErasureCase, issued: date, days: Mapping[Digest, date]
) -> tuple[AccountedArtefact, ...]:
    review = keep_until(issued, issued, years=_REVIEW_YEARS)
    return tuple(
        AccountedArtefact(
            artefact=Digest.parse(str(item.artefact)),
            kind=item.artefact_kind,
            fate=item.fate,
            ground=item.ground,
            review=(
                days.get(Digest.parse(str(item.artefact)), review)
                if item.fate is ArtefactFate.RETAINED
                else None
            ),
        )
        for item in state.accounted
    )


def _pack(pack: RulePack) -> PolicyPack:
    foreign = frozenset() if is_shipped(pack) else frozenset(rule.id for rule in pack.rules)
    return PolicyPack(name=pack.name, digest=pack.digest, foreign=foreign)
