"""One erasure, from a granted request to the reached verdict; resumable after any event.

Each function below takes one `Step`: it does the work, then writes the event. Work that was done
but not yet written is done again and comes out the same, because every seed is derived.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from torch import nn

from auditor import __version__
from auditor.domain import event as ev
from auditor.domain.artefact import Digest, digest_of
from auditor.domain.canonical import canonical_bytes
from auditor.domain.case import Attempt, ErasureCase
from auditor.domain.codec import plain
from auditor.domain.evidence import CandidateRole
from auditor.domain.verdict import Basis, FindingStatus
from auditor.errors import MisuseError, TamperedError, UnlearningError
from auditor.learning.training import train
from auditor.learning.weights import weights_bytes
from auditor.policies.evaluate import evaluate
from auditor.policies.load import load_packs, packs_digest
from auditor.unlearning.method import METHODS
from auditor.unlearning.task import Task
from auditor.verification import secondary
from auditor.verification.engine import Readiness, audit, prepare
from auditor.verification.plan import Plan
from auditor.workflow.calibration import Calibrated, calibrate_newton
from auditor.workflow.desk import case_facts, subjects_of
from auditor.workflow.home import Home
from auditor.workflow.record import case_stream, load_case, record
from auditor.workflow.references import (
    Bank,
    Block,
    Progress,
    layout_for,
    measure_all,
    scout_memorisation,
    train_bank,
)
from auditor.workflow.scene import Scene, derive_seed, load_module, load_scene
from auditor.workflow.steps import EXACT_METHODS, Step, earned_basis
from auditor.workflow.surrogates import match_surrogates


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How much work a run may do.

    Attributes:
        attempt_out_of_reach: run approximate rungs even where the declared power says they can't
            earn a certificate; their result is then a measurement, nothing more.
    """

    out_models: int = 16
    in_models: int = 16
    scouts: int = 8
    workers: int = 1
    required_power: float = 0.8
    attempt_out_of_reach: bool = False


class Casework:
    """The papers of one case while it is being worked on. Loads lazily, keeps what it loaded."""

    def __init__(self, home: Home, case: str, settings: RunSettings, progress: Progress) -> None:
        """Open the case; nothing is loaded yet."""
        self.home = home
        self.case = case
        self.settings = settings
        self.progress = progress

    @property
    def state(self) -> ErasureCase:
        """The case as the ledger tells it now."""
        return load_case(self.home, self.case)

    @cached_property
    def requested(self) -> ev.ErasureRequested:
        """The request."""
        requested = self.state.requested
        if requested is None:
            raise MisuseError(f"no case {self.case}; see `auditor request list`")
        return requested

    @cached_property
    def scene(self) -> Scene:
        """Model, data and recipe."""
        return load_scene(self.home, self.requested.model)

    @cached_property
    def forgotten(self) -> tuple[int, ...]:
        """Training images of the request's subjects."""
        return self.scene.of_subjects(subjects_of(self.home, self.requested))

    @cached_property
    def scouts(self) -> tuple[Block, dict[str, float]]:
        """Scout models and the memorisation they measured."""
        block, memorised = scout_memorisation(
            self.scene,
            self.settings.scouts,
            workers=self.settings.workers,
            progress=self.progress,
        )
        return block, dict(memorised)

    @cached_property
    def bank(self) -> Bank:
        """Reference models, trained now or found where an earlier run left them.

        Raises:
            TamperedError: what was found isn't what the ledger says was trained.
        """
        scene = self.scene
        scouts, memorised = self.scouts
        counts: dict[str, int] = {}
        for index in scene.training:
            subject = scene.images.subjects[index]
            counts[subject] = counts.get(subject, 0) + 1
        asked = sorted({scene.images.subjects[i] for i in self.forgotten})
        groups = match_surrogates(asked, counts, memorised)
        bank = train_bank(
            scene,
            self.forgotten,
            [scene.of_subjects(group) for group in groups],
            scouts=scouts,
            seed=f"bank/{self.requested.payload}",
            out_models=self.settings.out_models,
            in_models=self.settings.in_models,
            workers=self.settings.workers,
            progress=self.progress,
        )
        known = self.state.bank
        if known is not None and known.bank != bank.digest:
            raise TamperedError(f"reference models of case {self.case} aren't those on the books")
        return bank

    @cached_property
    def readiness(self) -> Readiness:
        """What the bank alone says: power, AUC margin, recipe fit."""
        bank = self.bank
        apart = tuple(index for group in bank.surrogates for index in group)
        layout = layout_for(self.scene, self.forgotten, apart=apart, unseen=self.scene.split.test)
        return prepare(
            out=bank.out.measured,
            untouched=bank.untouched.measured,
            original=measure_all(self.scene, self.original),
            layout=layout,
            margin=self.home.config.margin,
        )

    @cached_property
    def calibrated(self) -> Calibrated | None:
        """The Newton step tuned on surrogates."""
        return calibrate_newton(self.scene, self.bank, self.original)

    @cached_property
    def original(self) -> nn.Module:
        """The model in service."""
        return load_module(self.home, self.scene, self.scene.version.weights)

    @property
    def plan(self) -> Plan:
        """The pinned plan, from the store."""
        pinned = self.state.plan
        if pinned is None:
            raise MisuseError(f"case {self.case} has no pinned plan yet")
        return Plan.from_bytes(self.home.store.get(pinned.plan))

    def write(self, event: ev.Event, step: str) -> None:
        """Dictate one event of this case."""
        record(self.home, case_stream(self.case), event, step)


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
    if calibrated is not None:
        parameters = work.home.store.put(canonical_bytes(plain(calibrated.parameters)))
        work.write(
            ev.MethodCalibrated(case=work.case, method="newton", parameters=parameters),
            "calibrated",
        )
        ladder.append(("newton", parameters))
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
            derive_seed("control", work.plan.digest),
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


def _run_method(work: Casework, method: str) -> tuple[Digest, Digest, int]:
    plan = work.plan
    parameters = dict(plan.ladder)[method]
    task = Task(
        recipe=work.scene.recipe,
        module=work.original,
        images=work.scene.images,
        forget=work.forgotten,
        retain=work.scene.without(work.forgotten),
        seed=derive_seed(method, plan.digest),
    )
    started = time.monotonic()
    module = METHODS[method].run(task, work.home.read_mapping(parameters))
    milliseconds = round(1000 * (time.monotonic() - started))
    return work.home.store.put(weights_bytes(module)), parameters, milliseconds


def _unlearn(work: Casework, attempt: Attempt) -> None:
    number, method = attempt.started.attempt, attempt.started.method
    try:
        after, parameters, milliseconds = _run_method(work, method)
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
        before=work.scene.version.weights,
        after=after,
        parameters=parameters,
        device=str(next(work.original.parameters()).device),
        milliseconds=milliseconds,
    )
    work.write(event, f"attempt-{number}-completed")


def _replay(work: Casework, attempt: Attempt, completed: ev.UnlearningCompleted) -> None:
    number, method = attempt.started.attempt, attempt.started.method
    again, _, _ = _run_method(work, method)
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
