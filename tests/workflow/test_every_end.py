"""However a case ends, a signed document says so, and it verifies offline."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from auditor.certificates.facts import (
    DocumentFacts,
    PlanFacts,
)
from auditor.certificates.run_facts import Audit
from auditor.certificates.verify import Status, verify_certificate
from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.codec import plain
from auditor.domain.evidence import CandidateRole
from auditor.domain.request import (
    DecisionKind,
    DecisionReason,
    Ground,
    IdentityResult,
    Outcome,
    Regime,
)
from auditor.domain.route import Obstacle
from auditor.domain.verdict import Verdict
from auditor.verification.bundle import outcome_bytes
from auditor.workflow.audit.scene import Scene, load_scene
from auditor.workflow.desk.acts import check_identity
from auditor.workflow.desk.desk import decide, file_request
from auditor.workflow.desk.signing import Hand
from auditor.workflow.documents.document import document_facts
from auditor.workflow.documents.notary import certificate_path, sidecar_path
from auditor.workflow.erasure.casework import RunSettings
from auditor.workflow.erasure.erasure import check_grounds
from auditor.workflow.erasure.running import run_case
from auditor.workflow.homes.home import Home, open_home
from tests.certificates import examples
from tests.workflow.desks import RECEIVED
from tests.workflow.trained import MODEL, Work, begun

End = Callable[[Home], str]

SOON = datetime.now(UTC).date() + timedelta(days=90)


@pytest.fixture
def home(trained_template: Path, tmp_path: Path) -> Iterator[Home]:
    with closing(open_home(Path(shutil.copytree(trained_template, tmp_path / "home")))) as opened:
        yield opened


def filed(home: Home, *subjects: str, regime: Regime = Regime.GDPR) -> str:
    grounds = {
        Regime.GDPR: Ground.CONSENT_WITHDRAWN,
        Regime.UK_GDPR: Ground.UK_CONSENT_WITHDRAWN,
        Regime.HIPAA: Ground.AUTHORISATION_REVOKED,
        Regime.CCPA: Ground.DELETION_REQUESTED,
    }
    return file_request(
        home,
        model=MODEL,
        subjects=subjects,
        regime=regime,
        ground=grounds[regime],
        received=RECEIVED,
    )


def someone(home: Home, *, trained_on: bool = True) -> str:
    scene = load_scene(home, MODEL)
    return scene.images.subjects[(scene.training if trained_on else scene.split.test)[0]]


def refused(reason: DecisionReason, regime: Regime, review: date = date.max) -> End:
    def end(home: Home) -> str:
        case = filed(home, someone(home), regime=regime)
        decide(home, case, DecisionKind.REFUSED, reason=reason, review=review)
        return case

    return end


def refused_in_doubt(home: Home) -> str:
    case = filed(home, someone(home))
    check_identity(home, case, IdentityResult.DOUBTED, Hand())
    decide(home, case, DecisionKind.REFUSED, reason=DecisionReason.IDENTITY_UNRESOLVED)
    return case


def withdrawn(home: Home) -> str:
    case = filed(home, someone(home))
    decide(home, case, DecisionKind.WITHDRAWN)
    return case


def withdrawn_in_the_middle(home: Home) -> str:
    work = begun(home, someone(home))
    decide(home, work.case, DecisionKind.WITHDRAWN)
    return work.case


def refused_in_the_middle(home: Home) -> str:
    """A legal claim that comes up when the case is under way."""
    work = begun(home, someone(home))
    decide(home, work.case, DecisionKind.HELD, reason=DecisionReason.LEGAL_HOLD)
    claims = DecisionReason.LEGAL_CLAIMS
    decide(home, work.case, DecisionKind.REFUSED, reason=claims, review=SOON)
    return work.case


def nothing_to_unlearn(home: Home) -> str:
    case = filed(home, someone(home, trained_on=False))
    decide(home, case, DecisionKind.GRANTED)
    return case


def impossible(home: Home) -> str:
    scene = load_scene(home, MODEL)
    everybody = sorted({scene.images.subjects[index] for index in scene.training})
    case = filed(home, *everybody)
    decide(home, case, DecisionKind.GRANTED)
    return case


def measured(verdict: Verdict) -> End:
    """All that an audit leaves behind, with what it measured taken from an example."""
    example = {Verdict.FAILED: examples.failed, Verdict.INDETERMINATE: examples.unknowable}

    return lambda home: audited(begun(home, someone(home)), example[verdict]())


def audited(work: Work, facts: DocumentFacts) -> str:
    """What an audit leaves behind of the one attempt of ``facts``, under their plan."""
    check_grounds(work)
    pin(work, facts.plan)
    found = facts.attempts[0].audit
    assert found is not None
    for role in (CandidateRole.UNTOUCHED, CandidateRole.RETRAIN):
        service = work.scene.version.weights
        enter(work, role, examples.CONTROLS[0].audit, service, number=0)
    enter(work, CandidateRole.REQUEST, found, unlearnt(work), number=1)
    return work.case


def without_a_model(home: Home) -> str:
    """The one method of the ladder breaks off."""
    work = begun(home, someone(home))
    check_grounds(work)
    pin(work, examples.failed().plan)
    service = work.scene.version.weights
    for role in (CandidateRole.UNTOUCHED, CandidateRole.RETRAIN):
        enter(work, role, examples.CONTROLS[0].audit, service, number=0)
    started = ev.AttemptStarted(case=work.case, attempt=1, method="newton", plan=service)
    work.write(started, "attempt-1-started")
    work.write(ev.AttemptFailed(case=work.case, attempt=1, method="newton"), "attempt-1-failed")
    return work.case


def not_auditable(home: Home) -> str:
    """A control can't be measured."""
    work = begun(home, someone(home))
    check_grounds(work)
    pin(work, examples.failed().plan)
    service = work.scene.version.weights
    enter(work, CandidateRole.UNTOUCHED, examples.CONTROLS[0].audit, service, number=0)
    ruled_out = ev.AuditRuledOut(case=work.case, obstacle=Obstacle.NOT_AUDITABLE)
    work.write(ruled_out, "ruled-out")
    return work.case


def pin(work: Work, plan: PlanFacts | None) -> None:
    assert plan is not None
    store, case = work.home.store, work.case
    listing = store.put(canonical_bytes({"in": [], "out": [], "scouts": []}))
    stored = {name: plain(getattr(plan, name)) for name in ("margin", "alpha", "power")}
    work.write(
        ev.BankTrained(case=case, bank=listing, out_models=plan.out_models, in_models=16), "bank"
    )
    work.write(
        ev.CaseRouted(case=case, ladder=("newton",), rungs=1, tail_patients=0, steps=0, due=()),
        "routed",
    )
    if plan.detect_one is not None:
        stored["detect_one"] = plain(plan.detect_one)
    pinned = store.put(canonical_bytes(stored))
    work.write(ev.PlanPinned(case=case, plan=pinned, bank=listing, ladder=("newton",)), "plan")


def unlearnt(work: Work) -> Digest:
    """An attempt that made something which is no longer needed."""
    store = work.home.store
    made, none = store.put(b"candidate"), store.put(canonical_bytes({}))
    work.write(
        ev.AttemptStarted(case=work.case, attempt=1, method="newton", plan=none),
        "attempt-1-started",
    )
    completed = ev.UnlearningCompleted(
        case=work.case,
        attempt=1,
        method="newton",
        before=work.scene.version.weights,
        after=made,
        parameters=none,
        device="cpu",
        milliseconds=1,
        record=none,
    )
    work.write(completed, "attempt-1-completed")
    return made


def enter(work: Work, role: CandidateRole, audited: Audit, weights: Digest, *, number: int) -> None:
    evidence = replace(audited.evidence, weights=weights, role=role)
    event = ev.CandidateVerified(
        case=work.case,
        attempt=number,
        role=role,
        weights=weights,
        plan=weights,
        evidence=work.home.store.put(outcome_bytes(evidence, audited.decision)),
        verdict=audited.decision.verdict,
    )
    work.write(event, f"verified-{number}-{role.value}")


R = DecisionReason
ENDS: list[tuple[End, Outcome]] = [
    (refused(R.NO_GROUND, Regime.GDPR), Outcome.REFUSED),
    (refused(R.LEGAL_CLAIMS, Regime.GDPR, SOON), Outcome.REFUSED),
    (refused(R.RESEARCH, Regime.UK_GDPR, SOON), Outcome.REFUSED),
    (refused(R.RECORDS_LAW, Regime.HIPAA), Outcome.REFUSED),
    (refused(R.EXEMPT, Regime.CCPA), Outcome.REFUSED),
    (refused_in_doubt, Outcome.REFUSED),
    (refused_in_the_middle, Outcome.REFUSED),
    (withdrawn, Outcome.WITHDRAWN),
    (withdrawn_in_the_middle, Outcome.WITHDRAWN),
    (nothing_to_unlearn, Outcome.NOTHING_TO_UNLEARN),
    (impossible, Outcome.NOT_ERASED),
    (measured(Verdict.FAILED), Outcome.NOT_ERASED),
    (measured(Verdict.INDETERMINATE), Outcome.NOT_ERASED),
    (without_a_model, Outcome.NOT_ERASED),
    (not_auditable, Outcome.NOT_ERASED),
]


@pytest.mark.parametrize(("end", "outcome"), ENDS)
def test_every_end_has_a_document_that_verifies(home: Home, end: End, outcome: Outcome) -> None:
    before: Scene = load_scene(home, MODEL)
    case = end(home)
    state = run_case(home, case, RunSettings(), progress=lambda *_: None, notice=lambda _: None)
    assert state.issued is not None and state.issued.outcome is outcome
    document = certificate_path(home, case)
    report = verify_certificate(
        document.read_bytes(),
        home.trust,
        sidecar=sidecar_path(document).read_text(encoding="utf-8"),
        now=datetime.now(UTC),
    )
    assert report.status is Status.VALID_STATUS_UNKNOWN, report.reason
    assert report.predicate is not None
    assert report.predicate["outcome"] == outcome.value
    assert report.predicate["request"]["case"] == case
    if state.reached is not None:
        said = report.predicate["conclusion"]
        assert (said["verdict"], said["basis"]) == (state.reached.verdict.value, "none")
    after = load_scene(home, MODEL)
    assert after.version.weights == before.version.weights  # nobody was erased


@pytest.mark.parametrize(
    ("number", "declared", "told"), [(2, 0.91, 0.91), (2, None, None), (1, 0.91, None)]
)
def test_how_often_one_of_several_is_told_apart_is_on_the_document_if_declared(
    home: Home, number: int, declared: float | None, told: float | None
) -> None:
    scene = load_scene(home, MODEL)
    everybody = sorted({scene.images.subjects[index] for index in scene.training})
    failed = examples.failed()
    assert failed.plan is not None
    facts = replace(failed, plan=replace(failed.plan, detect_one=declared))
    case = audited(begun(home, *everybody[:number]), facts)
    state = run_case(home, case, RunSettings(), progress=lambda *_: None, notice=lambda _: None)
    plan = document_facts(home, case, state).plan
    assert plan is not None and plan.detect_one == told
