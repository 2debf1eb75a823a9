"""The road as a pure function of events: every prefix of a case's stream has one next step."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest
from auditor.domain.case import project
from auditor.domain.evidence import CandidateRole
from auditor.domain.kind import Event
from auditor.domain.request import DecisionKind, Ground, Outcome, Regime
from auditor.domain.route import Obstacle
from auditor.domain.verdict import Basis, Verdict
from auditor.errors import MisuseError
from auditor.workflow.homes.steps import Step, earned_basis, last_audit, next_step, outcome_of

M, NEWTON, RETRAINED, PLAN = (Digest.of(name.encode()) for name in ("m", "n", "r", "p"))


def requested(subjects: int = 1) -> Event:
    return ev.ErasureRequested(
        case="c1",
        regime=Regime.GDPR,
        ground=Ground.CONSENT_WITHDRAWN,
        received=date(2026, 11, 2),
        model="detector",
        subjects=subjects,
        payload=Digest.of(b"payload"),
        policies=Digest.of(b"policies"),
    )


def decided(kind: DecisionKind = DecisionKind.GRANTED) -> Event:
    return ev.RequestDecided(case="c1", decision=kind, actor="dpo")


GROUNDS = ev.GroundsChecked(
    case="c1", policies=Digest.of(b"policies"), findings=Digest.of(b"findings"), against=0
)


def scope(images: int = 3, obstacle: Obstacle = Obstacle.NONE) -> Event:
    return ev.ScopeEstablished(
        case="c1",
        weights=M,
        training_images=images,
        held_out_images=0,
        earlier=(),
        obstacle=obstacle,
        affected=(M,),
    )


BANK = ev.BankTrained(case="c1", bank=Digest.of(b"bank"), out_models=16, in_models=16)
ROUTED = ev.CaseRouted(
    case="c1", ladder=("newton", "retrain"), rungs=1, tail_patients=0, steps=0, due=()
)
PINNED = ev.PlanPinned(case="c1", plan=PLAN, bank=BANK.bank, ladder=("newton", "retrain"))


def verified(
    verdict: Verdict, *, attempt: int, role: CandidateRole = CandidateRole.REQUEST
) -> Event:
    return ev.CandidateVerified(
        case="c1",
        attempt=attempt,
        role=role,
        weights=RETRAINED if attempt == 2 else NEWTON,
        plan=PLAN,
        evidence=Digest.of(b"evidence"),
        verdict=verdict,
    )


CONTROLS = (
    verified(Verdict.FAILED, attempt=0, role=CandidateRole.UNTOUCHED),
    verified(Verdict.PASSED, attempt=0, role=CandidateRole.RETRAIN),
)


def attempt(number: int, method: str) -> tuple[Event, ...]:
    after = RETRAINED if number == 2 else NEWTON
    return (
        ev.AttemptStarted(case="c1", attempt=number, method=method, plan=PLAN),
        ev.UnlearningCompleted(
            case="c1",
            attempt=number,
            method=method,
            before=M,
            after=after,
            parameters=PLAN,
            device="cpu",
            milliseconds=12,
            record=PLAN,
        ),
    )


REPLAYED = ev.ReplayConfirmed(case="c1", attempt=2, weights=RETRAINED)
TO_PLAN = (requested(), decided(), GROUNDS, scope(), BANK, ROUTED, PINNED, *CONTROLS)
NEWTON_FAILED = (*attempt(1, "newton"), verified(Verdict.FAILED, attempt=1))
EXACT = (*attempt(2, "retrain"), REPLAYED, verified(Verdict.INDETERMINATE, attempt=2))
REACHED = ev.VerdictReached(
    case="c1", verdict=Verdict.INDETERMINATE, basis=Basis.EXACT, weights=RETRAINED
)
GONE = ev.ArtefactAccounted(
    case="c1",
    artefact=M,
    artefact_kind=ArtefactKind.MODEL,
    fate=ArtefactFate.DESTROYED,
    ground="replaced-in-service",
)
PREPARED = ev.CertificatePrepared(case="c1", outcome=Outcome.CERTIFIED, envelope=PLAN)
ISSUED = ev.CertificateIssued(case="c1", outcome=Outcome.CERTIFIED, pdf=PLAN)

ROAD = [
    *TO_PLAN,
    *NEWTON_FAILED,
    *EXACT,
    REACHED,
    GONE,
    PREPARED,
    ISSUED,
]
EXPECTED = {
    2: Step.GROUNDS,
    3: Step.SCOPE,
    4: Step.BANK,
    5: Step.ROUTE,
    6: Step.PLAN,
    7: Step.CONTROLS,
    8: Step.CONTROLS,
    9: Step.CLIMB,
    10: Step.CLIMB,
    11: Step.CLIMB,
    12: Step.CLIMB,
    13: Step.CLIMB,
    14: Step.CLIMB,
    15: Step.CLIMB,
    16: Step.REACH,
    17: Step.ACCOUNT,
    18: Step.PREPARE,
    19: Step.ISSUE,
    20: None,
}


@pytest.mark.parametrize("length", range(2, len(ROAD) + 1))
def test_a_case_stopped_anywhere_knows_its_next_step(length: int) -> None:
    assert next_step(project(ROAD[:length])) is EXPECTED[length]


def test_newton_passed_for_one_patient_ends_the_climb() -> None:
    case = project([*TO_PLAN, *attempt(1, "newton"), verified(Verdict.PASSED, attempt=1)])
    assert earned_basis(case) is Basis.STATISTICAL_INDIVIDUAL
    assert next_step(case) is Step.REACH


def cohort_stream(*cleared: Event, verdict: Verdict = Verdict.PASSED) -> list[Event]:
    stream = [requested(subjects=4), *TO_PLAN[1:], *attempt(1, "newton")]
    return [*stream, *cleared, verified(verdict, attempt=1)]


def test_a_cohort_needs_more_than_passed() -> None:
    case = project(cohort_stream())
    assert earned_basis(case) is Basis.NONE
    assert next_step(case) is Step.CLIMB


def test_a_cohort_passes_by_a_method_that_was_qualified_then() -> None:
    audited = cohort_stream()[-1]
    assert isinstance(audited, ev.CandidateVerified)
    cleared = ev.CohortCleared(
        case=audited.case,
        attempt=1,
        method="newton",
        weights=audited.weights,
        report=Digest.of(b"report"),
    )
    case = project(cohort_stream(cleared))
    assert earned_basis(case) is Basis.STATISTICAL_COHORT
    assert next_step(case) is Step.REACH
    for verdict in (Verdict.FAILED, Verdict.INDETERMINATE):
        assert earned_basis(project(cohort_stream(cleared, verdict=verdict))) is Basis.NONE
    other = replace(cleared, weights=Digest.of(b"another model"))
    assert earned_basis(project(cohort_stream(other))) is Basis.NONE


def test_an_exact_method_that_failed_its_audit_earns_nothing() -> None:
    failed = verified(Verdict.FAILED, attempt=2)
    case = project([*TO_PLAN, *NEWTON_FAILED, *attempt(2, "retrain"), REPLAYED, failed])
    assert earned_basis(case) is Basis.NONE
    assert next_step(case) is Step.REACH


def test_an_exact_method_that_was_not_replayed_earns_nothing() -> None:
    started = attempt(2, "retrain")
    verdict = verified(Verdict.PASSED, attempt=2)
    assert earned_basis(project([*TO_PLAN, *NEWTON_FAILED, *started, verdict])) is Basis.NONE


@pytest.mark.parametrize("kind", [DecisionKind.HELD, DecisionKind.EXTENDED])
def test_a_request_that_waits_cannot_run(kind: DecisionKind) -> None:
    with pytest.raises(MisuseError, match="hasn't granted"):
        next_step(project([requested(), decided(kind)]))


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [(DecisionKind.REFUSED, Outcome.REFUSED), (DecisionKind.WITHDRAWN, Outcome.WITHDRAWN)],
)
def test_refused_and_withdrawn_requests_go_straight_to_their_record(
    kind: DecisionKind, outcome: Outcome
) -> None:
    case = project([requested(), decided(kind)])
    assert next_step(case) is Step.PREPARE
    assert outcome_of(case) is outcome


def test_a_patient_who_never_trained_the_model_has_nothing_to_unlearn() -> None:
    case = project([requested(), decided(), GROUNDS, scope(images=0)])
    assert next_step(case) is Step.PREPARE
    assert outcome_of(case) is Outcome.NOTHING_TO_UNLEARN


@pytest.mark.parametrize("obstacle", [item for item in Obstacle if item is not Obstacle.NONE])
@pytest.mark.parametrize("images", [0, 3])
def test_where_no_model_is_possible_a_record_says_so_and_nothing_is_trained(
    obstacle: Obstacle, images: int
) -> None:
    stream = [requested(), decided(), GROUNDS, scope(images, obstacle)]
    assert next_step(project(stream)) is Step.REACH
    stream.append(
        ev.VerdictReached(case="c1", verdict=Verdict.INDETERMINATE, basis=Basis.NONE, weights=M)
    )
    assert next_step(project(stream)) is Step.ACCOUNT
    case = project([*stream, GONE])
    assert next_step(case) is Step.PREPARE
    assert outcome_of(case) is Outcome.NOT_ERASED


def test_an_attempt_that_made_no_model_leaves_the_last_audit_standing() -> None:
    failed = ev.AttemptFailed(case="c1", attempt=2, method="retrain")
    case = project([*TO_PLAN, *NEWTON_FAILED, attempt(2, "retrain")[0], failed])
    assert next_step(case) is Step.REACH
    assert earned_basis(case) is Basis.NONE
    audited = last_audit(case)
    assert audited is not None and audited.attempt == 1
