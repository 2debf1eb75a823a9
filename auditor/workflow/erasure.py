"""One erasure, from a granted request to the reached verdict; resumable after any event.

Each function below takes one `Step`: it does the work, then writes the event. Work that was done
but not yet written is done again and comes out the same, because every seed is derived: the bank's
from the model and the images asked about, all others from the bank the plan pins.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from auditor import __version__
from auditor.domain import event as ev
from auditor.domain.artefact import Digest, digest_of
from auditor.domain.canonical import canonical_bytes
from auditor.domain.case import Attempt
from auditor.domain.codec import plain
from auditor.domain.evidence import CandidateRole
from auditor.domain.verdict import Basis, FindingStatus
from auditor.errors import UnlearningError
from auditor.learning.training import train
from auditor.learning.weights import weights_bytes
from auditor.policies.evaluate import evaluate
from auditor.policies.load import load_packs, packs_digest
from auditor.unlearning.method import METHODS
from auditor.unlearning.run import Run, run
from auditor.unlearning.task import Task
from auditor.verification import secondary
from auditor.verification.engine import audit
from auditor.verification.plan import Plan
from auditor.workflow.calibration_book import enter_calibration
from auditor.workflow.casework import Casework
from auditor.workflow.desk import case_facts
from auditor.workflow.references import (
    measure_all,
)
from auditor.workflow.scene import derive_seed, load_module
from auditor.workflow.steps import EXACT_METHODS, Step, earned_basis


def check_grounds(work: Casework) -> None:
    """Lay the request beside the rule packs and record what they said."""
    packs = load_packs()
    findings = evaluate(packs, case_facts(work.home, work.case))
    listing = work.home.store.put(canonical_bytes([plain(finding) for finding in findings]))
    event = ev.GroundsChecked(
        case=work.case,
        policies=packs_digest(packs),
        findings=listing,
        against=sum(finding.status is FindingStatus.NOT_MET for finding in findings),
    )
    work.write(event, "grounds")


def establish_scope(work: Casework) -> None:
    """Find the subject's images among those the model in service was trained on."""
    event = ev.ScopeEstablished(
        case=work.case,
        weights=work.scene.version.weights,
        training_images=len(work.forgotten),
        affected=(work.scene.version.weights, work.scene.commitment, work.requested.payload),
    )
    work.write(event, "scope")


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
    readiness = work.readiness
    calibrated = work.calibrated
    ladder: list[tuple[str, Digest]] = []
    entered = enter_calibration(work.home, work.case, work.scene.version.weights, calibrated)
    if calibrated.parameters is not None:
        ladder.append((calibrated.method, entered.parameters))
    ladder.append(("retrain", work.home.store.put(canonical_bytes({}))))
    plan = Plan(
        margin=readiness.margin,
        alpha=readiness.alpha,
        rungs=readiness.rungs,
        auc_margin=readiness.auc.margin,
        auc_margin_refused=readiness.auc.refused,
        power=readiness.power,
        tests=secondary.NAMES,
        case=work.case,
        model=work.scene.version.weights,
        data=work.requested.payload,
        recipe=work.scene.recipe.digest,
        bank=work.bank.digest,
        policies=work.requested.policies,
        code=digest_of({"auditor": __version__}),
        ladder=tuple(ladder),
        required_power=work.settings.required_power,
    )
    event = ev.PlanPinned(
        case=work.case,
        plan=work.home.store.put(plan.canonical_bytes()),
        bank=work.bank.digest,
        ladder=tuple(method for method, _ in ladder),
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
            derive_seed("control", work.plan.bank),
        )
        weights = work.home.store.put(weights_bytes(retrained))
        _verify(work, CandidateRole.RETRAIN, weights, attempt=0)


def climb(work: Casework) -> None:
    """Take the open attempt one event further, or step on the next rung of the ladder."""
    state = work.state
    attempt = state.open_attempt
    if attempt is None:
        _step_on(work, state.ladder_left[0], len(state.attempts) + 1)
    elif attempt.completed is None:
        _unlearn(work, attempt)
    elif attempt.started.method in EXACT_METHODS and not attempt.replayed:
        _replay(work, attempt, attempt.completed)
    else:
        _verify(
            work, CandidateRole.REQUEST, attempt.completed.after, attempt=attempt.started.attempt
        )


def reach_verdict(work: Casework) -> None:
    """Name the verdict and the basis of assurance, or that there is none."""
    state = work.state
    basis = earned_basis(state)
    verified = state.attempts[-1].verified
    if verified is None:
        raise UnlearningError(f"case {work.case}: no method produced a model that could be audited")
    event = ev.VerdictReached(
        case=work.case,
        verdict=verified.verdict,
        basis=basis,
        weights=verified.weights if basis is not Basis.NONE else work.scene.version.weights,
    )
    work.write(event, "verdict")


def _step_on(work: Casework, method: str, attempt: int) -> None:
    plan = work.plan
    if (
        method not in EXACT_METHODS
        and not plan.within_reach
        and not work.settings.attempt_out_of_reach
    ):
        work.write(
            ev.RungSkipped(case=work.case, method=method, reason="declared-power-too-low"),
            f"skipped-{method}",
        )
        return
    event = ev.AttemptStarted(case=work.case, attempt=attempt, method=method, plan=plan.digest)
    work.write(event, f"attempt-{attempt}-started")


def _run_method(work: Casework, method: str) -> Run:
    plan = work.plan
    task = Task(
        recipe=work.scene.recipe,
        module=work.original,
        images=work.scene.images,
        forget=work.forgotten,
        retain=work.scene.without(work.forgotten),
        seed=derive_seed(method, plan.bank),
        unseen=work.scene.split.validation,
        progress=work.progress,
    )
    parameters = work.home.read_mapping(dict(plan.ladder)[method])
    return run(METHODS[method], task, parameters, digest=_digest)


def _digest(module: nn.Module) -> Digest:
    return Digest.of(weights_bytes(module))


def _unlearn(work: Casework, attempt: Attempt) -> None:
    number, method = attempt.started.attempt, attempt.started.method
    try:
        made = _run_method(work, method)
    except UnlearningError:
        work.write(
            ev.AttemptFailed(case=work.case, attempt=number, method=method),
            f"attempt-{number}-failed",
        )
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
    number, method = attempt.started.attempt, attempt.started.method
    again = _run_method(work, method).record.after
    if again == completed.after:
        work.write(
            ev.ReplayConfirmed(case=work.case, attempt=number, weights=again),
            f"attempt-{number}-replayed",
        )
    else:
        work.write(
            ev.AttemptFailed(case=work.case, attempt=number, method=method),
            f"attempt-{number}-failed",
        )


def _verify(work: Casework, role: CandidateRole, weights: Digest, *, attempt: int) -> None:
    plan = work.plan
    measured = measure_all(work.scene, load_module(work.home, work.scene, weights))
    evidence, decision = audit(plan, work.readiness, measured, role=role, weights=weights)
    stored = work.home.store.put(
        canonical_bytes({"evidence": plain(evidence), "decision": plain(decision)})
    )
    event = ev.CandidateVerified(
        case=work.case,
        attempt=attempt,
        role=role,
        weights=weights,
        plan=plan.digest,
        evidence=stored,
        verdict=decision.verdict,
    )
    work.write(event, f"verified-{attempt}-{role.value}")


STEPS: dict[Step, Callable[[Casework], None]] = {
    Step.GROUNDS: check_grounds,
    Step.SCOPE: establish_scope,
    Step.BANK: train_references,
    Step.PLAN: pin_plan,
    Step.CONTROLS: audit_controls,
    Step.CLIMB: climb,
    Step.REACH: reach_verdict,
}
