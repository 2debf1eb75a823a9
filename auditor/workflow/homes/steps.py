"""What comes next for a case: a pure function of its events, so that any stop can be resumed."""

from __future__ import annotations

from enum import StrEnum

from auditor.domain.case import Attempt, ErasureCase
from auditor.domain.event import CandidateVerified
from auditor.domain.evidence import CandidateRole
from auditor.domain.request import DecisionKind, Outcome
from auditor.domain.route import Obstacle
from auditor.domain.verdict import Basis, Verdict
from auditor.errors import MisuseError


class Step(StrEnum):
    """The stations of the road."""

    GROUNDS = "check the grounds"
    SCOPE = "establish the scope"
    BANK = "train reference models"
    ROUTE = "choose the methods"
    PLAN = "pin the plan"
    CONTROLS = "audit the controls"
    CLIMB = "try the next rung"
    REACH = "reach the verdict"
    ACCOUNT = "account for every copy"
    PREPARE = "sign the statement"
    APPROVE = "wait for approval"
    ISSUE = "issue the document"


EXACT_METHODS = frozenset({"rewind", "retrain"})
_CLOSED_BY_DESK = {
    DecisionKind.REFUSED: Outcome.REFUSED,
    DecisionKind.WITHDRAWN: Outcome.WITHDRAWN,
}


def next_step(case: ErasureCase) -> Step | None:
    """The next station, or None when the case is closed.

    Raises:
        MisuseError: the desk has not granted, refused or withdrawn the request yet, or doubts
            who made it.
    """
    if case.issued is not None:
        return None
    if case.prepared is not None:
        return Step.ISSUE
    if case.drafted is not None:
        return Step.APPROVE if waits_for_approval(case) else Step.PREPARE
    if case.decided is None or case.held:
        raise MisuseError(
            "the desk hasn't granted this request; run `auditor request decide CASE --grant`"
        )
    if case.decided.decision in _CLOSED_BY_DESK:
        return Step.PREPARE
    if case.doubted:
        raise MisuseError(
            "it is doubted whether the person who asked is the person concerned; run `auditor "
            "request identity CASE --confirmed`"
        )
    if case.grounds is None:
        return Step.GROUNDS
    if case.scope is None:
        return Step.SCOPE
    if case.reached is not None:
        return Step.PREPARE if case.all_accounted else Step.ACCOUNT
    if case.obstacle is not Obstacle.NONE:
        return Step.REACH
    if case.scope.training_images == 0:
        return Step.PREPARE
    return _audit_step(case)


def waits_for_approval(case: ErasureCase) -> bool:
    """A statement is signed by whoever performed, and by nobody else yet."""
    return case.drafted is not None and case.approved is None


def _audit_step(case: ErasureCase) -> Step:
    if case.bank is None:
        return Step.BANK
    if case.plan is None:
        return Step.PLAN if case.routed is not None else Step.ROUTE
    if {item.role for item in case.controls} != {CandidateRole.UNTOUCHED, CandidateRole.RETRAIN}:
        return Step.CONTROLS
    if case.open_attempt is not None:
        return Step.CLIMB
    if earned_basis(case) is Basis.NONE and case.ladder_left:
        return Step.CLIMB
    return Step.REACH


def outcome_of(case: ErasureCase) -> Outcome:
    """How the case ends, once nothing but the paper is left to do."""
    if case.decided is not None and case.decided.decision in _CLOSED_BY_DESK:
        return _CLOSED_BY_DESK[case.decided.decision]
    if case.reached is None and case.scope is not None and case.scope.training_images == 0:
        return Outcome.NOTHING_TO_UNLEARN
    if case.reached is not None and case.reached.basis is not Basis.NONE:
        return Outcome.CERTIFIED
    return Outcome.NOT_ERASED


def earned_basis(case: ErasureCase) -> Basis:
    """The basis of assurance the last attempt earned (DESIGN section 4 point 10)."""
    return basis_of(case.attempts[-1], case) if case.attempts else Basis.NONE


def last_audit(case: ErasureCase) -> CandidateVerified | None:
    """The last audit of a model made for the request; later attempts may have made none."""
    audits = [item.verified for item in case.attempts if item.verified is not None]
    return audits[-1] if audits else None


def basis_of(attempt: Attempt, case: ErasureCase) -> Basis:
    """What one attempt earned: exact methods by replay, others only by PASSED.

    A cohort's PASSED earns nothing unless the method's qualification was current at the audit; no
    cohort passes of which a patient can be told apart alone (`auditor.verification.decide`).
    """
    if attempt.verified is None or case.requested is None:
        return Basis.NONE
    verdict = attempt.verified.verdict
    if attempt.started.method in EXACT_METHODS:
        return Basis.EXACT if attempt.replayed and verdict is not Verdict.FAILED else Basis.NONE
    if verdict is not Verdict.PASSED:
        return Basis.NONE
    if case.requested.subjects == 1:
        return Basis.STATISTICAL_INDIVIDUAL
    cleared = attempt.cleared is not None and attempt.cleared.weights == attempt.verified.weights
    return Basis.STATISTICAL_COHORT if cleared else Basis.NONE
