"""The erasure case: a fold over its events, and the step that comes next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, Digest
from auditor.domain.evidence import CandidateRole
from auditor.domain.kind import Event
from auditor.domain.request import DecisionKind, IdentityResult
from auditor.domain.route import Obstacle


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One rung tried: what it produced and what the laboratory said."""

    started: ev.AttemptStarted
    completed: ev.UnlearningCompleted | None = None
    failed: bool = False
    replayed: bool = False
    cleared: ev.CohortCleared | None = None
    verified: ev.CandidateVerified | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureCase:
    """State of one request; every field is None or empty until its event has happened."""

    requested: ev.ErasureRequested | None = None
    decided: ev.RequestDecided | None = None
    proposed: ev.DecisionProposed | None = None
    extended: ev.RequestDecided | None = None
    identity: ev.IdentityChecked | None = None
    paused: ev.ClockStopped | None = None
    resumed: ev.ClockResumed | None = None
    restricted: ev.ProcessingRestricted | None = None
    recipients: tuple[str, ...] = ()
    informed: tuple[ev.RecipientInformed, ...] = ()
    grounds: ev.GroundsChecked | None = None
    scope: ev.ScopeEstablished | None = None
    bank: ev.BankTrained | None = None
    calibrated: tuple[ev.MethodCalibrated, ...] = ()
    routed: ev.CaseRouted | None = None
    plan: ev.PlanPinned | None = None
    skipped: tuple[ev.RungSkipped, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    audits: tuple[ev.AuditStarted, ...] = ()
    controls: tuple[ev.CandidateVerified, ...] = ()
    scores: tuple[ev.ScoresKept, ...] = ()
    handed_over: int = 0
    taken_back: int = 0
    ruled_out: ev.AuditRuledOut | None = None
    reached: ev.VerdictReached | None = None
    accounted: tuple[ev.ArtefactAccounted, ...] = ()
    drafts: int = 0
    drafted: ev.ApprovalRequested | None = None
    approved: ev.StatementApproved | None = None
    prepared: ev.CertificatePrepared | None = None
    statements: int = 0
    issued: ev.CertificateIssued | None = None
    withdrawn: ev.CertificateWithdrawn | None = None
    superseded: ev.CertificateSuperseded | None = None

    @property
    def granted(self) -> bool:
        """The desk said yes and nothing has stopped it since."""
        return self.decided is not None and self.decided.decision is DecisionKind.GRANTED

    @property
    def held(self) -> bool:
        """The desk has stopped it until something is resolved."""
        return self.decided is not None and self.decided.decision is DecisionKind.HELD

    @property
    def doubted(self) -> bool:
        """Nobody knows yet whether the person who asked is the person concerned."""
        return self.identity is not None and self.identity.result is IdentityResult.DOUBTED

    @property
    def stopped(self) -> bool:
        """No step may be taken for now: held, or granted and yet in doubt about who asked."""
        waits = self.held or (self.granted and self.doubted)
        return waits and self.prepared is None and self.drafted is None

    @property
    def uninformed(self) -> tuple[str, ...]:
        """Recipients of the subjects' data of whom it isn't on record what they were told."""
        told = {item.recipient for item in self.informed}
        return tuple(recipient for recipient in self.recipients if recipient not in told)

    @property
    def kept_scores(self) -> tuple[ev.ScoresKept, ...]:
        """Scores that weren't destroyed since."""
        gone = {a.artefact for a in self.accounted if a.fate is ArtefactFate.DESTROYED}
        return tuple(kept for kept in self.scores if kept.scores not in gone)

    @property
    def forgotten(self) -> bool:
        """Nobody knows any more whom it concerns (`auditor request forget`)."""
        return self.requested is not None and any(
            item.artefact == self.requested.payload and item.fate is ArtefactFate.DESTROYED
            for item in self.accounted
        )

    @property
    def all_accounted(self) -> bool:
        """The model before the case is accounted for last; once it is, everything is."""
        scope = self.scope
        return scope is not None and any(a.artefact == scope.weights for a in self.accounted)

    @property
    def copies_out(self) -> bool:
        """Whether copies of its models are with somebody who measures them again."""
        return self.handed_over > self.taken_back

    @property
    def obstacle(self) -> Obstacle:
        """What makes a model without the subjects impossible, as far as is known."""
        found = self.scope if self.ruled_out is None else self.ruled_out
        return Obstacle.NONE if found is None else found.obstacle

    @property
    def open_attempt(self) -> Attempt | None:
        """The attempt under way, if the last one is neither failed nor verified."""
        if not self.attempts:
            return None
        last = self.attempts[-1]
        return None if last.failed or last.verified is not None else last

    def audits_begun(self, attempt: int, role: CandidateRole) -> int:
        """How often the audit of this candidate was begun; more than once after a stop."""
        return sum((item.attempt, item.role) == (attempt, role) for item in self.audits)

    @property
    def ladder_left(self) -> tuple[str, ...]:
        """Methods of the pinned ladder not yet skipped or tried."""
        if self.plan is None:
            return ()
        gone = {skip.method for skip in self.skipped}
        gone |= {attempt.started.method for attempt in self.attempts}
        return tuple(method for method in self.plan.ladder if method not in gone)


def project(events: Iterable[Event]) -> ErasureCase:
    """Replay a case's stream."""
    case = ErasureCase()
    for event in events:
        case = evolve(case, event)
    return case


def evolve(case: ErasureCase, event: Event) -> ErasureCase:
    """The case after one more event; events of no concern leave it as it is."""
    match event:
        case ev.ErasureRequested():
            return replace(case, requested=event)
        case ev.GroundsChecked():
            return replace(case, grounds=event)
        case ev.ScopeEstablished():
            return replace(case, scope=event)
        case ev.BankTrained():
            return replace(case, bank=event)
        case ev.MethodCalibrated():
            return replace(case, calibrated=(*case.calibrated, event))
        case ev.CaseRouted():
            return replace(case, routed=event)
        case ev.PlanPinned():
            return replace(case, plan=event)
        case ev.RungSkipped():
            return replace(case, skipped=(*case.skipped, event))
        case ev.ScoresKept():
            return replace(case, scores=(*case.scores, event))
        case ev.WeightsHandedOver():
            return replace(case, handed_over=event.number)
        case ev.WeightsTakenBack():
            return replace(case, taken_back=event.number)
        case ev.AuditRuledOut():
            return replace(case, ruled_out=event)
        case ev.VerdictReached():
            return replace(case, reached=event)
        case ev.ArtefactAccounted():
            return replace(case, accounted=(*case.accounted, event))
        case _:
            return _evolve_attempt(_evolve_paper(_evolve_desk(case, event), event), event)


def _evolve_desk(case: ErasureCase, event: Event) -> ErasureCase:
    match event:
        case ev.RequestDecided(decision=DecisionKind.EXTENDED):
            return replace(case, extended=event)
        case ev.RequestDecided():
            return replace(case, decided=event, proposed=None)
        case ev.DecisionProposed():
            return replace(case, proposed=event)
        case ev.IdentityChecked():
            return replace(case, identity=event)
        case ev.ClockStopped():
            return replace(case, paused=event)
        case ev.ClockResumed():
            return replace(case, paused=None, resumed=event)
        case ev.ProcessingRestricted():
            return replace(case, restricted=event)
        case ev.RestrictionLifted():
            return replace(case, restricted=None)
        case ev.RecipientRecorded():
            return replace(case, recipients=(*case.recipients, event.recipient))
        case ev.RecipientInformed():
            return replace(case, informed=(*case.informed, event))
        case _:
            return case


def _evolve_paper(case: ErasureCase, event: Event) -> ErasureCase:
    match event:
        case ev.ApprovalRequested():
            return replace(case, drafted=event, drafts=case.drafts + 1)
        case ev.ApprovalDeclined() if _may_be_sent_back(case, event.envelope):
            return replace(case, drafted=None, approved=None, prepared=None)
        case ev.StatementApproved() if _is_drafted(case, event.envelope):
            return replace(case, approved=event)
        case ev.CertificatePrepared():
            return replace(case, prepared=event, statements=case.statements + 1)
        case ev.CertificateIssued():
            return replace(case, issued=event)
        case ev.CertificateWithdrawn():
            return replace(case, withdrawn=event)
        case ev.CertificateSuperseded():
            return replace(case, superseded=event)
        case _:
            return case


def _may_be_sent_back(case: ErasureCase, envelope: Digest) -> bool:
    """Whether it is the statement that the case stands on, and no document of it was issued."""
    prepared = case.prepared is not None and case.prepared.envelope == envelope
    return case.issued is None and (prepared or _is_drafted(case, envelope))


def _is_drafted(case: ErasureCase, envelope: Digest) -> bool:
    """Whether it is this statement that waits; an answer to an earlier one came too late."""
    return case.drafted is not None and case.drafted.envelope == envelope


def _evolve_attempt(case: ErasureCase, event: Event) -> ErasureCase:
    match event:
        case ev.AttemptStarted():
            return replace(case, attempts=(*case.attempts, Attempt(started=event)))
        case ev.AuditStarted():
            return replace(case, audits=(*case.audits, event))
        case ev.CandidateVerified() if event.attempt == 0:
            return replace(case, controls=(*case.controls, event))
        case ev.UnlearningCompleted():
            return _with_attempt(case, event.attempt, completed=event)
        case ev.AttemptFailed():
            return _with_attempt(case, event.attempt, failed=True)
        case ev.ReplayConfirmed():
            return _with_attempt(case, event.attempt, replayed=True)
        case ev.CohortCleared():
            return _with_attempt(case, event.attempt, cleared=event)
        case ev.CandidateVerified():
            return _with_attempt(case, event.attempt, verified=event)
        case _:
            return case


def _with_attempt(case: ErasureCase, number: int, **changes: Any) -> ErasureCase:
    """The case with its last attempt changed; an event of any other attempt is out of place."""
    if not case.attempts or case.attempts[-1].started.attempt != number:
        raise ValueError(f"attempt {number} isn't the one under way")
    last = replace(case.attempts[-1], **changes)
    return replace(case, attempts=(*case.attempts[:-1], last))
