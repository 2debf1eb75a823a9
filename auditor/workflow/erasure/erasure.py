"""One erasure, from a granted request to the reached verdict; resumable after any event.

Each function below takes one `Step`: it does the work, then writes the event. Work that was done
but not yet written is done again and comes out the same, because every seed is derived: the bank's
from the model and the images asked about, all others from the bank the plan pins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from torch import nn

from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.case import Attempt
from auditor.domain.codec import plain
from auditor.domain.evidence import CandidateRole
from auditor.domain.route import Obstacle
from auditor.domain.verdict import Basis, FindingStatus, Verdict
from auditor.errors import MisuseError, UnauditableError, UnlearningError
from auditor.learning.training import train
from auditor.learning.weights import weights_bytes
from auditor.policies.evaluate import evaluate
from auditor.policies.pinning import packs_digest
from auditor.unlearning.method import METHODS
from auditor.unlearning.run import Run, run
from auditor.unlearning.task import Need
from auditor.verification.bundle import outcome_bytes, pack_scores
from auditor.verification.engine import audit, draw_up
from auditor.verification.plan import Origin
from auditor.workflow.audit.references import measure_all
from auditor.workflow.audit.scene import load_module
from auditor.workflow.audit.training_history import record_replay
from auditor.workflow.desk.library import case_facts, packs_of
from auditor.workflow.erasure.casework import CONTROL, Casework
from auditor.workflow.erasure.ladder import route_case
from auditor.workflow.erasure.scope import establish_scope
from auditor.workflow.homes.steps import EXACT_METHODS, Step, earned_basis, last_audit
from auditor.workflow.models.training_book import CheckpointShelf


def check_grounds(work: Casework) -> None:
    """Lay the request beside the rule packs and record what they said."""
    packs = packs_of(work.home, work.case)
    findings = evaluate(packs, case_facts(work.home, work.case))
    listing = work.home.store.put(canonical_bytes([plain(finding) for finding in findings]))
    event = ev.GroundsChecked(
        case=work.case,
        policies=packs_digest(packs),
        findings=listing,
        against=sum(finding.status is FindingStatus.NOT_MET for finding in findings),
    )
    work.write(event, "grounds")


def train_references(work: Casework) -> None:
    """Train the bank; its list of digests goes to the store, its digest to the ledger."""
    bank = work.bank
    work.home.store.put(bank.listing)
    event = ev.BankTrained(
        case=work.case,
        bank=bank.digest,
        out_models=len(bank.out.weights),
        in_models=len(bank.untouched.weights),
    )
    work.write(event, "bank")


def pin_plan(work: Casework) -> None:
    """Fix everything the verdict depends on before any method runs."""
    readiness, state = work.readiness, work.state
    if state.routed is None:
        raise MisuseError(f"case {work.case} has no ladder yet")
    tuned = {item.method: item.parameters for item in state.calibrated}
    none = work.home.store.put(canonical_bytes({}))
    ladder = tuple((method, tuned.get(method, none)) for method in state.routed.ladder)
    scene = work.scene
    plan = draw_up(
        readiness,
        case=work.case,
        origin=Origin(
            model=scene.version.weights,
            data=scene.commitment,
            recipe=scene.recipe.digest,
            bank=work.bank.digest,
        ),
        request=work.requested.payload,
        policies=case_facts(work.home, work.case).pinned,
        required_power=work.settings.required_power,
        seeds=[(name, work.seed(name)) for name in (*state.routed.ladder, CONTROL)],
        ladder=ladder,
    )
    event = ev.PlanPinned(
        case=work.case,
        plan=work.home.store.put(plan.canonical_bytes()),
        bank=work.bank.digest,
        ladder=state.routed.ladder,
    )
    work.write(event, "plan")


def audit_controls(work: Casework) -> None:
    """Audit the untouched model and a fresh retrain as if they were candidates."""
    done = {item.role for item in work.state.controls}
    if CandidateRole.UNTOUCHED not in done:
        _verify(work, CandidateRole.UNTOUCHED, work.scene.version.weights, attempt=0)
    if CandidateRole.RETRAIN not in done:
        retrained = train(
            work.scene.recipe,
            work.scene.images,
            work.scene.without(work.forgotten),
            work.seed(CONTROL),
        )
        weights = work.home.store.put(weights_bytes(retrained))
        _verify(work, CandidateRole.RETRAIN, weights, attempt=0)


def climb(work: Casework) -> None:
    """Take the open attempt one event further, or step on the next rung of the ladder."""
    state = work.state
    attempt = state.open_attempt
    if attempt is None:
        number, method = len(state.attempts) + 1, state.ladder_left[0]
        event = ev.AttemptStarted(
            case=work.case, attempt=number, method=method, plan=work.plan.digest
        )
        work.write(event, f"attempt-{number}-started")
    elif attempt.completed is None:
        _unlearn(work, attempt)
    elif attempt.started.method in EXACT_METHODS and not attempt.replayed:
        _replay(work, attempt, attempt.completed)
    else:
        _verify(
            work, CandidateRole.REQUEST, attempt.completed.after, attempt=attempt.started.attempt
        )


def take(work: Casework, step: Step) -> str:
    """Take a step. Where the models that everything is measured by can't be audited, record it.

    No method has run by then, and none would be of use: the case ends in a record of that.

    Returns:
        Why they can't; empty where nothing was in the way.
    """
    try:
        STEPS[step](work)
    except UnauditableError as error:
        if step not in _BEFORE_METHODS:
            raise
        event = ev.AuditRuledOut(case=work.case, obstacle=Obstacle.NOT_AUDITABLE)
        work.write(event, "ruled-out")
        return str(error)
    return ""


def reach_verdict(work: Casework) -> None:
    """Name the verdict and the basis of assurance, or that there is none."""
    state, service = work.state, work.scene.version.weights
    verified = last_audit(state)
    if verified is None:  # no model without the subjects is possible, or no method made one
        verdict, basis, weights = Verdict.INDETERMINATE, Basis.NONE, service
    else:
        verdict, basis = verified.verdict, earned_basis(state)
        weights = verified.weights if basis is not Basis.NONE else service
    event = ev.VerdictReached(case=work.case, verdict=verdict, basis=basis, weights=weights)
    work.write(event, "verdict")


def _run_method(work: Casework, method: str) -> Run:
    parameters = work.home.read_mapping(dict(work.plan.ladder)[method])
    task, shelf = work.task(method), CheckpointShelf(work.home)
    if task.history is not None:
        task = replace(task, history=replace(task.history, keeping=shelf.keeping))
    made = run(METHODS[method], task, parameters, digest=_digest)
    scope = work.state.scope
    if scope is not None and Need.HISTORY in METHODS[method].needs:
        model, after = work.requested.model, made.record.after
        record_replay(work.home, scope, model=model, weights=after, shelf=shelf)
    return made


def _digest(module: nn.Module) -> Digest:
    return Digest.of(weights_bytes(module))


def _unlearn(work: Casework, attempt: Attempt) -> None:
    number, method = attempt.started.attempt, attempt.started.method
    try:
        made = _run_method(work, method)
    except UnlearningError:
        _fail(work, attempt)
        return
    event = ev.UnlearningCompleted(
        case=work.case,
        attempt=number,
        method=method,
        before=made.record.before,
        after=work.home.store.put(weights_bytes(made.module)),
        parameters=dict(work.plan.ladder)[method],
        device=made.record.device,
        milliseconds=made.record.milliseconds,
        record=work.home.store.put(canonical_bytes(plain(made.record))),
    )
    work.write(event, f"attempt-{number}-completed")


def _replay(work: Casework, attempt: Attempt, completed: ev.UnlearningCompleted) -> None:
    number = attempt.started.attempt
    again = _run_method(work, attempt.started.method).record.after
    if again == completed.after:
        work.write(
            ev.ReplayConfirmed(case=work.case, attempt=number, weights=again),
            f"attempt-{number}-replayed",
        )
    else:
        _fail(work, attempt)


def _fail(work: Casework, attempt: Attempt) -> None:
    number, method = attempt.started.attempt, attempt.started.method
    event = ev.AttemptFailed(case=work.case, attempt=number, method=method)
    work.write(event, f"attempt-{number}-failed")


def _verify(work: Casework, role: CandidateRole, weights: Digest, *, attempt: int) -> None:
    """Audit a candidate; that it was begun is on the books before anything is measured.

    An attempt whose candidate can't be measured has failed; the next rung may do better.

    Raises:
        UnauditableError: a control can't be, so that nothing else would tell anything.
    """
    pinned, readiness = work.pinned, work.readiness
    number = work.state.audits_begun(attempt, role) + 1
    begun = ev.AuditStarted(
        case=work.case,
        attempt=attempt,
        number=number,
        role=role,
        weights=weights,
        plan=pinned.plan.digest,
    )
    work.write(begun, f"audit-{attempt}-{role.value}-{number}")
    module = load_module(work.home, work.scene, weights)
    try:
        measured = measure_all(work.scene, module, readiness.relearning.tolist())
        evidence, decision = audit(
            pinned,
            readiness,
            measured,
            role=role,
            by_recipe=_said_by_recipe(work, role),
            weights=weights,
        )
    except UnauditableError:
        if role is not CandidateRole.REQUEST:
            raise
        _fail(work, work.state.attempts[-1])
        return
    stored = work.home.store.put(outcome_bytes(evidence, decision))
    if work.settings.keep_scores:
        scores = work.home.store.put(pack_scores(readiness, measured))
        _write_kept(work, role, scores, attempt=attempt)
    if role is CandidateRole.REQUEST and work.requested.subjects > 1:
        _clear_cohort(work, weights, attempt=attempt)
    event = ev.CandidateVerified(
        case=work.case,
        attempt=attempt,
        role=role,
        weights=weights,
        plan=pinned.plan.digest,
        evidence=stored,
        verdict=decision.verdict,
    )
    work.write(event, f"verified-{attempt}-{role.value}")


def _said_by_recipe(work: Casework, role: CandidateRole) -> bool:
    """Whether the candidate is said to be a retrain by the recipe: exact methods' are."""
    if role is not CandidateRole.REQUEST:
        return role is CandidateRole.RETRAIN
    return METHODS[work.state.attempts[-1].started.method].exact


def _write_kept(work: Casework, role: CandidateRole, scores: Digest, *, attempt: int) -> None:
    """Enter kept scores with their last day; where an audit is resumed, the first entry stands."""
    last = datetime.now(UTC).date() + timedelta(days=work.settings.keep_scores)
    kept = ev.ScoresKept(case=work.case, attempt=attempt, role=role, scores=scores, destroy_by=last)
    work.write(kept, f"scores-{attempt}-{role.value}")


def _clear_cohort(work: Casework, weights: Digest, *, attempt: int) -> None:
    """Say that the method is qualified for cohorts now, where it is; a verdict may rest on it."""
    method = work.state.attempts[-1].started.method
    if current := work.qualification(method):
        event = ev.CohortCleared(
            case=work.case, attempt=attempt, method=method, weights=weights, report=current.report
        )
        work.write(event, f"cleared-{attempt}")


_BEFORE_METHODS = frozenset({Step.BANK, Step.ROUTE, Step.PLAN, Step.CONTROLS})

STEPS: dict[Step, Callable[[Casework], None]] = {
    Step.GROUNDS: check_grounds,
    Step.SCOPE: establish_scope,
    Step.BANK: train_references,
    Step.ROUTE: route_case,
    Step.PLAN: pin_plan,
    Step.CONTROLS: audit_controls,
    Step.CLIMB: climb,
    Step.REACH: reach_verdict,
}
