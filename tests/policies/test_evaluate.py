"""Truth tables: case streams against the status each rule must then have."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest
from auditor.domain.kind import Event
from auditor.domain.request import DecisionKind, Ground, Outcome, Regime
from auditor.domain.verdict import Basis, Finding, FindingStatus, Verdict
from auditor.errors import PolicyError
from auditor.policies.evaluate import CaseFacts, evaluate
from auditor.policies.limit import Counting, RunsFrom, TimeLimit
from auditor.policies.observation import supports
from auditor.policies.rule import Applicability
from auditor.policies.vocabulary import JudgedBy
from tests.policies.road import (
    CASE,
    IN_MODELS,
    NEWTON,
    OTHER_CASE,
    PACKS,
    PAYLOAD,
    RECEIVED,
    RETRAINED,
    RULES,
    Edit,
    Entry,
    M,
    as_it_is,
    both,
    changed,
    changed_last,
    decided,
    ends_with,
    facts,
    inserted_before,
    is_accounting_of,
    is_kind,
    later,
    named,
    packs_for,
    recorded,
    road,
    until,
    without,
)

MET = FindingStatus.MET
NOT_MET = FindingStatus.NOT_MET
MISSING = FindingStatus.INSUFFICIENT
PERSON = FindingStatus.HUMAN_DECISION
NOT_HERE = FindingStatus.NOT_APPLICABLE

GDPR = [rule.id for pack in PACKS for rule in pack.rules if pack.name == "gdpr"]
PRODUCTS = [rule.id for pack in PACKS for rule in pack.rules if pack.name == "eu-products"]
ALWAYS_A_PERSON = dict.fromkeys(["GDPR-12-6-IDENTITY", "EDPB-28-2024-ANON"], PERSON)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One stream and the statuses expected of it; only the rules named are looked at."""

    expected: Mapping[str, FindingStatus]
    edit: Edit = as_it_is
    regime: Regime = Regime.GDPR
    ground: Ground = Ground.CONSENT_WITHDRAWN
    as_of: date | None = None
    country: str = ""
    case: str = CASE

    def entries(self) -> list[Entry]:
        return self.edit(road(regime=self.regime, ground=self.ground, case=self.case))

    def facts(self) -> CaseFacts:
        return facts(self.entries(), as_of=self.as_of, country=self.country)


def hipaa(
    expected: Mapping[str, FindingStatus],
    edit: Edit = as_it_is,
    ground: Ground = Ground.AUTHORISATION_REVOKED,
) -> Row:
    return Row(expected=expected, edit=edit, regime=Regime.HIPAA, ground=ground)


def curvature_kept(before: type[Event] | None, weights: Digest = M) -> Edit:
    """A version's curvature is entered before the first event of that kind, or at the end."""
    kept = ev.CurvatureCached(
        model="tb", weights=weights, key=named("key"), cache=named("curvature"), images=9
    )

    def edit(entries: list[Entry]) -> list[Entry]:
        kinds = [type(event) for _, _, event in entries]
        at = len(entries) if before is None else kinds.index(before)
        return [*entries[:at], ("model:tb", entries[at - 1][1], kept), *entries[at:]]

    return edit


def extended(*, decided_after: int, done_after: int) -> Edit:
    """Extended and then granted that many days after receipt; all else that many days after."""
    return both(
        is_kind(ev.RequestDecided),
        later(ev.ScopeEstablished, done_after),
        inserted_before(ev.ScopeEstablished, decided(DecisionKind.EXTENDED), decided_after),
        inserted_before(ev.ScopeEstablished, decided(DecisionKind.GRANTED), decided_after),
    )


NOTHING_FOUND = both(until(ev.ScopeEstablished), changed(ev.ScopeEstablished, training_images=0))
NOT_ERASED = both(
    changed(ev.VerdictReached, basis=Basis.NONE, verdict=Verdict.FAILED, weights=M),
    changed_last(ev.CandidateVerified, verdict=Verdict.FAILED),
    changed_last(ev.ArtefactAccounted, fate=ArtefactFate.RETAINED, ground="not-established"),
    inserted_before(
        ev.ArtefactAccounted,
        ev.ArtefactAccounted(
            case=CASE,
            artefact=RETRAINED,
            artefact_kind=ArtefactKind.CANDIDATE,
            fate=ArtefactFate.DESTROYED,
            ground="no-longer-needed",
        ),
    ),
    is_kind(ev.ModelRetired),
    without(lambda event: isinstance(event, ev.ModelDeployed) and event.weights == RETRAINED),
)
PASSED_ALONE = both(
    changed(ev.VerdictReached, basis=Basis.STATISTICAL_INDIVIDUAL, verdict=Verdict.PASSED),
    changed_last(ev.CandidateVerified, verdict=Verdict.PASSED),
)
COHORT_PASSED = both(
    changed(ev.VerdictReached, basis=Basis.STATISTICAL_COHORT, verdict=Verdict.PASSED),
    changed_last(ev.CandidateVerified, verdict=Verdict.PASSED),
)


def cleared(weights: Digest) -> Edit:
    """The method's qualification is on the books as current, for an audit of these weights."""

    def edit(entries: list[Entry]) -> list[Entry]:
        stream, day, _ = entries[-1]
        event = ev.CohortCleared(
            case=CASE, attempt=2, method="newton", weights=weights, report=Digest.of(b"report")
        )
        return [*entries, (stream, day, event)]

    return edit


TABLE: dict[str, Row] = {
    "the whole road": Row(
        expected={
            **ALWAYS_A_PERSON,
            "GDPR-12-3-RESPOND": MET,
            "GDPR-12-3-EXTEND": NOT_HERE,
            "GDPR-12-3-INFORM": MISSING,
            "GDPR-12-4-REFUSE": NOT_HERE,
            "GDPR-17-1-a": NOT_HERE,
            "GDPR-17-1-b": MISSING,
            "GDPR-17-1-c": NOT_HERE,
            "GDPR-17-1-d": NOT_HERE,
            "GDPR-17-1-e": NOT_HERE,
            "GDPR-17-1-f": NOT_HERE,
            "GDPR-17-SCOPE": MET,
            "GDPR-17-EFFECTIVE": MET,
            "GDPR-17-2-PUBLIC": PERSON,
            "GDPR-17-3": PERSON,
            "GDPR-19-RECIPIENTS": PERSON,
            "GDPR-5-2-ACCOUNT": MET,
            "GDPR-5-1-e-LEDGER": MET,
            "GDPR-28-PROCESSOR": PERSON,
            "GDPR-35-DPIA": MISSING,
        }
    ),
    "at intake, nothing decided": Row(
        edit=until(ev.ErasureRequested),
        expected={
            **ALWAYS_A_PERSON,
            "GDPR-12-3-RESPOND": MISSING,
            "GDPR-17-1-b": MISSING,
            "GDPR-17-SCOPE": MISSING,
            "GDPR-17-EFFECTIVE": MISSING,
            "GDPR-17-2-PUBLIC": NOT_HERE,
            "GDPR-17-3": PERSON,
            "GDPR-19-RECIPIENTS": NOT_HERE,
            "GDPR-5-2-ACCOUNT": MISSING,
            "GDPR-5-1-e-LEDGER": MET,
            "GDPR-28-PROCESSOR": NOT_HERE,
        },
    ),
    "at intake, granted": Row(
        edit=until(ev.RequestDecided),
        expected={
            "GDPR-12-3-RESPOND": MISSING,
            "GDPR-17-1-b": MISSING,
            "GDPR-17-SCOPE": MISSING,
            "GDPR-17-EFFECTIVE": MISSING,
            "GDPR-19-RECIPIENTS": PERSON,
            "GDPR-5-2-ACCOUNT": MISSING,
        },
    ),
    "held": Row(
        edit=ends_with(DecisionKind.HELD),
        expected={"GDPR-17-1-b": MISSING, "GDPR-12-3-RESPOND": MISSING},
    ),
    "granted, then held": Row(
        edit=both(
            until(ev.RequestDecided),
            lambda entries: [*entries, (f"case:{CASE}", RECEIVED, decided(DecisionKind.HELD))],
        ),
        expected={"GDPR-17-1-b": MISSING, "GDPR-12-3-RESPOND": MISSING},
    ),
    "undecided on the last day": Row(
        edit=until(ev.ErasureRequested),
        as_of=date(2027, 3, 1),
        expected={"GDPR-12-3-RESPOND": MISSING},
    ),
    "undecided a day later": Row(
        edit=until(ev.ErasureRequested),
        as_of=date(2027, 3, 2),
        expected={"GDPR-12-3-RESPOND": NOT_MET, "GDPR-17-1-b": MISSING},
    ),
    "done on the last day": Row(
        edit=later(ev.VerdictReached, 29), expected={"GDPR-12-3-RESPOND": MET}
    ),
    "done a day late": Row(
        edit=later(ev.VerdictReached, 30),
        expected={"GDPR-12-3-RESPOND": NOT_MET, "GDPR-17-EFFECTIVE": MET},
    ),
    "receipt dated after it was written down": Row(
        edit=both(
            changed(ev.ErasureRequested, received=date(2027, 6, 30)), later(ev.VerdictReached, 30)
        ),
        expected={"GDPR-12-3-RESPOND": NOT_MET},
    ),
    "extended in time, done in month three": Row(
        edit=extended(decided_after=29, done_after=80),
        expected={"GDPR-12-3-RESPOND": PERSON, "GDPR-12-3-EXTEND": MISSING},
    ),
    "extended in time, done in month four": Row(
        edit=extended(decided_after=29, done_after=90),
        expected={"GDPR-12-3-RESPOND": NOT_MET, "GDPR-12-3-EXTEND": MISSING},
    ),
    "extended too late": Row(
        edit=extended(decided_after=30, done_after=80),
        expected={"GDPR-12-3-RESPOND": NOT_MET, "GDPR-12-3-EXTEND": NOT_MET},
    ),
    "refused in time": Row(
        edit=ends_with(DecisionKind.REFUSED, 29),
        expected={
            "GDPR-12-3-RESPOND": NOT_HERE,
            "GDPR-12-3-INFORM": NOT_HERE,
            "GDPR-12-4-REFUSE": MISSING,
            "GDPR-17-1-b": PERSON,
            "GDPR-17-SCOPE": NOT_HERE,
            "GDPR-17-EFFECTIVE": NOT_HERE,
            "GDPR-17-3": PERSON,
            "GDPR-5-2-ACCOUNT": MET,
        },
    ),
    "refused too late": Row(
        edit=ends_with(DecisionKind.REFUSED, 30), expected={"GDPR-12-4-REFUSE": NOT_MET}
    ),
    "refused too late, though extended": Row(
        edit=both(
            ends_with(DecisionKind.REFUSED, 30),
            inserted_before(ev.RequestDecided, decided(DecisionKind.EXTENDED), 1),
        ),
        expected={"GDPR-12-4-REFUSE": NOT_MET},
    ),
    "refused on Easter Tuesday, the country unknown": Row(
        edit=both(
            changed(ev.ErasureRequested, received=date(2027, 2, 28)),
            lambda entries: [(s, date(2027, 2, 28), e) for s, _, e in entries],
            until(ev.ErasureRequested),
            lambda entries: [
                *entries,
                (f"case:{CASE}", date(2027, 3, 30), decided(DecisionKind.REFUSED)),
            ],
        ),
        expected={"GDPR-12-4-REFUSE": NOT_MET},
    ),
    "refused on Easter Tuesday, in Germany": Row(
        edit=both(
            changed(ev.ErasureRequested, received=date(2027, 2, 28)),
            lambda entries: [(s, date(2027, 2, 28), e) for s, _, e in entries],
            until(ev.ErasureRequested),
            lambda entries: [
                *entries,
                (f"case:{CASE}", date(2027, 3, 30), decided(DecisionKind.REFUSED)),
            ],
        ),
        country="DE",
        expected={"GDPR-12-4-REFUSE": MISSING},
    ),
    "withdrawn by the person who asked": Row(
        edit=ends_with(DecisionKind.WITHDRAWN),
        expected={
            "GDPR-12-3-RESPOND": NOT_HERE,
            "GDPR-17-1-b": NOT_HERE,
            "GDPR-17-SCOPE": NOT_HERE,
            "GDPR-17-EFFECTIVE": NOT_HERE,
            "GDPR-17-3": NOT_HERE,
            "GDPR-5-2-ACCOUNT": MET,
        },
    ),
    "nothing to unlearn": Row(
        edit=NOTHING_FOUND,
        expected={
            "GDPR-12-3-RESPOND": MET,
            "GDPR-17-SCOPE": MET,
            "GDPR-17-EFFECTIVE": NOT_HERE,
            "GDPR-5-2-ACCOUNT": MET,
        },
    ),
    "an affected artefact is missing": Row(
        edit=is_accounting_of(PAYLOAD),
        expected={"GDPR-17-SCOPE": NOT_MET, "GDPR-17-EFFECTIVE": MET},
    ),
    "a model trained on the patient is missing": Row(
        edit=is_accounting_of(IN_MODELS[0]), expected={"GDPR-17-SCOPE": NOT_MET}
    ),
    "a discarded candidate is missing": Row(
        edit=is_accounting_of(NEWTON), expected={"GDPR-17-SCOPE": NOT_MET}
    ),
    "a curvature of the model is missing": Row(
        edit=curvature_kept(ev.VerdictReached), expected={"GDPR-17-SCOPE": NOT_MET}
    ),
    "a curvature of the model is accounted for": Row(
        edit=both(
            curvature_kept(ev.VerdictReached),
            inserted_before(
                ev.ArtefactAccounted,
                ev.ArtefactAccounted(
                    case=CASE,
                    artefact=named("curvature"),
                    artefact_kind=ArtefactKind.CURVATURE,
                    fate=ArtefactFate.DESTROYED,
                    ground="no-longer-needed",
                ),
            ),
        ),
        expected={"GDPR-17-SCOPE": MET},
    ),
    "a curvature of another model": Row(
        edit=curvature_kept(ev.VerdictReached, RETRAINED), expected={"GDPR-17-SCOPE": MET}
    ),
    "a curvature kept after all was accounted for": Row(
        edit=curvature_kept(None), expected={"GDPR-17-SCOPE": MET}
    ),
    "accounting under way": Row(
        edit=both(until(ev.VerdictReached), is_kind(ev.VerdictReached)),
        expected={"GDPR-17-SCOPE": MISSING, "GDPR-17-EFFECTIVE": MISSING},
    ),
    "affected artefacts of another inventory": Row(
        edit=changed(ev.ScopeEstablished, affected=(named("somebody else's"),)),
        expected={"GDPR-17-SCOPE": NOT_MET},
    ),
    "not erased": Row(
        edit=NOT_ERASED,
        expected={
            "GDPR-12-3-RESPOND": MISSING,
            "GDPR-17-SCOPE": MET,
            "GDPR-17-EFFECTIVE": NOT_MET,
            "GDPR-5-2-ACCOUNT": MET,
        },
    ),
    "passed alone": Row(edit=PASSED_ALONE, expected={"GDPR-17-EFFECTIVE": MET}),
    "indeterminate, yet certified for the individual": Row(
        edit=changed(ev.VerdictReached, basis=Basis.STATISTICAL_INDIVIDUAL),
        expected={"GDPR-17-EFFECTIVE": NOT_MET},
    ),
    "passed alone, but the request names two": Row(
        edit=both(PASSED_ALONE, changed(ev.ErasureRequested, subjects=2)),
        expected={"GDPR-17-EFFECTIVE": NOT_MET},
    ),
    "a cohort PASSED, by a method without qualification": Row(
        edit=COHORT_PASSED,
        expected={"GDPR-17-EFFECTIVE": MISSING},
    ),
    "a cohort PASSED, by a qualified method": Row(
        edit=both(COHORT_PASSED, cleared(RETRAINED)),
        expected={"GDPR-17-EFFECTIVE": MET},
    ),
    "a cohort PASSED, qualified for another model": Row(
        edit=both(COHORT_PASSED, cleared(NEWTON)),
        expected={"GDPR-17-EFFECTIVE": MISSING},
    ),
    "indeterminate, yet certified for a cohort": Row(
        edit=both(changed(ev.VerdictReached, basis=Basis.STATISTICAL_COHORT), cleared(RETRAINED)),
        expected={"GDPR-17-EFFECTIVE": NOT_MET},
    ),
    "FAILED, yet a cohort is named": Row(
        edit=both(
            changed(ev.VerdictReached, basis=Basis.STATISTICAL_COHORT, verdict=Verdict.FAILED),
            changed_last(ev.CandidateVerified, verdict=Verdict.FAILED),
        ),
        expected={"GDPR-17-EFFECTIVE": NOT_MET},
    ),
    "exact, but FAILED": Row(
        edit=both(
            changed(ev.VerdictReached, verdict=Verdict.FAILED),
            changed_last(ev.CandidateVerified, verdict=Verdict.FAILED),
        ),
        expected={"GDPR-17-EFFECTIVE": NOT_MET},
    ),
    "exact, but never replayed": Row(
        edit=is_kind(ev.ReplayConfirmed), expected={"GDPR-17-EFFECTIVE": NOT_MET}
    ),
    "exact, but another model was replayed": Row(
        edit=changed(ev.ReplayConfirmed, weights=NEWTON),
        expected={"GDPR-17-EFFECTIVE": NOT_MET},
    ),
    "a verdict nicer than the audit": Row(
        edit=changed(ev.VerdictReached, verdict=Verdict.PASSED),
        expected={"GDPR-17-EFFECTIVE": NOT_MET},
    ),
    "a verdict on a model that was never audited": Row(
        edit=changed(ev.VerdictReached, weights=named("a fourth model")),
        expected={"GDPR-17-EFFECTIVE": NOT_MET},
    ),
    "a verdict on the strength of a control": Row(
        edit=changed_last(ev.CandidateVerified, role="retrain"),
        expected={"GDPR-17-EFFECTIVE": NOT_MET},
    ),
    "the old model is still in service": Row(
        edit=is_kind(ev.ModelRetired), expected={"GDPR-17-EFFECTIVE": NOT_MET}
    ),
    "the old model came back": Row(
        edit=lambda entries: [
            *entries,
            ("model:tb", RECEIVED, ev.ModelDeployed(model="tb", version=1, weights=M)),
        ],
        expected={"GDPR-17-EFFECTIVE": NOT_MET},
    ),
    "the model's own stream is not at hand": Row(
        edit=is_kind(ev.ModelDeployed, ev.ModelRetired), expected={"GDPR-17-EFFECTIVE": MET}
    ),
    "neither is the old model's fate": Row(
        edit=both(is_kind(ev.ModelDeployed, ev.ModelRetired), is_accounting_of(M)),
        expected={"GDPR-17-EFFECTIVE": MISSING, "GDPR-17-SCOPE": NOT_MET},
    ),
    "the old model was retained": Row(
        edit=both(
            is_kind(ev.ModelDeployed, ev.ModelRetired),
            changed_last(ev.ArtefactAccounted, fate=ArtefactFate.RETAINED),
        ),
        expected={"GDPR-17-EFFECTIVE": NOT_MET, "GDPR-17-SCOPE": MET},
    ),
    "the plan came after the first attempt": Row(
        edit=both(
            is_kind(ev.PlanPinned),
            inserted_before(
                ev.ReplayConfirmed,
                next(event for _, _, event in road() if isinstance(event, ev.PlanPinned)),
            ),
        ),
        expected={"GDPR-17-EFFECTIVE": NOT_MET, "GDPR-5-2-ACCOUNT": NOT_MET},
    ),
    "no plan at all": Row(
        edit=is_kind(ev.PlanPinned),
        expected={"GDPR-17-EFFECTIVE": NOT_MET, "GDPR-5-2-ACCOUNT": NOT_MET},
    ),
    "a second plan": Row(
        edit=inserted_before(
            ev.VerdictReached,
            ev.PlanPinned(
                case=CASE, plan=named("a kinder plan"), bank=named("bank"), ladder=("retrain",)
            ),
        ),
        expected={"GDPR-17-EFFECTIVE": NOT_MET, "GDPR-5-2-ACCOUNT": NOT_MET},
    ),
    "an audit under another plan": Row(
        edit=changed_last(ev.CandidateVerified, plan=named("a kinder plan")),
        expected={"GDPR-17-EFFECTIVE": NOT_MET, "GDPR-5-2-ACCOUNT": NOT_MET},
    ),
    "a method that the plan did not name": Row(
        edit=changed_last(ev.AttemptStarted, method="prayer"),
        expected={"GDPR-17-EFFECTIVE": NOT_MET, "GDPR-5-2-ACCOUNT": NOT_MET},
    ),
    "a verdict without any audit": Row(
        edit=is_kind(ev.PlanPinned, ev.AttemptStarted, ev.CandidateVerified),
        expected={"GDPR-17-EFFECTIVE": NOT_MET, "GDPR-5-2-ACCOUNT": MISSING},
    ),
    "a case that goes by a name": Row(
        case="patient-mueller", expected={"GDPR-5-1-e-LEDGER": NOT_MET, "GDPR-17-SCOPE": MET}
    ),
    "other rules than those pinned": Row(
        edit=changed(ev.ErasureRequested, policies=named("last year's rules")),
        expected={"GDPR-5-2-ACCOUNT": NOT_MET, "GDPR-17-1-b": MISSING},
    ),
    "a request from before the GDPR": Row(
        edit=changed(ev.ErasureRequested, received=date(2018, 5, 24)),
        expected=dict.fromkeys(GDPR, NOT_HERE),
    ),
    "a request from the GDPR's first day": Row(
        edit=changed(ev.ErasureRequested, received=date(2018, 5, 25)),
        expected={"GDPR-17-1-b": MISSING, "EDPB-28-2024-ANON": NOT_HERE},
    ),
    "a revoked authorisation": hipaa(
        {
            "HIPAA-NO-ERASURE": MET,
            "HIPAA-508-b5": MISSING,
            "HIPAA-502b-MIN": MISSING,
            "HIPAA-524": MET,
            "HIPAA-526": MET,
            "HIPAA-528": PERSON,
            "HIPAA-312-b": MET,
            "HIPAA-312-c": MET,
            "HIPAA-RETAIN-6Y": PERSON,
        }
    ),
    "the entity's own policy": hipaa(
        {"HIPAA-NO-ERASURE": MET, "HIPAA-508-b5": NOT_HERE}, ground=Ground.OWN_POLICY
    ),
    "a HIPAA request on a ground of the GDPR": hipaa(
        {"HIPAA-NO-ERASURE": NOT_MET, "HIPAA-508-b5": NOT_HERE}, ground=Ground.CONSENT_WITHDRAWN
    ),
    "HIPAA at intake": hipaa(
        {
            "HIPAA-NO-ERASURE": MET,
            "HIPAA-508-b5": MISSING,
            "HIPAA-524": MISSING,
            "HIPAA-526": MISSING,
            "HIPAA-312-b": MISSING,
            "HIPAA-312-c": MISSING,
            "HIPAA-RETAIN-6Y": PERSON,
        },
        until(ev.ErasureRequested),
    ),
    "HIPAA, refused": hipaa(
        {"HIPAA-508-b5": PERSON, "HIPAA-524": NOT_HERE, "HIPAA-312-b": MET},
        ends_with(DecisionKind.REFUSED),
    ),
    "HIPAA, nothing to unlearn": hipaa(
        {
            "HIPAA-508-b5": MISSING,
            "HIPAA-524": MET,
            "HIPAA-526": MET,
            "HIPAA-312-b": MET,
            "HIPAA-312-c": NOT_HERE,
        },
        NOTHING_FOUND,
    ),
    "HIPAA, the old model still in service": hipaa(
        {"HIPAA-508-b5": NOT_MET}, is_kind(ev.ModelRetired)
    ),
    "HIPAA, source images destroyed": hipaa(
        {"HIPAA-524": NOT_MET, "HIPAA-526": NOT_MET},
        lambda entries: [
            (
                stream,
                day,
                replace(event, fate=ArtefactFate.DESTROYED)
                if isinstance(event, ev.ArtefactAccounted)
                and event.artefact_kind is ArtefactKind.TRAINING_DATA
                else event,
            )
            for stream, day, event in entries
        ],
    ),
    "HIPAA, source images not mentioned": hipaa(
        {"HIPAA-524": MISSING, "HIPAA-526": MISSING}, is_accounting_of(PAYLOAD)
    ),
    "HIPAA, the audited model is not the one produced": hipaa(
        {"HIPAA-312-c": NOT_MET}, changed_last(ev.UnlearningCompleted, after=named("swapped"))
    ),
    "HIPAA, unlearning began from another model": hipaa(
        {"HIPAA-312-c": NOT_MET}, changed_last(ev.UnlearningCompleted, before=named("swapped"))
    ),
    "HIPAA, the replayed model is another": hipaa(
        {"HIPAA-312-c": NOT_MET}, changed(ev.ReplayConfirmed, weights=named("swapped"))
    ),
    "HIPAA, the verdict names another model": hipaa(
        {"HIPAA-312-c": NOT_MET}, changed(ev.VerdictReached, weights=named("swapped"))
    ),
    "HIPAA, not erased": hipaa({"HIPAA-312-c": MET, "HIPAA-508-b5": NOT_MET}, NOT_ERASED),
    **{
        f"on ground {ground.value}": Row(
            ground=ground,
            expected={
                f"GDPR-17-1-{letter}": (MISSING if letter in "bc" else MET)
                if ground.value.endswith(letter)
                else NOT_HERE
                for letter in "abcdef"
            },
        )
        for ground in Ground
        if ground.value.startswith("gdpr")
    },
    **{
        f"on ground {ground.value}, undecided": Row(
            edit=until(ev.ErasureRequested),
            ground=ground,
            expected={
                f"GDPR-17-1-{letter}": MISSING if ground.value.endswith(letter) else NOT_HERE
                for letter in "abcdef"
            },
        )
        for ground in Ground
        if ground.value.startswith("gdpr")
    },
}


def laid(given_: CaseFacts) -> tuple[Finding, ...]:
    """The findings of the packs that a request of this regime pins."""
    return evaluate(packs_for(given_.regime), given_)


def statuses(findings: tuple[Finding, ...]) -> dict[str, FindingStatus]:
    return {finding.rule_id: finding.status for finding in findings}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_truth_table(row: Row) -> None:
    found = statuses(laid(row.facts()))
    assert {rule: found[rule] for rule in row.expected} == dict(row.expected)


@pytest.mark.parametrize("gone", ["version", "first"])
def test_a_gap_in_the_stream_is_found_out(gone: str) -> None:
    records = recorded(road())
    in_case = [item for item in records if item.stream == f"case:{CASE}"]
    if gone == "version":
        kept = tuple(item for item in records if item is not in_case[5])
    else:
        first = replace(in_case[0], sequence=in_case[3].sequence + 100)
        kept = tuple(first if item is in_case[0] else item for item in records)
    found = statuses(laid(CaseFacts(records=kept, as_of=RECEIVED)))
    assert found["GDPR-5-2-ACCOUNT"] is NOT_MET


ROWS = st.sampled_from(sorted(TABLE))


@given(ROWS)
def test_every_leaf_resolves_and_met_has_leaves(name: str) -> None:
    given_ = TABLE[name].facts()
    places = {record.sequence for record in given_.records}
    for finding in laid(given_):
        assert set(finding.leaves) <= places
        assert list(finding.leaves) == sorted(set(finding.leaves))
        assert finding.status is not MET or finding.leaves


@given(ROWS)
def test_met_falls_when_its_evidence_is_taken_away(name: str) -> None:
    given_ = TABLE[name].facts()
    request = given_.request.number
    for finding in laid(given_):
        cited = set(finding.leaves) - {request}
        if finding.status is not MET or not cited:
            continue
        left = tuple(record for record in given_.records if record.sequence not in cited)
        without_it = CaseFacts(records=left, as_of=given_.as_of, country=given_.country)
        assert statuses(laid(without_it))[finding.rule_id] is not MET


@given(ROWS, st.randoms(use_true_random=False))
def test_order_of_records_does_not_matter(name: str, chance: random.Random) -> None:
    given_ = TABLE[name].facts()
    shuffled = list(given_.records)
    chance.shuffle(shuffled)
    assert laid(replace(given_, records=tuple(shuffled))) == laid(given_)


@given(ROWS)
def test_other_cases_lend_no_evidence(name: str) -> None:
    """A finished case beside this one changes nothing, neither in its own stream nor in ours."""
    given_ = TABLE[name].facts()
    other = [
        entry
        for entry in road(case=OTHER_CASE)
        if hasattr(entry[2], "case") and not isinstance(entry[2], ev.ErasureRequested)
    ]
    beside = recorded(other, start=1000)
    crowded = replace(given_, records=(*given_.records, *beside))
    assert laid(crowded) == laid(given_)


@given(ROWS)
def test_certificate_events_are_not_needed(name: str) -> None:
    """Findings stand before the certificate does; what comes after them changes no status."""
    row = TABLE[name]
    entries = row.entries()
    paper = ev.CertificatePrepared(case=row.case, outcome=Outcome.CERTIFIED, envelope=M)
    after = [*entries, (f"case:{row.case}", max(day for _, day, _ in entries), paper)]
    as_of = row.facts().as_of
    found = laid(facts(after, as_of=as_of, country=row.country))
    assert statuses(found) == statuses(laid(row.facts()))


@given(ROWS)
def test_explanations_read_as_evidence_and_never_promise(name: str) -> None:
    for finding in laid(TABLE[name].facts()):
        text = finding.explanation
        assert "complian" not in text.lower()
        assert text.endswith(".") and "  " not in text and text.isprintable()
        if finding.status is MET:
            assert f"Evidence for {finding.citation}" in text
            assert "Left to a person: " in text
        if finding.status is PERSON:
            assert "For a person to decide: " in text
        if finding.rule_id == "HIPAA-NO-ERASURE":
            assert text.startswith("HIPAA has no general right of erasure.")


def test_explanation_names_days_and_entries() -> None:
    row = TABLE["done a day late"]
    (found,) = (f for f in laid(row.facts()) if f.rule_id == "GDPR-12-3-RESPOND")
    assert found.explanation == (
        "Evidence against Article 12(3) GDPR: The request was received on 31 January 2027"
        " (entry 1), granted on 31 January 2027 (entry 2) and carried out on 2 March 2027"
        " (entry 17), after the time limit, which ended on 1 March 2027 (moved from"
        " 28 February 2027, not a working day). Act on the request and inform the data subject"
        " at once; if the limit has passed, record why and consider telling the supervisory"
        " authority. Rule unchecked."
    )
    assert found.leaves == (1, 2, 17)


def test_what_was_retained_is_listed_for_the_person_who_decides() -> None:
    (found,) = (f for f in laid(facts(road())) if f.rule_id == "GDPR-17-3")
    assert "medical-record-retention (entry 22)" in found.explanation
    assert found.leaves == (22,)


def test_a_house_rule_may_count_calendar_days() -> None:
    limit = TimeLimit(
        length=10, unit="days", runs_from=RunsFrom.RECEIPT, counting=Counting.CALENDAR
    )
    rule = replace(RULES["GDPR-12-3-RESPOND"], id="OUR-TEN-DAYS", time_limit=limit)
    pack = replace(PACKS[0], rules=(rule,))
    for days, status in ((10, MET), (11, NOT_MET)):
        (found,) = evaluate([pack], facts(later(ev.VerdictReached, days)(road())))
        assert found.status is status


@pytest.mark.parametrize("rule", ["GDPR-12-3-EXTEND", "GDPR-12-4-REFUSE"])
def test_a_house_rule_may_ask_for_what_has_not_happened(rule: str) -> None:
    everywhere = Applicability(regimes=(Regime.GDPR,))
    asked = replace(RULES[rule], applies=everywhere, judged_by=JudgedBy.RECORD)
    (found,) = evaluate([replace(PACKS[0], rules=(asked,))], facts(road()))
    assert found.status is MISSING


def test_support_without_an_entry_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="without a ledger entry"):
        supports("So it is.")


def test_retention_is_counted_from_the_day_of_judgement() -> None:
    row = TABLE["a revoked authorisation"]
    given_ = replace(row.facts(), as_of=date(2028, 2, 29))
    (found,) = (f for f in laid(given_) if f.rule_id == "HIPAA-RETAIN-6Y")
    assert "until at least 1 March 2034" in found.explanation


def test_findings_come_in_the_packs_order_the_requests_own_law_first() -> None:
    found = laid(facts(road()))
    assert [finding.rule_id for finding in found] == [*GDPR, *PRODUCTS]


def test_facts_of_no_case_or_of_two_are_refused() -> None:
    with pytest.raises(PolicyError, match="exactly one request, not 0"):
        CaseFacts(records=(), as_of=RECEIVED)
    two = recorded([*road(), *road(case=OTHER_CASE)])
    with pytest.raises(PolicyError, match="exactly one request, not 2"):
        CaseFacts(records=two, as_of=RECEIVED)


def test_two_records_in_one_place_are_refused() -> None:
    records = recorded(road())
    with pytest.raises(PolicyError, match="share one place"):
        CaseFacts(records=(*records, records[-1]), as_of=RECEIVED)


def test_a_record_without_a_date_is_refused() -> None:
    records = recorded(road())
    broken = (*records[:1], replace(records[1], recorded_at="yesterday"), *records[2:])
    with pytest.raises(PolicyError, match="entry 1 carries no date"):
        laid(CaseFacts(records=broken, as_of=RECEIVED))


def test_packs_that_share_a_rule_id_are_refused() -> None:
    twin = replace(PACKS[0], name="twin")
    with pytest.raises(PolicyError, match="both hold a rule"):
        evaluate([*PACKS, twin], facts(road()))


def test_a_rule_that_has_ended_says_so() -> None:
    rule = replace(RULES["GDPR-17-3"], effective_to=date(2026, 12, 31))
    (found,) = evaluate([replace(PACKS[0], rules=(rule,))], facts(road()))
    assert found.status is NOT_HERE
    assert "not in force on 31 January 2027 (it ended on 31 December 2026)" in found.explanation


def test_a_rule_that_has_not_begun_has_not_ended_either() -> None:
    begins, ends = date(2028, 1, 1), date(2030, 12, 31)
    rule = replace(RULES["GDPR-17-3"], effective_from=begins, effective_to=ends)
    (found,) = evaluate([replace(PACKS[0], rules=(rule,))], facts(road()))
    assert "was not in force on 31 January 2027" in found.explanation
    assert "ended" not in found.explanation
