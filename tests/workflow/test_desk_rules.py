"""Which decisions make sense: truth tables over regimes, reasons, days and what went before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest
from auditor.domain.case import ErasureCase, project
from auditor.domain.desk_events import UNSIGNED
from auditor.domain.kind import Event
from auditor.domain.request import DecisionKind, DecisionReason, IdentityResult, Outcome, Regime
from auditor.domain.verdict import Basis, Verdict
from auditor.workflow.desk.rules import EXEMPTIONS, NO_REVIEW, Choice, why_not
from tests.workflow.test_steps import requested, scope

TODAY, DUE = date(2026, 11, 20), date(2026, 12, 2)
M = Digest.of(b"m")
R = DecisionReason
ACCEPTED: dict[DecisionKind, dict[Regime | None, set[DecisionReason]]] = {
    DecisionKind.GRANTED: {None: {R.NONE}},
    DecisionKind.WITHDRAWN: {None: {R.NONE}},
    DecisionKind.HELD: {None: {R.NONE, R.LEGAL_HOLD, R.IDENTITY_DOUBTED}},
    DecisionKind.EXTENDED: {None: {R.COMPLEXITY, R.NUMBER_OF_REQUESTS}},
    DecisionKind.REFUSED: {
        Regime.GDPR: {R.NO_GROUND, R.UNFOUNDED, R.EXCESSIVE},
        Regime.UK_GDPR: {R.NO_GROUND, R.UNFOUNDED, R.EXCESSIVE},
        Regime.HIPAA: {R.NO_GROUND, R.RELIED_UPON, R.RECORDS_LAW},
        Regime.CCPA: {R.NO_GROUND, R.EXEMPT},
    },
}
"""Reasons that need nothing else on record; identity and exemptions have tables of their own."""
ELSEWHERE = EXEMPTIONS | {R.IDENTITY_UNRESOLVED, R.NOT_IDENTIFIABLE}


def said(
    decision: DecisionKind,
    reason: DecisionReason = R.NONE,
    *,
    review: date = NO_REVIEW,
    regime: Regime = Regime.GDPR,
    before: Sequence[Event] = (),
    today: date = TODAY,
    due: date | None = DUE,
) -> str:
    case: ErasureCase = project([requested(), *before])
    choice = Choice(decision=decision, reason=reason, review=review)
    return why_not(case, regime, choice, today=today, due=due)


@pytest.mark.parametrize("regime", Regime)
@pytest.mark.parametrize("decision", DecisionKind)
@pytest.mark.parametrize("reason", sorted(set(R) - ELSEWHERE))
def test_every_decision_takes_the_reasons_that_its_law_knows(
    decision: DecisionKind, reason: DecisionReason, regime: Regime
) -> None:
    table = ACCEPTED[decision]
    known = table.get(regime, table.get(None, set()))
    assert (said(decision, reason, regime=regime) == "") is (reason in known)


@pytest.mark.parametrize("regime", Regime)
@pytest.mark.parametrize("reason", sorted(EXEMPTIONS))
def test_an_exemption_is_reviewed_within_a_year(reason: DecisionReason, regime: Regime) -> None:
    european = regime in (Regime.GDPR, Regime.UK_GDPR)
    for review, good in (
        (NO_REVIEW, False),
        (TODAY, False),
        (TODAY + timedelta(days=1), True),
        (date(2027, 11, 20), True),
        (date(2027, 11, 21), False),
    ):
        refusal = said(DecisionKind.REFUSED, reason, review=review, regime=regime)
        assert (refusal == "") is (good and european)
    for decision in set(DecisionKind) - {DecisionKind.REFUSED}:
        assert said(decision, reason, review=date(2027, 1, 1))


def test_nothing_else_has_a_day_of_review() -> None:
    assert "only an exemption" in said(DecisionKind.REFUSED, R.NO_GROUND, review=date(2027, 1, 1))
    assert "only an exemption" in said(DecisionKind.GRANTED, review=date(2027, 1, 1))


def identity(result: IdentityResult) -> Event:
    return ev.IdentityChecked(case="c1", result=result, on=TODAY, actor="dpo", signature=UNSIGNED)


@pytest.mark.parametrize("found", [None, *IdentityResult])
def test_identity_decides_what_can_be_granted_and_what_refused(
    found: IdentityResult | None,
) -> None:
    before = () if found is None else (identity(found),)
    granted = said(DecisionKind.GRANTED, before=before)
    assert (granted == "") is (found in (None, IdentityResult.CONFIRMED))
    unresolved = said(DecisionKind.REFUSED, R.IDENTITY_UNRESOLVED, before=before)
    assert (unresolved == "") is (found is IdentityResult.DOUBTED)
    nobody = said(DecisionKind.REFUSED, R.NOT_IDENTIFIABLE, before=before)
    assert (nobody == "") is (found is IdentityResult.NOT_IDENTIFIABLE)
    assert said(DecisionKind.REFUSED, R.NO_GROUND, before=before) == ""


def decided(kind: DecisionKind) -> Event:
    return ev.RequestDecided(case="c1", decision=kind, actor="dpo")


@pytest.mark.parametrize(
    ("today", "due", "before", "word"),
    [
        (DUE, DUE, (), ""),
        (DUE + timedelta(days=1), DUE, (), "ended on 2026-12-02"),
        (TODAY, None, (), "no time limit"),
        (TODAY, DUE, (decided(DecisionKind.EXTENDED),), "already"),
        (TODAY, DUE, (decided(DecisionKind.GRANTED),), ""),
    ],
)
def test_time_is_extended_once_and_within_the_first_period(
    today: date, due: date | None, before: Sequence[Event], word: str
) -> None:
    flaw = said(DecisionKind.EXTENDED, R.COMPLEXITY, before=before, today=today, due=due)
    assert flaw == "" if not word else word in flaw


GRANTED = decided(DecisionKind.GRANTED)
REACHED = ev.VerdictReached(case="c1", verdict=Verdict.INDETERMINATE, basis=Basis.EXACT, weights=M)
GONE = ev.ArtefactAccounted(
    case="c1",
    artefact=M,
    artefact_kind=ArtefactKind.MODEL,
    fate=ArtefactFate.DESTROYED,
    ground="replaced-in-service",
)
DRAFTED = ev.ApprovalRequested(case="c1", outcome=Outcome.REFUSED, envelope=M)
PREPARED = ev.CertificatePrepared(case="c1", outcome=Outcome.CERTIFIED, envelope=M)
FITTING = {
    DecisionKind.GRANTED: R.NONE,
    DecisionKind.WITHDRAWN: R.NONE,
    DecisionKind.HELD: R.LEGAL_HOLD,
    DecisionKind.EXTENDED: R.COMPLEXITY,
    DecisionKind.REFUSED: R.NO_GROUND,
}
ALL = frozenset(DecisionKind)
STAGES: list[tuple[Sequence[Event], frozenset[DecisionKind]]] = [
    ((), ALL),
    ((GRANTED, scope()), ALL),
    ((GRANTED, scope(), REACHED), ALL - {DecisionKind.REFUSED, DecisionKind.WITHDRAWN}),
    ((GRANTED, scope(), REACHED, GONE), frozenset()),
    ((decided(DecisionKind.REFUSED), DRAFTED), frozenset()),
    ((decided(DecisionKind.REFUSED), PREPARED), frozenset()),
]


@pytest.mark.parametrize(("before", "open_to"), STAGES)
@pytest.mark.parametrize("decision", DecisionKind)
def test_the_further_a_case_is_the_less_is_left_to_decide(
    decision: DecisionKind, before: Sequence[Event], open_to: frozenset[DecisionKind]
) -> None:
    assert (said(decision, FITTING[decision], before=before) == "") is (decision in open_to)


def test_an_extension_takes_nothing_back() -> None:
    case = project([requested(), GRANTED, decided(DecisionKind.EXTENDED)])
    assert case.granted and case.extended is not None
    held = project([requested(), GRANTED, decided(DecisionKind.HELD)])
    assert held.stopped and not held.granted
    assert project([requested(), GRANTED, identity(IdentityResult.DOUBTED)]).stopped
    refused = replace(project([requested(), decided(DecisionKind.REFUSED)]))
    assert not refused.stopped
